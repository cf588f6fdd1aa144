//! Groups that are planned before the group before them is installed: the result is as if each had waited for the
//! other, in spite of any failure of the disk.

use proptest::prelude::*;

use super::conflicts::Writer;
use super::{Model, check, model_write, operation, reopen};
use crate::core::clock::WallMs;
use crate::disk::memory::{Fault, MemoryStorage};
use crate::store::commit::appended::Appended;
use crate::store::commit::committer::{Committed, Committer, Durability, Refused};
use crate::store::commit::install::install_some;
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Operation, Receipt, Received, Request};
use crate::store::conflict::policy::ConflictPolicy;
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::wal::log::syncing::SyncJob;

type Writes = Vec<(u8, Option<u8>)>;

/// Outcome of a run.
#[derive(Default)]
struct Told {
    receipts: Vec<Receipt>,
    refused: Vec<u64>,
    /// Disk calls made by the end of each group, with the number of receipts by then.
    promises: Vec<(u64, usize)>,
}

impl Told {
    fn install(&mut self, mut committed: Committed, map: &mut EntryMap, disk: &MemoryStorage) {
        while !install_some(&mut committed, map).is_empty() {}
        self.receipts.extend(committed.receipts);
        self.promises.push((disk.calls(), self.receipts.len()));
    }

    fn refuse(&mut self, refused: &Refused) {
        self.refused.extend(&refused.tickets);
    }
}

fn sync(appended: &mut Appended) -> std::io::Result<()> {
    appended.job.take().map_or(Ok(()), SyncJob::run)
}

/// Commits each group while the one before it is synced, as the commit thread does.
fn overlapped(
    groups: Vec<Vec<Request>>,
    committer: &mut Committer,
    map: &mut EntryMap,
    disk: &MemoryStorage,
) -> Told {
    let mut reported = Told::default();
    let mut flight: Option<Appended> = None;
    for group in groups {
        let plan = committer.plan_after(flight.as_ref(), group, map, WallMs(9));
        let mut landed = None;
        if let Some(mut before) = flight.take() {
            let outcome = sync(&mut before);
            if outcome.is_err() {
                let later = committer.take_back(plan, StoreError::Stopped);
                reported.refuse(&committer.complete(before, outcome).unwrap_err());
                reported.refuse(&later);
                continue;
            }
            landed = Some(committer.complete(before, outcome).unwrap());
        }
        let appended = committer.append(plan, false);
        if let Some(landed) = landed {
            reported.install(landed, map, disk);
        }
        match appended {
            Ok(appended) => flight = Some(appended),
            Err(refused) => reported.refuse(&refused),
        }
    }
    if let Some(mut last) = flight {
        let outcome = sync(&mut last);
        match committer.complete(last, outcome) {
            Ok(landed) => reported.install(landed, map, disk),
            Err(refused) => reported.refuse(&refused),
        }
    }
    reported
}

fn requests(groups: &[Writes]) -> Vec<Vec<Request>> {
    let mut ticket = 0;
    let mut request = |(key, value): &(u8, Option<u8>)| {
        ticket += 1;
        let operation = operation(*key, *value);
        Request::Write { ticket, operation }
    };
    let groups = groups.iter();
    groups
        .map(|group| group.iter().map(&mut request).collect())
        .collect()
}

fn groups() -> impl Strategy<Value = Vec<Writes>> {
    let write = (0_u8..5, proptest::option::weighted(0.7, 0_u8..4));
    proptest::collection::vec(proptest::collection::vec(write, 1..5), 1..10)
}

/// State after the first `count` writes.
fn model(groups: &[Writes], count: usize) -> Model {
    let mut model = Model::new();
    for (key, value) in groups.iter().flatten().take(count) {
        model_write(&mut model, *key, *value);
    }
    model
}

