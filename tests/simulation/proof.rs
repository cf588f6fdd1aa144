//! Runs of many seeds, and the reports of failures.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::drawing::{draw, draw_in};
use super::rules::rule_of;
use super::schedule::Schedule;
use super::shrinking::shrink;
use super::world::World;
use crate::core::rules::{Rule, break_rule};
use crate::store::tests::torture::{each_seed_of, number};

/// Seeds in the usual tests. `npm run torture -- --only simulation` runs many more.
const SEEDS: u64 = 2_000;

thread_local! {
    /// True while panics of this thread are reported by their catcher.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `act` without printing panics that are caught.
fn quietly<T>(act: impl FnOnce() -> T) -> T {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !IS_QUIET.get() {
                before(info);
            }
        }));
    });
    let before = IS_QUIET.replace(true);
    let outcome = act();
    IS_QUIET.set(before);
    outcome
}

/// Runs a schedule. Returns a digest of all events, or the text of the failure.
pub(super) fn outcome(
    schedule: &Schedule,
    broken: Option<Rule>,
    is_loud: bool,
) -> Result<u128, String> {
    // Each stop takes a new disk, and so may a step.
    let disks: Vec<OnceCell<_>> = (0..3 * (schedule.steps.len() + schedule.nodes.len()) + 8)
        .map(|_| OnceCell::new())
        .collect();
    break_rule(broken);
    let run = || {
        let mut world = World::new(schedule, &disks, is_loud);
        world.run(schedule);
        world.trace.digest()
    };
    let caught = quietly(|| catch_unwind(AssertUnwindSafe(run)));
    break_rule(None);
    caught.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "it panicked".to_owned())
    })
}

/// Runs a seed. A failure names the shortest failing schedule that was found, and the command that repeats it.
fn prove(seed: u64) -> Result<u64, String> {
    let schedule = draw(seed);
    match outcome(&schedule, None, false) {
        Ok(_) => Ok(1),
        Err(told) => Err(shortened(&schedule, &told, "")),
    }
}

/// The report of a failure: its text, the shortest failing schedule that was found, and the command that repeats it.
/// `weather`: the variable that makes some kinds of faults certain, with a space after it.
pub(super) fn shortened(schedule: &Schedule, told: &str, weather: &str) -> String {
    let seed = schedule.seed;
    let (short, last) = shrink(schedule, told.to_owned(), |schedule| {
        let other = outcome(schedule, None, false).err();
        other.filter(|other| sort_of(other) == sort_of(told))
    });
    let steps: Vec<String> = short
        .steps
        .iter()
        .map(|step| step.number.to_string())
        .collect();
    format!(
        "{told}\n\nThe shortest schedule found says: {last}\n{}\n\nto see it: {weather}SIMULATION_SEED={seed} \
         SIMULATION_NODES={} SIMULATION_STEPS={} cargo test --lib \
         simulation::proof::replayed -- --nocapture\n",
        short.shown(),
        short.nodes.len(),
        steps.join(","),
    )
}

/// The sort of a failure, by which two are compared: the beginning of its text without digits.
fn sort_of(told: &str) -> String {
    let words = told.chars().filter(|letter| !letter.is_ascii_digit());
    words.take(24).collect()
}

#[test]
fn whatever_happens_nodes_end_up_equal() {
    let runs = each_seed_of("node::simulation", "proof::whatever_happens", SEEDS, prove);
    assert!(runs >= 1);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..40 {
        let schedule = draw(seed);
        let [first, second] = [0, 1].map(|_| outcome(&schedule, None, false));
        assert_eq!(first, second, "seed {seed}");
    }
    let others: std::collections::BTreeSet<_> = (0..40)
        .map(|seed| outcome(&draw(seed), None, false).ok())
        .collect();
    assert_eq!(others.len(), 40, "different seeds give the same run");
}

/// Shows the run of `SIMULATION_SEED`; with only its first `SIMULATION_NODES` nodes and the steps `SIMULATION_STEPS`,
/// in the weather of the rule `SIMULATION_WEATHER`, and with the rule `SIMULATION_BROKEN` broken, if they are given.
#[test]
fn replayed() {
    let Some(seed) = number("SIMULATION_SEED") else {
        return;
    };
    let named = |variable| std::env::var(variable).ok().map(|name| rule_of(&name));
    let force = named("SIMULATION_WEATHER").map(|(_, force)| force);
    let schedule = force.map_or_else(|| draw(seed), |force| draw_in(seed, force));
    let nodes = number("SIMULATION_NODES").and_then(|nodes| usize::try_from(nodes).ok());
    let steps: Option<Vec<usize>> = std::env::var("SIMULATION_STEPS").ok().map(|steps| {
        let steps = steps.split(',').filter_map(|step| step.trim().parse().ok());
        steps.collect()
    });
    let schedule = schedule.with(nodes.unwrap_or(schedule.nodes.len()), |step| {
        steps
            .as_ref()
            .is_none_or(|steps| steps.contains(&step.number))
    });
    println!("{}", schedule.shown());
    let broken = named("SIMULATION_BROKEN").map(|(rule, _)| rule);
    let outcome = outcome(&schedule, broken, true);
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}
