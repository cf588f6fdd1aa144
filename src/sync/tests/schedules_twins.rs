//! Copies of one folder that never meet: entries relayed between them show each that it is not alone.

use super::host::{Stop, options};
use super::stage::{MOMENT_MS, keys_sent, manual, stage};
use super::world::World;
use crate::store::conflict::policy::ConflictPolicy;
use crate::sync::identity::identity_conflict::{IdentityConflictReason, RENEWAL_DELAY_MS};

/// Longer than it takes until all entries are everywhere.
const A_WHILE_MS: u64 = 20_000;

impl World {
    /// Opens a host from a copy of another one's disk, lease included.
    fn copy(&mut self, from: usize, to: usize) {
        self.stop(to, Stop::Cleanly);
        self.hosts[to].storage = self.hosts[from].storage.image().process_killed();
        self.hosts[to].witness.clear();
        for twin in [from, to] {
            // Copies may give numbers twice.
            self.hosts[twin].rolled_back = true;
        }
        self.open(to);
        let [origin, twin] = [from, to].map(|host| self.hosts[host].up().replica.origin());
        assert_eq!(origin, twin);
    }

    fn reasons(&self, host: usize) -> Vec<IdentityConflictReason> {
        let renewals = self.renewals.iter();
        let of_host = renewals.filter(|(other, _)| *other == host);
        of_host.map(|(_, reason)| *reason).collect()
    }

    fn has_everywhere(&self, key: &str, value: &str) -> bool {
        (0..self.hosts.len()).all(|host| self.get(host, key).as_deref() == Some(value))
    }
}

/// Four hosts, the first and the last of which are copies that share earlier writes; the other two are between them.
fn apart() -> World {
    let mut world = stage(&[options(); 4]);
    world.put(0, "before", "1");
    world.run_for(MOMENT_MS);
    world.copy(0, 3);
    // Clocks go on, so that later writes can be told from earlier ones.
    world.run_for(MOMENT_MS);
    world
}

/// Connects all hosts, again after each new identity, until there is none.
fn settle(world: &mut World) {
    world.line();
    world.run_for(A_WHILE_MS);
    world.line();
    world.run_for(A_WHILE_MS);
    world.check_convergence();
    let origins = world.hosts.iter().map(|host| host.up().replica.origin());
    let origins: std::collections::BTreeSet<_> = origins.collect();
    assert_eq!(origins.len(), world.hosts.len());
}

#[test]
fn copies_that_both_write_are_both_told_by_what_others_pass_on() {
    for is_connected_before in [false, true] {
        let mut world = apart();
        if is_connected_before {
            world.line();
        }
        world.put(0, "of-the-first", "1");
        world.put(3, "of-the-last", "2");
        world.put(0, "of-both", "3");
        world.run_for(MOMENT_MS);
        world.put(3, "of-both", "4");
        settle(&mut world);
        for twin in [0, 3] {
            assert_eq!(world.reasons(twin).len(), 1, "{:?}", world.renewals);
        }
        assert_eq!(world.renewals.len(), 2);
        assert!(world.has_everywhere("of-the-first", "1"));
        assert!(world.has_everywhere("of-the-last", "2"));
        assert!(world.has_everywhere("of-both", "4"));
        world.put(0, "later", "5");
        world.put(3, "later-too", "6");
        world.run_for(A_WHILE_MS);
        assert!(world.has_everywhere("later", "5") && world.has_everywhere("later-too", "6"));
        assert_eq!(world.renewals.len(), 2, "nobody is told twice");
        world.check_convergence();
    }
}

#[test]
fn what_is_written_while_others_are_connected_is_told_to_be_of_a_copy() {
    let mut world = apart();
    world.line();
    world.put(0, "of-the-first", "1");
    world.put(3, "of-the-last", "2");
    settle(&mut world);
    assert_eq!(world.reasons(0), [IdentityConflictReason::Shared]);
    assert_eq!(world.reasons(3), [IdentityConflictReason::Shared]);
}

#[test]
fn of_a_copy_that_writes_nothing_nobody_can_know() {
    let mut world = apart();
    world.line();
    world.put(3, "of-the-last", "1");
    world.run_for(A_WHILE_MS);
    world.line();
    world.run_for(A_WHILE_MS);
    assert_eq!(world.renewals, [(0, IdentityConflictReason::Shared)]);
    assert!(world.has_everywhere("of-the-last", "1"));
    settle(&mut world);
    assert_eq!(world.renewals.len(), 1);
}

#[test]
fn whoever_wrote_over_a_copys_write_tells_of_it_as_well() {
    let mut world = apart();
    // The last host's write is gone when the first is reached, and the write that replaced it knew of it.
    world.put(3, "key", "1");
    world.connect(2, 3, 5);
    world.run_for(A_WHILE_MS);
    world.put(2, "key", "2");
    world.run_for(MOMENT_MS);
    world.line();
    world.run_for(A_WHILE_MS);
    assert_eq!(world.renewals, [(0, IdentityConflictReason::WentBack)]);
    settle(&mut world);
    assert!(world.has_everywhere("key", "2"));
}

