//! A large log is read back with the help of another thread, to a state equal to that without.

use std::ops::Range;
use std::sync::mpsc::channel;
use std::thread::Builder;

use super::{NAME, WALL, commit, seeds};
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::stamp::Stamp;
use crate::disk::memory::MemoryStorage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Operation, Received, Request};
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::maintain::recovery::{Opened, open, open_beside};
use crate::store::maintain::replay::Beside;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;

const PEER: Origin = Origin([7; 16]);

pub(super) fn opened(disk: &MemoryStorage, beside: Option<Beside<'_>>) -> Opened {
    let opened = open_beside(disk, NAME, "node", Durability::Synced, 0, &seeds(2), beside);
    opened.unwrap()
}

fn received(number: u64) -> Request {
    let key = format!("\0peer-{number}");
    let payload = [key.as_bytes(), &[b'v'; 3000]].concat();
    let dot = Dot {
        origin: PEER,
        sequence: number,
    };
    let stamp = Stamp::at(WALL);
    let (flags, extra) = (EntryFlags::default(), Extra::default());
    let entry = Entry::new(payload.into(), key.len(), flags, dot, stamp, 1, extra).unwrap();
    Request::Received(Received {
        peer: PEER,
        token: 1,
        from: FeedPosition::default(),
        position: FeedPosition {
            incarnation: Incarnation([7; 16]),
            own: number,
            relay: 0,
        },
        scope: Scope::ALL,
        entries: vec![entry],
    })
}

/// A log of some megabytes: keys written more than once and removed, entries of a peer, its cursor.
pub(super) fn large_log() -> MemoryStorage {
    let disk = MemoryStorage::new();
    let opened = open(&disk, NAME, "node", Durability::Synced, 0, &seeds(1)).unwrap();
    let (mut committer, mut map) = (opened.committer, opened.map);
    fill(&mut committer, &mut map, 0..300);
    disk
}

/// Commits these groups, each of which writes or removes a key of the node and brings one of a peer.
pub(super) fn fill(committer: &mut Committer, map: &mut EntryMap, groups: Range<u64>) {
    for group in groups {
        let key = format!("key-{}", group % 120);
        let write = if group % 7 == 6 {
            Operation::remove(key.as_bytes())
        } else {
            Operation::put(key.as_bytes(), &vec![b'w'; 7000], false)
        };
        let write = Request::Write {
            ticket: group + 1,
            operation: write.unwrap(),
        };
        commit(committer, map, vec![write, received(group + 1)]);
    }
}

pub(super) fn same(one: &Opened, other: &Opened) {
    let all = |opened: &Opened| -> Vec<_> {
        let rows = opened.map.range_from(std::ops::Bound::Unbounded);
        let rows = rows.map(|entry| entry.unwrap().into_owned());
        let held = |entry: &Entry| {
            let held = opened.map.held_entry(entry.key()).unwrap().unwrap();
            (held.lseq, opened.map.source_of(held.via))
        };
        rows.map(|entry| (held(&entry), entry)).collect()
    };
    assert_eq!(all(one), all(other));
    assert_eq!(one.map.totals(), other.map.totals());
    let reported = |opened: &Opened| format!("{:?}", opened.committer.ledger());
    assert_eq!(reported(one), reported(other));
}

#[test]
fn a_large_log_is_read_back_alike_with_another_thread_and_without() {
    let disk = large_log();
    let alone = opened(&disk, None);
    let (began, has_begun) = channel();
    let helped = opened(
        &disk,
        Some(&|work| {
            began.send(()).unwrap();
            Builder::new().spawn(work).unwrap();
            true
        }),
    );
    assert_eq!(has_begun.try_iter().count(), 1, "once");
    same(&alone, &helped);
    assert!(alone.map.len() > 300);
}

#[test]
fn where_no_thread_can_be_had_the_log_is_read_without() {
    let disk = large_log();
    same(&opened(&disk, None), &opened(&disk, Some(&|_| false)));
}

#[test]
fn what_the_other_thread_leaves_undone_is_no_opening() {
    let disk = large_log();
    let lost = |work: Box<dyn FnOnce() + Send>| {
        Builder::new().spawn(move || drop(work)).unwrap();
        true
    };
    let outcome = open_beside(
        &disk,
        NAME,
        "node",
        Durability::Synced,
        0,
        &seeds(2),
        Some(&lost),
    );
    // The other thread is gone before it has begun, or with the work that it was given.
    match outcome {
        Ok(opened) => same(&opened, &super::replaying::opened(&disk, None)),
        Err(error) => assert!(error.to_string().contains("while the log was read")),
    }
    let small = MemoryStorage::new();
    let asked = |_: Box<dyn FnOnce() + Send>| panic!("a small log needs nobody");
    drop(opened(&small, Some(&asked)));
}
