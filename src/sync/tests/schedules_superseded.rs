//! Superseded resolutions: an entry that settles a conflict may be overtaken before it has left, or travel another way
//! than the removal of the losers. The host that settled it may be lost at any moment: writes removed elsewhere must
//! not be lost with it.

use super::host::{Host, Stop, options};
use super::stage::{MOMENT_MS, manual};
use super::world::World;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::commit::committer::Durability;
use crate::store::conflict::policy::ConflictPolicy::{self, LastWriteWins, Manual};
use crate::store::conflict::policy::loser_of;
use crate::store::entry::Entry;
use crate::sync::options::ReplicaOptions;

/// Three hosts that each wrote `doc`, and all know it. Host 2 is between the others.
fn in_conflict(policies: [ConflictPolicy; 3]) -> World {
    let hosts = policies.iter().enumerate().map(|(place, policy)| {
        let mut host = Host::new(&format!("node-{place}"), manual(), Durability::Synced);
        host.policy = *policy;
        host
    });
    let mut world = World::new(7, hosts.collect());
    for host in 0..3 {
        world.put(host, "doc", &format!("of {host}"));
        world.run_for(MOMENT_MS);
    }
    between(&mut world);
    for host in 0..3 {
        world.tick(host, false);
    }
    world.run_for(60_000);
    assert_eq!(versions(&world, 1).len(), 3);
    world
}

fn between(world: &mut World) {
    world.connect(0, 2, 5);
    world.connect(1, 2, 5);
    world.run_for(MOMENT_MS);
}

/// Entries of `doc` that a host holds: the current one, and the losers.
fn held(world: &World, host: usize) -> Vec<Entry> {
    let map = &world.hosts[host].up().map;
    let kept = map.sibling_page(b"doc", true, None, loser_of).unwrap();
    let current = map.entry(b"\0doc").unwrap().unwrap().into_owned();
    std::iter::once(current).chain(kept.losers).collect()
}

/// Value lengths of `doc` as a host shows it: of the current version, and of the losers, newest first.
fn versions(world: &World, host: usize) -> Vec<usize> {
    let conflicts = world.hosts[host].up().conflicts();
    let all = conflicts
        .iter()
        .flat_map(|one| std::iter::once(&one.current).chain(&one.losers));
    all.map(Entry::value_length).collect()
}

/// Checks for `ms` that a host holds each of these writes, or one that knows of it, at any moment.
fn check_that_none_is_missed(world: &mut World, host: usize, writes: &[Entry], ms: u64) {
    for _ in 0..ms {
        world.run_for(1);
        let held = held(world, host);
        let lineage = world.hosts[host].up().map.lineage();
        for write in writes {
            assert!(
                held.iter().any(|held| held.follows(write, lineage)),
                "{} misses {write:?}",
                world.at
            );
        }
    }
}

#[test]
fn losers_are_removed_behind_what_settled_them_also_where_that_was_overtaken() {
    for large in [0, CHUNK_BYTES_MAX + 1] {
        let mut world = in_conflict([Manual; 3]);
        let writes = held(&world, 0);
        world.resolve(0, b"doc", &vec![b'.'; large]);
        world.run_for(MOMENT_MS);
        // The entries in between are sent in several batches.
        world.put_many(2, "between", 3_000);
        world.run_for(MOMENT_MS);
        world.tick(2, false);
        world.tick(2, false);
        world.tick(2, false);
        world.run_for(MOMENT_MS);
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        world.cut(1, 2);
        world.put(2, "doc", "later");
        world.run_for(MOMENT_MS);
        world.tick(2, false);
        check_that_none_is_missed(&mut world, 1, &writes, 5_000);
        assert_eq!(versions(&world, 1), ["later".len(), large]);
        between(&mut world);
        world.run_for(7_200_000);
        world.check_convergence();
    }
}

