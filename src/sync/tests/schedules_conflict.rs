//! Concurrent writes, under each policy and under several at once.

use super::host::{Host, Stop, options};
use super::stage::{MOMENT_MS, manual};
use super::world::World;
use crate::store::commit::committer::Durability;
use crate::store::commit::operation::Request;
use crate::store::conflict::policy::ConflictPolicy::{
    self, KeepLocal, KeepRemote, LastWriteWins, Manual,
};
use crate::store::entry::EntryFlags;

/// Hosts with these policies, none connected.
fn apart(policies: &[ConflictPolicy]) -> World {
    let hosts = policies.iter().enumerate().map(|(place, policy)| {
        let mut host = Host::new(&format!("node-{place}"), options(), Durability::Synced);
        host.policy = *policy;
        host
    });
    let mut world = World::new(7, hosts.collect());
    world.log = Some(Vec::new());
    world
}

/// Each host wrote `doc`; the higher its number, the later.
fn written(policies: &[ConflictPolicy]) -> World {
    let mut world = apart(policies);
    for host in 0..policies.len() {
        world.put(host, "doc", &format!("of {host}"));
        world.run_for(MOMENT_MS);
    }
    world
}

impl World {
    fn sequences(&self) -> Vec<u64> {
        let hosts = self.hosts.iter();
        let ledgers = hosts.map(|host| host.up().committer.ledger().last_sequence);
        ledgers.collect()
    }

    /// Checks that all hosts show the same, none writes any more, and nothing is left to say.
    fn agree(&mut self, key: &str) -> Option<String> {
        self.run_for(60_000);
        let (written, said) = (self.sequences(), self.messages);
        self.run_for(7_200_000);
        assert_eq!(self.sequences(), written, "they go on writing");
        assert_eq!(self.messages, said, "they go on talking");
        self.check_convergence();
        let shown = self.get(0, key);
        for host in 1..self.hosts.len() {
            assert_eq!(self.get(host, key), shown, "{host} differs");
        }
        shown
    }

    /// The open conflict of `doc` as a host shows it: the current version, then the losers, newest first.
    fn versions(&self, host: usize) -> Vec<Option<String>> {
        let conflicts = self.hosts[host].up().conflicts();
        assert!(conflicts.len() <= 1);
        let Some(conflict) = conflicts.first() else {
            return Vec::new();
        };
        let all = std::iter::once(&conflict.current).chain(&conflict.losers);
        all.map(|entry| {
            let value = entry.value()?;
            Some(String::from_utf8_lossy(value).into_owned())
        })
        .collect()
    }

    fn reported(&self, host: usize) -> Vec<Option<Vec<u8>>> {
        let losers = self.hosts[host].losers.iter();
        losers
            .map(|loser| loser.value().map(<[u8]>::to_vec))
            .collect()
    }

    fn is_rewritten_by_policy(&self, host: usize) -> bool {
        let map = &self.hosts[host].up().map;
        let entry = map.entry(b"\0doc").unwrap().unwrap();
        entry.flags.contains(EntryFlags::REWRITTEN_BY_POLICY)
    }
}

#[test]
fn the_last_write_wins_and_the_other_is_told_once_on_each_side() {
    let mut world = written(&[LastWriteWins, LastWriteWins]);
    world.mesh();
    assert_eq!(world.agree("doc"), Some("of 1".to_owned()));
    for host in 0..2 {
        assert_eq!(world.reported(host), [Some(b"of 0".to_vec())]);
        assert!(world.versions(host).is_empty());
    }
    assert_eq!(world.sequences(), [1, 1]);
    // After another connection the conflict is not told again.
    world.cut(0, 1);
    world.mesh();
    assert_eq!(world.reported(0).len(), 1);
}

#[test]
fn a_write_that_knew_the_other_is_no_conflict() {
    let mut world = apart(&[Manual, Manual]);
    world.put(0, "doc", "first");
    world.mesh();
    world.put(1, "doc", "second");
    world.run_for(MOMENT_MS);
    world.put(0, "doc", "third");
    assert_eq!(world.agree("doc"), Some("third".to_owned()));
    for host in 0..2 {
        assert!(world.reported(host).is_empty() && world.versions(host).is_empty());
    }
}

#[test]
fn the_same_content_on_both_sides_is_no_conflict() {
    let mut world = apart(&[Manual, KeepLocal]);
    world.put(0, "doc", "same");
    world.put(1, "doc", "same");
    world.put(0, "gone", "x");
    world.mesh();
    world.cut(0, 1);
    world.write(0, b"gone", None);
    world.write(1, b"gone", None);
    world.mesh();
    world.agree("doc");
    assert!(world.reported(0).is_empty() && world.reported(1).is_empty());
    assert!(world.versions(0).is_empty());
}

#[test]
fn keep_local_writes_its_own_once_more_where_it_lost() {
    let mut world = written(&[KeepLocal, LastWriteWins]);
    world.mesh();
    assert_eq!(world.agree("doc"), Some("of 0".to_owned()));
    assert_eq!(world.sequences(), [2, 1]);
    assert!(world.is_rewritten_by_policy(0) && world.is_rewritten_by_policy(1));
}

