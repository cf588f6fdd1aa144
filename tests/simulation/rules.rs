//! Every rule broken in turn: some run must find each, and without the broken rule the same runs must be well.

use super::drawing::draw_in;
use super::proof::{outcome, shortened};
use super::weather::Weather;
use crate::core::rules::Rule;
use crate::store::conflict::policy::ConflictPolicy::{KeepLocal, KeepRemote, Manual};
use crate::store::tests::torture::number;

/// Most runs until a broken rule is found.
const SEEDS_MAX: u64 = 600;

/// First seeds for rules that few runs show: one of the first in which each was found.
const FIRST_SEEDS: &[(Rule, u64)] = &[(Rule::RetryNever, 940), (Rule::FailureNotShown, 1_260)];

/// Makes some weather certain.
pub(super) type Force = fn(&mut Weather);

/// Every node keeps losers, and no two writes have the same content.
fn manual(weather: &mut Weather) {
    (weather.policies, weather.is_unambiguous) = (&[Manual], true);
}

/// Every node keeps losers, but few of one key.
fn crowded(weather: &mut Weather) {
    manual(weather);
    weather.keeps_few = true;
}

/// Disks go back in time, and only when a node opens.
fn rolled_back(weather: &mut Weather) {
    (weather.goes_back, weather.goes_back_unnoticed) = (true, false);
}

/// Policies rewrite losers.
fn asserting(weather: &mut Weather) {
    weather.policies = &[KeepLocal, KeepRemote];
}

/// Some messages are forged.
fn forging(weather: &mut Weather) {
    weather.has_forgeries = true;
}

/// Nodes exchange parts of the keys.
fn parted(weather: &mut Weather) {
    weather.has_prefixes = true;
}

/// Some nodes are of a newer version.
fn newer(weather: &mut Weather) {
    weather.has_newer = true;
}

/// The rules that can be broken, and the weather in which that shows.
const RULES: &[(Rule, Force)] = &[
    (Rule::CursorWithoutIncarnation, rolled_back),
    (Rule::StretchWithoutOpening, |_| {}),
    (Rule::CopyUnnoticed, |weather| {
        weather.has_copies = true;
    }),
    (Rule::CopyUntold, |weather| {
        weather.goes_back = true;
    }),
    (Rule::AuthorKept, |weather| {
        weather.has_copies = true;
    }),
    (Rule::LineageLate, manual),
    (Rule::LineageUnbounded, |weather| {
        manual(weather);
        rolled_back(weather);
    }),
    (Rule::OrderByArrival, |_| {}),
    (Rule::LocalTieBreak, |_| {}),
    (Rule::StampNotBumped, |_| {}),
    (Rule::ClockDragged, |weather| {
        weather.has_clock_jumps = true;
    }),
    (Rule::StampUnbounded, forging),
    (Rule::TextUnchecked, forging),
    (Rule::KeysUnchecked, forging),
    (Rule::SystemKeysTaken, forging),
    (Rule::VersionUnbounded, forging),
    (Rule::OrderWithoutContent, forging),
    (Rule::FingerprintWithoutContent, forging),
    (Rule::SequenceFollowed, forging),
    (Rule::AcknowledgementUnsent, forging),
    (Rule::RefusalUnsent, forging),
    (Rule::SkewUntold, |weather| {
        weather.has_clock_jumps = true;
    }),
    (Rule::SkewNotShown, |_| {}),
    (Rule::ExtensionNotSent, newer),
    (Rule::ExtensionNotKept, newer),
    (Rule::VectorForgotten, |_| {}),
    (Rule::VersionBeginsAnew, |_| {}),
    (Rule::RemovalsNotSent, |_| {}),
    (Rule::SendBeforeSync, |weather| {
        weather.is_unsynced = true;
    }),
    (Rule::CreditIgnored, |weather| {
        weather.has_large_values = true;
    }),
    (Rule::AcknowledgeBeforeSync, |weather| {
        weather.is_unsynced = true;
    }),
    (Rule::CursorInAnotherFrame, |weather| {
        weather.has_crashes = true;
    }),
    (Rule::SenderRemembers, rolled_back),
    (Rule::ProofSkipped, |weather| {
        weather.has_lies = true;
    }),
    (Rule::UnequalOnce, |weather| {
        weather.has_lies = true;
    }),
    (Rule::RepairWithoutDelay, |weather| {
        weather.has_lies = true;
    }),
    (Rule::EchoSent, |_| {}),
    (Rule::UnknownPeerAtEnd, |_| {}),
    (Rule::HintIgnored, |_| {}),
    (Rule::RelayWithoutDelay, |_| {}),
    (Rule::RelayNotDone, |_| {}),
    (Rule::HeldBackHoldsUp, manual),
    (Rule::RelayDelayAnew, |_| {}),
    (Rule::RetryNotDone, |weather| {
        weather.has_disk_faults = true;
    }),
    (Rule::RetryNever, |weather| {
        weather.has_partitions = true;
    }),
    (Rule::RetryAtOnce, |weather| {
        weather.has_partitions = true;
    }),
    (Rule::RetryWithoutDoubling, |weather| {
        weather.has_partitions = true;
    }),
    (Rule::AttemptUnsent, |_| {}),
    (Rule::FailureNotShown, |weather| {
        weather.has_disk_faults = true;
    }),
    (Rule::RefusalBlocks, |weather| {
        weather.has_limits = true;
    }),
    (Rule::RefusalUnlisted, |weather| {
        weather.has_limits = true;
    }),
    (Rule::MemoryCounts, |_| {}),
    (Rule::PolicyIgnored, |_| {}),
    (Rule::PruneUnacknowledged, |_| {}),
    (Rule::SentWithoutTick, |_| {}),
    (Rule::BatchSizeIgnored, |_| {}),
    (Rule::RelayWaitsForTick, |_| {}),
    (Rule::EndTooFar, |_| {}),
    (Rule::CreditNotRenewed, |weather| {
        weather.has_large_values = true;
    }),
    (Rule::StretchWithoutEnd, rolled_back),
    (Rule::HintProves, |weather| {
        weather.has_lies = true;
    }),
    (Rule::UnequalIgnored, |weather| {
        weather.has_lies = true;
    }),
    (Rule::RefusalCounts, |weather| {
        weather.has_limits = true;
    }),
    (Rule::RangeEqualByCount, |weather| {
        (weather.begins_apart, weather.has_many_keys) = (true, true);
    }),
    (Rule::RangeSentWhole, |weather| {
        (weather.has_many_keys, weather.has_lies) = (true, true);
    }),
    (Rule::CoveredToEnd, |_| {}),
    (Rule::CoveredEarly, |weather| {
        (weather.begins_apart, weather.has_many_keys) = (true, true);
    }),
    (Rule::ShadowPassed, |weather| {
        (weather.is_unsynced, weather.loses_overwrites) = (true, true);
    }),
    (Rule::SmallerNotSent, |weather| {
        weather.begins_apart = true;
    }),
    (Rule::LesserNotExchanged, |weather| {
        weather.begins_apart = true;
    }),
    (Rule::WaitingNotReconciled, |_| {}),
    (Rule::ForgottenUnheeded, |weather| {
        weather.goes_back = true;
    }),
    (Rule::TwinUnheeded, |weather| {
        weather.has_copies = true;
    }),
    (Rule::TwinNewsIgnored, |weather| {
        weather.has_copies = true;
    }),
    (Rule::OlderTwinUnheeded, |weather| {
        weather.has_copies = true;
    }),
    (Rule::TwinWritesUnheeded, |weather| {
        weather.has_copies = true;
    }),
    (Rule::RenewedInName, |weather| {
        weather.has_copies = true;
    }),
    (Rule::LoserNotKept, manual),
    (Rule::KeptWithOwnStamp, manual),
    (Rule::KeptUnderOwnDot, manual),
    (Rule::KeptInOnePlace, manual),
    (Rule::KeptNotSent, manual),
    (Rule::KnownLoserShown, manual),
    (Rule::KeptCounted, manual),
    (Rule::KeptIsRow, manual),
    (Rule::LoserUntold, |_| {}),
    (Rule::LoserToldAgain, |_| {}),
    (Rule::AssertionNotMade, asserting),
    (Rule::AssertionUnflagged, asserting),
    (Rule::AssertionByOthers, asserting),
    (Rule::AssertionRepeated, asserting),
    (Rule::ResolvedBlindly, manual),
    (Rule::ResolvedCopiesLeft, manual),
    (Rule::SiblingsUnbounded, crowded),
    (Rule::SiblingsDroppedUntold, crowded),
    (Rule::ScopeIgnored, parted),
    (Rule::PeerScopeIgnored, |weather| {
        (weather.has_prefixes, weather.names_peers) = (true, true);
    }),
    (Rule::NarrowCursorTaken, parted),
    (Rule::WholeCompared, parted),
    (Rule::RowsOutsideCount, parted),
    (Rule::RowsPartedOnce, parted),
];

