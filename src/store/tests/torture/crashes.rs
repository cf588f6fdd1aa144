//! The power is cut, or the process killed, before every call that changes the disk, during generated lives and during
//! the recovery from an earlier stop.

use super::checking::Left;
use super::life::{Life, Wrong, live};
use super::making::Node;
use super::{Told, each_seed, is_usual};
use crate::disk::memory::MemoryStorage;

/// Stops one life everywhere. Returns the number of checked disk images.
pub(super) fn stop_everywhere(seed: u64, wrong: &Wrong) -> Told<u64> {
    let (life, _) = live(seed, wrong)?;
    let mut images = 0;
    for (at, epoch) in life.epochs.iter().enumerate() {
        for (index, point) in epoch.points.iter().enumerate() {
            let outcome = seed ^ ((index as u64) << 24) ^ ((at as u64) << 50);
            for (cut, killed) in [(1_u64, false), (2, false), (3, true)] {
                let outcome = outcome.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ cut;
                let left = Left {
                    life: &life,
                    wrong,
                    promise: epoch.promise_at(point.calls),
                    killed,
                };
                let disk = if killed {
                    point.image.process_killed()
                } else {
                    point.image.power_cut(outcome)
                };
                let reported = |reported| {
                    let how = if killed { "killed" } else { "cut" };
                    format!(
                        "stretch {at}, {how} before call {}: {reported}",
                        point.calls + 1
                    )
                };
                images += if (outcome >> 40).is_multiple_of(4) {
                    stop_again(&left, &life, &disk, outcome).map_err(reported)?
                } else {
                    left.check(&disk, outcome).map_err(reported)?;
                    1
                };
            }
        }
    }
    Ok(images)
}

/// Stops the recovery once more, at each of its steps.
fn stop_again(left: &Left<'_>, life: &Life, disk: &MemoryStorage, outcome: u64) -> Told<u64> {
    disk.record_crash_points(true);
    left.wrong.on(disk, |storage| {
        let opened = Node::open(storage, life.durability, 199, None);
        opened
            .map(|_| ())
            .map_err(|error| format!("it does not open: {error}"))
    })?;
    let mut images = 0;
    for second in disk.take_crash_points() {
        let reported = |reported| format!("then before call {}: {reported}", second.calls + 1);
        let cut = Left {
            promise: left.promise.clone(),
            killed: false,
            ..*left
        };
        let outcome = outcome ^ (second.calls << 8);
        cut.check(&second.image.power_cut(outcome), outcome)
            .map_err(reported)?;
        left.check(&second.image.process_killed(), outcome)
            .map_err(reported)?;
        images += 2;
    }
    Ok(images)
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_is_cut_or_the_process_killed() {
    let images = each_seed("crashes", 36, |seed| {
        stop_everywhere(seed, &Wrong::default())
    });
    assert!(images >= 50_000 || !is_usual(), "{images}");
}

#[test]
fn lives_make_checkpoints_and_meet_failures() {
    let (mut checkpoints, mut broken) = (0, 0);
    for seed in 0..60 {
        let (life, _) = live(seed, &Wrong::default()).unwrap();
        checkpoints += life.checkpoints;
        broken += life.broken;
    }
    println!("{checkpoints} checkpoints, {broken} failures");
    assert!(checkpoints > 60 && broken > 3, "{checkpoints} {broken}");
}