#[test]
fn what_others_only_list_tells_of_a_copy_as_well() {
    let mut world = apart();
    world.put(2, "other", "1");
    for value in ["1", "2"] {
        world.put(3, "key", value);
        world.run_for(MOMENT_MS);
    }
    world.connect(2, 3, 5);
    world.connect(1, 2, 5);
    world.run_for(A_WHILE_MS);
    world.cut(1, 2);
    // The greater of the two entries is here, so that the lesser is not sent.
    world.put(0, "key", "3");
    world.run_for(MOMENT_MS);
    world.forget_what_was_said();
    // Host 1 has never met the copy.
    world.connect(0, 1, 5);
    world.run_for(MOMENT_MS);
    let said = world.said(1, 0);
    assert!(!keys_sent(&said).contains(&"key".to_owned()));
    assert_eq!(world.reasons(0).len(), 1, "{said:?}");
}

#[test]
fn lost_writes_that_come_home_through_others_tell_that_the_disk_went_back() {
    let mut world = stage(&[options(); 3]);
    world.put(0, "kept", "1");
    world.run_for(MOMENT_MS);
    world.hosts[0].image = Some(world.hosts[0].storage.image());
    world.line();
    world.put(0, "lost", "2");
    world.run_for(A_WHILE_MS);
    world.stop(0, Stop::Killed);
    let mut dice = super::dice::Dice::new(1);
    world.hosts[0].roll_back(&mut dice);
    world.run_for(MOMENT_MS);
    world.open(0);
    // Host 2 has never seen anything of host 0's feed.
    world.connect(0, 2, 5);
    world.run_for(MOMENT_MS);
    assert_eq!(world.renewals, [(0, IdentityConflictReason::WentBack)]);
    world.mesh();
    world.run_for(A_WHILE_MS);
    assert!(world.has_everywhere("lost", "2"));
    // The host that knew more of the feed has nothing to add to that.
    assert_eq!(world.renewals.len(), 1);
    world.check_convergence();
}

#[test]
fn what_shows_a_copy_too_soon_after_another_is_not_forgotten() {
    let mut world = apart();
    world.line();
    world.put(3, "first", "1");
    world.run_for(MOMENT_MS);
    assert_eq!(world.reasons(0).len(), 1);
    // The new identity is copied at once. A copy that was just opened is told at once.
    world.copy(0, 3);
    world.put(0, "second", "2");
    world.run_for(MOMENT_MS);
    // The copy's lineage record takes the place of the original's, and reaches the original through others.
    world.put(3, "third", "3");
    world.run_for(MOMENT_MS);
    world.line();
    world.run_for(A_WHILE_MS);
    assert_eq!(world.reasons(0).len(), 1);
    assert!(world.has_everywhere("third", "3"), "it hinders nothing");
    world.run_for(RENEWAL_DELAY_MS);
    assert_eq!(world.reasons(0).len(), 2, "it was not forgotten");
    settle(&mut world);
    world.run_for(3 * RENEWAL_DELAY_MS);
    assert_eq!(world.reasons(0).len(), 2);
    assert_eq!(world.reasons(3), [], "one of the two gives way");
    assert!(world.has_everywhere("second", "2") && world.has_everywhere("third", "3"));
}

#[test]
fn what_shows_a_copy_too_soon_is_not_forgotten_with_a_restart() {
    let mut world = apart();
    world.line();
    world.put(3, "first", "1");
    world.run_for(MOMENT_MS);
    world.copy(0, 3);
    world.line();
    world.put(3, "third", "3");
    world.run_for(A_WHILE_MS);
    assert_eq!(world.reasons(0).len(), 1, "it is too soon for another one");
    world.stop(0, Stop::Cleanly);
    world.open(0);
    world.run_for(100);
    assert_eq!(world.reasons(0).len(), 2, "nothing is shown again");
}

#[test]
fn own_writes_that_come_back_by_whatever_way_are_no_copys() {
    for options_of_first in [options(), manual()] {
        let mut world = stage(&[options_of_first, options(), options(), options()]);
        world.mesh();
        world.put_many(0, "a", 40);
        world.run_for(MOMENT_MS);
        world.tick(0, false);
        for host in 1..4 {
            world.put_many(host, "a", 20 + host);
            world.run_for(100);
        }
        world.run_for(A_WHILE_MS);
        for how in [Stop::Killed, Stop::PowerCut, Stop::Cleanly] {
            world.put_many(0, "b", 10);
            world.run_for(50);
            world.stop(0, how);
            world.open(0);
            world.put_many(0, "b", 3);
            world.mesh();
        }
        // A new host compares all its entries with all of theirs.
        world.stop(3, Stop::Killed);
        world.hosts[3].storage = crate::disk::memory::MemoryStorage::new();
        world.hosts[3].witness.clear();
        world.open(3);
        world.put(3, "a-00001", "again");
        world.mesh();
        world.tick(0, false);
        world.run_for(A_WHILE_MS);
        assert_eq!(world.renewals, []);
    }
}