proptest! {
    #[test]
    fn groups_that_overlap_are_as_groups_that_wait(groups in groups()) {
        let disk = MemoryStorage::new();
        let (mut committer, mut map) = reopen(&disk, Durability::Synced, 0);
        disk.record_crash_points(true);
        let reported = overlapped(requests(&groups), &mut committer, &mut map, &disk);
        let mut all = Model::new();
        for (receipt, (key, value)) in reported.receipts.iter().zip(groups.iter().flatten()) {
            let wanted = model_write(&mut all, *key, *value);
            prop_assert_eq!((receipt.status, receipt.version), wanted);
        }
        prop_assert_eq!(reported.receipts.len(), groups.iter().flatten().count());
        prop_assert_eq!(map.totals(), map.recount().unwrap());
        check(&mut map, &all);
        drop(committer);
        for (number, point) in disk.take_crash_points().into_iter().enumerate() {
            let promises = reported.promises.iter().rev();
            let promised = promises.filter(|(calls, _)| *calls <= point.calls).map(|promise| promise.1).next();
            let (_, left) = reopen(&point.image.power_cut(number as u64), Durability::Synced, 1);
            let is_prefix = (promised.unwrap_or(0)..=reported.receipts.len()).any(|count| {
                let model = model(&groups, count);
                let live = model.values().filter(|(value, _)| value.is_some()).count();
                left.len() == live && model.iter().all(|(key, (value, version))| {
                    let held = left.entry(&[0, b'k', *key]).unwrap();
                    let held = held.map(|held| (held.value().map(|value| value[0]), held.version));
                    held == (*version > 0).then_some((*value, *version))
                })
            });
            prop_assert!(is_prefix, "cut before call {}: {:?} promised", point.calls, promised);
            prop_assert_eq!(left.totals(), left.recount().unwrap());
        }
    }

    #[test]
    fn whatever_call_fails_what_was_refused_is_not_shown_and_what_was_accepted_stays(
        groups in groups(),
        call in 1_u64..30,
        short in 0_usize..200,
        seed: u64,
    ) {
        let disk = MemoryStorage::new();
        let (mut committer, mut map) = reopen(&disk, Durability::Synced, 0);
        let fault = Fault::Short { bytes: short, error: std::io::ErrorKind::Other };
        disk.fail_call(disk.calls() + call, fault);
        let reported = overlapped(requests(&groups), &mut committer, &mut map, &disk);
        let accepted = reported.receipts.len();
        prop_assert_eq!(accepted + reported.refused.len(), groups.iter().flatten().count());
        prop_assert!(reported.refused.is_empty() || committer.poisoned().is_some());
        prop_assert_eq!(map.totals(), map.recount().unwrap());
        check(&mut map, &model(&groups, accepted));
        drop(committer);
        disk.heal();
        let (_, left) = reopen(&disk.image().power_cut(seed), Durability::Synced, 1);
        for (key, (_, version)) in model(&groups, accepted) {
            let held = left.entry(&[0, b'k', key]).unwrap();
            prop_assert!(version == 0 || held.is_some_and(|held| held.version >= version), "{key} is lost");
        }
    }
}

/// A request that had no room in a group is answered with the group that takes it up, and only then.
#[test]
fn what_is_left_over_does_not_share_the_fate_of_its_group() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = reopen(&disk, Durability::Synced, 0);
    committer.set_conflict_policy(ConflictPolicy::Manual);
    let mut peer = Writer::new(7, ConflictPolicy::Manual);
    for number in 0..40_u64 {
        let (key, value) = (format!("key-{number}"), vec![1; 300_000]);
        let operation = Operation::put(key.as_bytes(), &value, false).unwrap();
        super::commit(
            &mut committer,
            &mut map,
            vec![Request::Write {
                ticket: 1,
                operation,
            }],
        );
        peer.put(key.as_bytes(), &vec![2; 300_000]);
    }
    let received = |token| {
        Request::Received(Received {
            peer: peer.committer.ledger().origin,
            token,
            from: FeedPosition::default(),
            position: FeedPosition::default(),
            scope: Scope::ALL,
            entries: peer.all_own(),
        })
    };
    let write = |ticket| Request::Write {
        ticket,
        operation: operation(1, Some(1)),
    };
    let group = vec![write(5), received(6), write(7)];
    let plan = committer.plan(group, &map, WallMs(9));
    let mut appended = committer.append(plan, false).unwrap();
    let rest = appended.take_rest();
    assert_eq!(
        rest.iter().map(Request::ticket).collect::<Vec<_>>(),
        [None, Some(7)]
    );
    assert_eq!(appended.tickets(), [5]);
    let later = committer.plan_after(Some(&appended), rest, &map, WallMs(9));
    let later = committer.take_back(later, StoreError::Stopped);
    assert_eq!(
        (&later.tickets[..], &later.tokens[..]),
        (&[7][..], &[6][..])
    );
    drop(appended.job.take());
    let failed = Err(std::io::ErrorKind::Other.into());
    let refused = committer.complete(appended, failed).unwrap_err();
    assert_eq!((&refused.tickets[..], refused.tokens.len()), (&[5][..], 0));
}
