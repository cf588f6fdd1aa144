//! Shrinking of a failing schedule to a short one that fails too: kinds of steps, nodes, and steps are left out as
//! long as it fails.

use super::schedule::Schedule;

/// Most runs of the shrinking.
const RUNS_MAX: usize = 400;

/// The shortest failing schedule found, and the text of its failure.
pub(super) fn shrink(
    schedule: &Schedule,
    told: String,
    fails: impl Fn(&Schedule) -> Option<String>,
) -> (Schedule, String) {
    let mut best = (schedule.clone(), told);
    let mut runs = 0;
    let mut is_worse = |candidate: Schedule, best: &mut (Schedule, String)| {
        runs += 1;
        if runs > RUNS_MAX {
            return false;
        }
        let told = fails(&candidate);
        told.map(|told| *best = (candidate, told)).is_some()
    };
    let mut kinds: Vec<&str> = schedule
        .steps
        .iter()
        .map(|step| step.action.kind())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let without = best
            .0
            .with(best.0.nodes.len(), |step| step.action.kind() != kind);
        is_worse(without, &mut best);
    }
    while best.0.nodes.len() > 2 {
        let fewer = best.0.with(best.0.nodes.len() - 1, |_| true);
        if fewer.edges.is_empty() || !is_worse(fewer, &mut best) {
            break;
        }
    }
    let mut length = best.0.steps.len().div_ceil(2);
    loop {
        let mut begin = 0;
        while begin < best.0.steps.len() {
            let left_out: Vec<usize> = {
                let steps = best.0.steps.iter().skip(begin).take(length);
                steps.map(|step| step.number).collect()
            };
            let without = best
                .0
                .with(best.0.nodes.len(), |step| !left_out.contains(&step.number));
            if !is_worse(without, &mut best) {
                begin += length;
            }
        }
        if length <= 1 {
            return best;
        }
        length = length.div_ceil(2);
    }
}