#[test]
fn they_are_removed_behind_it_also_where_it_replaced_another_one_or_came_with_what_overtook_it() {
    for is_at_once in [false, true] {
        let mut world = in_conflict([Manual; 3]);
        let writes = held(&world, 0);
        let large = vec![b'.'; CHUNK_BYTES_MAX + 1];
        world.connect(0, 1, 5);
        world.run_for(MOMENT_MS);
        world.cut(1, 2);
        if !is_at_once {
            world.resolve(0, b"doc", b"settled");
            world.run_for(MOMENT_MS);
            world.write(0, b"doc", Some(&large));
        }
        world.hosts[2].skew_ms = 60_000;
        world.put(2, "doc", "later");
        world.run_for(MOMENT_MS);
        world.tick(2, false);
        if is_at_once {
            // Commits are slow: entries that come meanwhile are planned together with the resolution.
            world.commit_ms = 1_000;
            world.run_for(2);
            world.resolve(0, b"doc", &large);
        }
        check_that_none_is_missed(&mut world, 1, &writes, 5_000);
        assert_eq!(versions(&world, 1), ["later".len(), large.len()]);
        between(&mut world);
        world.run_for(7_200_000);
        world.check_convergence();
    }
}

/// Hosts 0 and 1 wrote apart and have not met before; the resolution is among all that differs.
fn settled_apart(options: ReplicaOptions, value: usize) -> (World, Vec<Entry>) {
    let mut world = in_conflict([Manual; 3]);
    let writes = held(&world, 0);
    world.stop(0, Stop::Cleanly);
    world.stop(1, Stop::Cleanly);
    world.hosts[0].options = options;
    world.hosts[1].options = options;
    world.open(0);
    world.open(1);
    world.resolve(0, b"doc", &vec![b'.'; value]);
    world.put_many(0, "a", 2_000);
    world.put_many(1, "b", 2_000);
    world.run_for(MOMENT_MS);
    (world, writes)
}

#[test]
fn where_states_are_compared_losers_are_removed_behind_all_that_differs() {
    for value in [1, CHUNK_BYTES_MAX + 1] {
        let (mut world, writes) = settled_apart(options(), value);
        world.connect(0, 1, 5);
        check_that_none_is_missed(&mut world, 1, &writes, 5_000);
        assert!(versions(&world, 1).is_empty());
        world.run_for(7_200_000);
        between(&mut world);
        world.run_for(60_000);
        world.tick(2, false);
        world.run_for(7_200_000);
        world.check_convergence();
    }
}

#[test]
fn nor_are_they_removed_before_its_tick_where_states_are_compared_with_the_only_peer() {
    let (mut world, writes) = settled_apart(manual(), 1);
    world.connect(0, 1, 5);
    check_that_none_is_missed(&mut world, 1, &writes, 5_000);
    assert_eq!(versions(&world, 1).len(), 3);
    for _ in 0..3 {
        world.tick(0, false);
        check_that_none_is_missed(&mut world, 1, &writes, 5_000);
    }
    assert!(versions(&world, 1).is_empty());
}

/// Under *lastWriteWins* a superseded resolution is reported and gone, like any other loser. Its author has seen the
/// losers that it settled, and wanted them no more.
#[test]
fn where_the_last_write_wins_an_overtaken_end_of_a_conflict_is_told_and_settles_it() {
    let mut world = in_conflict([LastWriteWins, Manual, Manual]);
    world.resolve(0, b"doc", b"settled");
    world.run_for(MOMENT_MS);
    world.put(2, "doc", "later");
    world.run_for(MOMENT_MS);
    world.tick(2, false);
    world.run_for(60_000);
    let reported = world.hosts[0].losers.last().unwrap();
    assert_eq!(reported.value(), Some(&b"settled"[..]));
    assert_eq!(world.get(1, "doc"), Some("later".to_owned()));
    assert!((0..3).all(|host| versions(&world, host).is_empty()));
}