#[test]
fn keep_local_has_nothing_to_write_where_it_won() {
    let mut world = written(&[LastWriteWins, KeepLocal]);
    world.mesh();
    assert_eq!(world.agree("doc"), Some("of 1".to_owned()));
    assert_eq!(world.sequences(), [1, 1]);
}

#[test]
fn keep_remote_writes_the_other_once_more_where_it_lost() {
    let mut world = written(&[LastWriteWins, KeepRemote]);
    world.mesh();
    assert_eq!(world.agree("doc"), Some("of 0".to_owned()));
    assert_eq!(world.sequences(), [1, 2]);
    assert!(world.is_rewritten_by_policy(0) && world.is_rewritten_by_policy(1));
}

#[test]
fn who_wrote_none_of_the_two_writes_nothing() {
    for policy in [KeepLocal, KeepRemote] {
        let mut world = written(&[LastWriteWins, LastWriteWins]);
        world.hosts.push({
            let mut host = Host::new("node-2", options(), Durability::Synced);
            host.policy = policy;
            host
        });
        world.open(2);
        world.connect(0, 2, 5);
        world.connect(1, 2, 5);
        assert_eq!(world.agree("doc"), Some("of 1".to_owned()));
        assert_eq!(world.sequences(), [1, 1, 0]);
        assert_eq!(world.reported(2), [Some(b"of 0".to_vec())]);
    }
}

#[test]
fn a_removal_against_a_write_is_a_conflict() {
    let mut world = apart(&[Manual, Manual]);
    world.put(0, "doc", "first");
    world.mesh();
    world.cut(0, 1);
    world.write(0, b"doc", None);
    world.run_for(MOMENT_MS);
    world.put(1, "doc", "second");
    world.run_for(MOMENT_MS);
    world.mesh();
    assert_eq!(world.agree("doc"), Some("second".to_owned()));
    for host in 0..2 {
        assert_eq!(world.versions(host), [Some("second".to_owned()), None]);
        assert_eq!(world.reported(host), [None]);
    }
    world.resolve(1, b"doc", b"both");
    assert_eq!(world.agree("doc"), Some("both".to_owned()));
    assert!(world.versions(0).is_empty() && world.versions(1).is_empty());
}

#[test]
fn keep_local_removes_once_more() {
    let mut world = apart(&[KeepLocal, LastWriteWins]);
    world.put(0, "doc", "first");
    world.mesh();
    world.cut(0, 1);
    world.write(0, b"doc", None);
    world.run_for(MOMENT_MS);
    world.put(1, "doc", "second");
    world.run_for(MOMENT_MS);
    world.mesh();
    assert_eq!(world.agree("doc"), None);
    assert!(world.is_rewritten_by_policy(1));
}

#[test]
fn manual_keeps_the_same_loser_wherever_it_is_seen_and_on_all_nodes() {
    let mut world = written(&[Manual, Manual, LastWriteWins]);
    world.connect(0, 1, 5);
    world.run_for(MOMENT_MS);
    world.connect(1, 2, 5);
    assert_eq!(world.agree("doc"), Some("of 2".to_owned()));
    for host in 0..3 {
        let versions = [
            Some("of 2".to_owned()),
            Some("of 1".to_owned()),
            Some("of 0".to_owned()),
        ];
        assert_eq!(world.versions(host), versions, "{host}");
        assert_eq!(world.hosts[host].up().map.len(), 1);
    }
    let totals = world.hosts[2].up().map.totals();
    assert_eq!(totals.summary.count, 3, "one entry a loser");
    assert_eq!(world.sequences(), [1, 1, 1], "nobody wrote anything new");
    assert_eq!(world.counts(0).total(), 0, "what was overtaken is no work");
}

#[test]
fn a_plain_write_settles_nothing_and_a_resolution_all() {
    let mut world = written(&[Manual, LastWriteWins, LastWriteWins]);
    world.mesh();
    world.agree("doc");
    // A host that wrote none of the losers knows none of them by writing.
    world.put(2, "doc", "later");
    assert_eq!(world.agree("doc"), Some("later".to_owned()));
    let open = world.versions(2);
    assert!(open.contains(&Some("of 0".to_owned())), "{open:?}");
    world.resolve(1, b"doc", b"settled");
    assert_eq!(world.agree("doc"), Some("settled".to_owned()));
    for host in 0..3 {
        assert!(world.versions(host).is_empty(), "{host}");
    }
    let map = &world.hosts[0].up().map;
    let settled = map.entry(b"\0doc").unwrap().unwrap();
    assert_eq!(settled.vector().len(), 2, "it knows all three authors");
}