#[test]
fn a_third_node_knows_who_wrote_where_the_first_opening_of_that_node_wrote_nothing() {
    let mut world = stage(&[options(); 3]);
    for _ in 0..2 {
        // Neither the first opening nor the second writes anything.
        world.stop(0, Stop::Cleanly);
        world.open(0);
    }
    world.run_for(MOMENT_MS);
    world.put(0, "key", "value");
    world.line();
    world.run_for(A_WHILE_MS);
    assert!(world.has_everywhere("key", "value"));
    let identity = world.hosts[0].up().replica.origin();
    let third = world.hosts[2].up();
    let author = third.map.entry(b"\0key").unwrap().unwrap().dot.origin;
    assert_ne!(author, identity);
    assert_eq!(third.map.lineage().identity_of(author), identity);
    let label = third.replica.author_label(author, third.map.lineage());
    assert_eq!(label, world.hosts[0].name);
    world.check_convergence();
}

/// Host 0 wrote `key` in one opening and overwrote it in the next, host 1 has both, and host 0's disk went back to
/// between the two. Host 0 is open again, and not connected; with `writes` it has written something else.
fn gone_back(policy: ConflictPolicy, writes: bool) -> World {
    let mut world = stage(&[options(); 3]);
    for host in &mut world.hosts {
        host.policy = policy;
        host.up_mut().committer.set_conflict_policy(policy);
    }
    world.put(0, "key", "old");
    world.connect(0, 1, 5);
    world.run_for(A_WHILE_MS);
    world.stop(0, Stop::Cleanly);
    let image = world.hosts[0].storage.image();
    world.open(0);
    world.connect(0, 1, 5);
    world.put(0, "key", "new");
    world.run_for(A_WHILE_MS);
    world.stop(0, Stop::Cleanly);
    world.hosts[0].storage = image.process_killed();
    world.hosts[0].witness.clear();
    world.hosts[0].rolled_back = true;
    world.open(0);
    if writes {
        world.put(0, "other", "1");
        world.run_for(MOMENT_MS);
    }
    world
}

/// Checks that every host holds the newer write, and that none took the two for a conflict.
fn assert_new_without_conflict(world: &World, case: &str) {
    for (host, up) in world.hosts.iter().enumerate() {
        assert_eq!(
            world.get(host, "key").as_deref(),
            Some("new"),
            "{case}: host {host}"
        );
        assert_eq!(up.losers, [], "{case}: host {host}");
        assert!(up.up().conflicts().is_empty(), "{case}: host {host}");
    }
}

#[test]
fn a_write_that_an_opening_lost_with_the_disk_is_no_conflict_with_what_it_replaced() {
    for policy in [
        ConflictPolicy::LastWriteWins,
        ConflictPolicy::KeepLocal,
        ConflictPolicy::KeepRemote,
        ConflictPolicy::Manual,
    ] {
        for (writes, is_busy) in [(false, false), (false, true), (true, false), (true, true)] {
            let case = format!("{policy:?}, writes: {writes}, is busy: {is_busy}");
            let mut world = gone_back(policy, writes);
            // A committer that is busy takes what came before it takes the new identity.
            world.holds_renewals = is_busy;
            world.connect(0, 1, 5);
            world.run_for(MOMENT_MS);
            world.release_renewals();
            world.run_for(A_WHILE_MS);
            world.line();
            world.run_for(A_WHILE_MS);
            assert_new_without_conflict(&world, &case);
            assert_eq!(
                world.reasons(0),
                [IdentityConflictReason::WentBack],
                "{case}"
            );
            world.check_convergence();
        }
    }
}

#[test]
fn who_meets_parted_histories_when_both_are_over_knows_of_both() {
    let mut world = gone_back(ConflictPolicy::Manual, true);
    let old = world.hosts[0]
        .up()
        .map
        .entry(b"\0key")
        .unwrap()
        .unwrap()
        .dot;
    world.connect(0, 1, 5);
    world.run_for(A_WHILE_MS);
    assert_eq!(world.reasons(0).len(), 1);
    let new = world.hosts[1]
        .up()
        .map
        .entry(b"\0key")
        .unwrap()
        .unwrap()
        .dot;
    // Host 2 has met nobody before, and meets only host 1.
    world.connect(1, 2, 5);
    world.run_for(A_WHILE_MS);
    let lineage = world.hosts[2].up().map.shared_lineage();
    assert!(lineage.has_seen(new.origin, old));
}