/// A rule by its name, and its weather.
pub(super) fn rule_of(name: &str) -> (Rule, Force) {
    let mut rules = RULES.iter();
    let found = rules.find(|(rule, _)| format!("{rule:?}") == name);
    *found.unwrap_or_else(|| panic!("there is no rule {name}"))
}

/// The first run that finds a broken rule and the text of its failure; or the reason why none does.
fn find(rule: Rule, force: Force) -> Result<(u64, String), String> {
    let first = FIRST_SEEDS.iter().find(|(other, _)| *other == rule);
    let first = first.map_or(0, |(_, seed)| *seed);
    let runs = number("SIMULATION_RUNS").unwrap_or(SEEDS_MAX);
    for seed in first..first + runs {
        let schedule = draw_in(seed, force);
        if let Err(told) = outcome(&schedule, Some(rule), false) {
            return match outcome(&schedule, None, false) {
                Ok(_) => Ok((seed, told)),
                Err(told) => {
                    let weather = format!("SIMULATION_WEATHER={rule:?} ");
                    let told = shortened(&schedule, &told, &weather);
                    Err(format!("seed {seed} fails by itself: {told}"))
                }
            };
        }
    }
    Err(format!("not found in {SEEDS_MAX} runs"))
}

/// `SIMULATION_RULES` names the rules to be broken, separated by commas, if not all are to be.
#[test]
fn every_rule_that_is_broken_is_found() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let missed = parking_lot::Mutex::new(Vec::new());
    let wanted = std::env::var("SIMULATION_RULES").ok();
    let work = || {
        while let Some((rule, force)) =
            RULES.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        {
            let name = format!("{rule:?}");
            if wanted
                .as_ref()
                .is_some_and(|wanted| !wanted.split(',').any(|one| one == name))
            {
                continue;
            }
            match find(*rule, *force) {
                Ok((seed, told)) => {
                    let told = told.lines().next().unwrap_or_default().to_owned();
                    println!("{rule:?}: seed {seed}: {told}");
                }
                Err(told) => missed.lock().push(format!("{rule:?}: {told}")),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let missed = missed.into_inner();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