#[test]
fn what_is_resolved_stays_so_when_the_loser_comes_again() {
    let mut world = written(&[Manual, Manual, Manual]);
    // Host 2 has met nobody, and holds a write of `doc` that the resolution does not know.
    world.connect(0, 1, 5);
    world.run_for(MOMENT_MS);
    world.resolve(0, b"doc", b"settled");
    world.run_for(MOMENT_MS);
    assert!(world.versions(1).is_empty());
    world.stop(1, Stop::PowerCut);
    world.open(1);
    world.mesh();
    world.agree("doc");
    for host in 0..3 {
        let versions = world.versions(host);
        assert_eq!(versions.len(), 2, "{versions:?}");
        assert!(
            !versions.contains(&Some("of 0".to_owned()))
                && !versions.contains(&Some("of 1".to_owned()))
        );
    }
}

#[test]
fn every_mixture_of_policies_comes_to_rest_and_writes_each_write_once_more_at_most() {
    let all = [LastWriteWins, KeepLocal, KeepRemote, Manual];
    for a in all {
        for b in all {
            for c in all {
                let mut world = written(&[a, b, c]);
                world.connect(0, 1, 5);
                world.run_for(MOMENT_MS);
                world.connect(1, 2, 5);
                world.agree("doc");
                let written = world.sequences();
                assert!(
                    written.iter().all(|count| *count <= 2),
                    "{a:?} {b:?} {c:?}: {written:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_written_once_more_is_an_own_row_and_waits_for_a_tick() {
    let mut world = apart(&[KeepLocal, LastWriteWins]);
    world.hosts[0].options = manual();
    world.stop(0, Stop::Cleanly);
    world.open(0);
    world.put(0, "doc", "of 0");
    world.run_for(MOMENT_MS);
    world.put(1, "doc", "of 1");
    world.run_for(MOMENT_MS);
    world.mesh();
    assert_eq!(world.get(0, "doc"), Some("of 0".to_owned()));
    assert_eq!(world.get(1, "doc"), Some("of 1".to_owned()));
    assert_eq!((world.counts(0).queued, world.counts(0).total()), (1, 1));
    assert_eq!(world.tick(0, false).batch, 1);
    assert_eq!(world.agree("doc"), Some("of 0".to_owned()));
    assert_eq!(world.counts(0).acknowledged, 1);
}

#[test]
fn it_outlives_a_power_cut_with_the_cursor_that_it_came_with() {
    let mut world = written(&[KeepLocal, Manual]);
    world.mesh();
    world.stop(0, Stop::PowerCut);
    world.stop(1, Stop::PowerCut);
    world.open(0);
    world.open(1);
    world.mesh();
    assert_eq!(world.agree("doc"), Some("of 0".to_owned()));
    assert_eq!(world.sequences(), [2, 1]);
    assert!(world.is_rewritten_by_policy(0) && world.is_rewritten_by_policy(1));
}

#[test]
fn values_of_which_no_frame_holds_two_are_kept_all_the_same() {
    let mut world = apart(&[Manual, Manual]);
    for host in 0..2 {
        let value = vec![b'0' + u8::try_from(host).unwrap(); 64 << 20];
        world.write(host, b"doc", Some(&value));
        world.run_for(MOMENT_MS);
    }
    world.mesh();
    world.run_for(60_000);
    for host in 0..2 {
        let conflicts = world.hosts[host].up().conflicts();
        let lengths: Vec<usize> = std::iter::once(&conflicts[0].current)
            .chain(&conflicts[0].losers)
            .map(crate::store::entry::Entry::value_length)
            .collect();
        assert_eq!(lengths, [64 << 20, 64 << 20], "{host}");
        assert_eq!(world.reported(host).len(), 1);
    }
}

#[test]
fn many_losers_at_once_take_several_groups_and_none_is_left_out() {
    let mut world = apart(&[Manual, LastWriteWins]);
    for number in 0..80 {
        let key = format!("doc-{number}");
        world.write(0, key.as_bytes(), Some(&vec![b'.'; 1 << 20]));
    }
    world.run_for(MOMENT_MS);
    world.put_many(1, "other", 3);
    let operations = (0..80).map(|number| {
        let key = format!("doc-{number}");
        crate::store::commit::operation::Operation::put(key.as_bytes(), b"small", true).unwrap()
    });
    let operations = operations.collect();
    world.request(
        1,
        Request::Batch {
            ticket: 1,
            operations,
        },
    );
    world.run_for(MOMENT_MS);
    world.mesh();
    world.agree("doc-7");
    for host in 0..2 {
        assert_eq!(world.hosts[host].up().conflicts().len(), 80, "{host}");
        assert_eq!(world.reported(host).len(), 80, "{host}");
    }
}

#[test]
fn the_longest_key_has_room_for_what_names_its_losers() {
    let mut world = apart(&[Manual, Manual, LastWriteWins]);
    let key = vec![b'k'; crate::core::limits::KEY_BYTES_MAX];
    for host in 0..2 {
        world.write(host, &key, Some(format!("of {host}").as_bytes()));
        world.run_for(MOMENT_MS);
    }
    world.mesh();
    world.agree("nothing");
    world.stop(1, Stop::PowerCut);
    world.open(1);
    world.mesh();
    for host in 0..3 {
        assert_eq!(
            world.versions(host),
            [Some("of 1".to_owned()), Some("of 0".to_owned())],
            "{host}"
        );
    }
}
