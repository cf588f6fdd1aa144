//! A log that is cut anywhere holds a prefix of the writes, and cursors never lie beyond the entries.

use proptest::prelude::*;

use super::{NAME, commit, reopen};
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::stamp::Stamp;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Operation, Received, Request};
use crate::store::entry::{Entry, EntryFlags, Extra};

const PEER: Origin = Origin([8; 16]);

fn key_of(kind: &str, number: u64) -> Vec<u8> {
    format!("{kind}-{number:05}").into_bytes()
}

/// Request number `number`: an own write, a batch of two, or the peer's entry with that number.
fn request(number: u64, kind: u8) -> Request {
    let put = |kind| Operation::put(&key_of(kind, number), b"value", true).unwrap();
    match kind {
        0 => Request::Write {
            ticket: number,
            operation: put("own"),
        },
        1 => Request::Batch {
            ticket: number,
            operations: vec![put("own"), put("second")],
        },
        _ => {
            let payload = [b"\0".to_vec(), key_of("peer", number), b"value".to_vec()].concat();
            let dot = Dot {
                origin: PEER,
                sequence: number,
            };
            let entry = Entry::new(
                payload.into(),
                11,
                EntryFlags::default(),
                dot,
                Stamp(number << 16),
                1,
                Extra::default(),
            );
            Request::Received(Received {
                peer: PEER,
                token: 1,
                from: FeedPosition::default(),
                position: FeedPosition {
                    incarnation: Incarnation([9; 16]),
                    own: number,
                    relay: 0,
                },
                scope: crate::store::scope::Scope::ALL,
                entries: vec![entry.unwrap()],
            })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_prefix_of_a_log_recovers_a_prefix_of_the_writes(
        kinds in proptest::collection::vec(0_u8..3, 1..25),
        group in 1_usize..5,
        step in 1_usize..60,
    ) {
        let disk = MemoryStorage::new();
        let (mut committer, mut map) = reopen(&disk, Durability::Written, 0);
        let requests: Vec<Request> = (1..).zip(&kinds).map(|(number, kind)| request(number, *kind)).collect();
        for group in requests.chunks(group) {
            commit(&mut committer, &mut map, group.to_vec());
        }
        drop(committer);
        let image = disk.image();
        let log = image.file(NAME).unwrap();
        let used = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let lease = image.file("a.wal.lease").unwrap();
        let mut most = 0;
        for length in (0..used).step_by(step).chain([log.len()]) {
            let files = [(NAME.to_owned(), log[..length].to_vec()), ("a.wal.lease".to_owned(), lease.clone())];
            let cut = MemoryStorage::from_files(files);
            // Below the first sync nothing was promised, and a file that begins like no log is refused.
            let opened = crate::store::maintain::recovery::open(&cut, NAME, "node", Durability::Written, 0, &super::seeds(1));
            let Ok(opened) = opened else { continue };
            let there = |kind: &str, number: u64| {
                let stored = [b"\0".to_vec(), key_of(kind, number)].concat();
                opened.map.entry(&stored).unwrap().is_some()
            };
            let is_there = |(number, kind): (u64, &u8)| match kind {
                0 => there("own", number),
                1 => {
                    let both = (there("own", number), there("second", number));
                    assert_eq!(both.0, both.1, "half a batch");
                    both.0
                }
                _ => there("peer", number),
            };
            let present: Vec<bool> = (1..).zip(&kinds).map(is_there).collect();
            let count = present.iter().filter(|there| **there).count();
            prop_assert!(present[..count].iter().all(|there| *there), "{:?}", present);
            prop_assert!(count >= most, "a longer log tells less");
            most = count;
            // The cursor is exactly at the peer's last entry.
            let last = (1..).zip(&kinds[..count]).filter(|(_, kind)| **kind == 2).map(|(number, _)| number).max();
            let cursor = opened.committer.ledger().cursors.get(&PEER).map(|cursor| cursor.own);
            prop_assert_eq!(cursor, last);
        }
        prop_assert_eq!(most, kinds.len());
    }

    #[test]
    fn a_flipped_bit_is_told_or_costs_only_the_end(
        kinds in proptest::collection::vec(0_u8..3, 1..12),
        place in any::<u64>(),
        bit in 0_u8..8,
    ) {
        let disk = MemoryStorage::new();
        let (mut committer, mut map) = reopen(&disk, Durability::Synced, 0);
        for (number, kind) in (1..).zip(&kinds) {
            commit(&mut committer, &mut map, vec![request(number, *kind)]);
        }
        committer.close().unwrap();
        let image = disk.image();
        let mut log = image.file(NAME).unwrap();
        let at = usize::try_from(place % log.len() as u64).unwrap();
        log[at] ^= 1 << bit;
        let files = [(NAME.to_owned(), log.clone()), ("a.wal.lease".to_owned(), image.file("a.wal.lease").unwrap())];
        let damaged = MemoryStorage::from_files(files);
        let opened = crate::store::maintain::recovery::open(&damaged, NAME, "node", Durability::Synced, 0, &super::seeds(1));
        if let Ok(opened) = opened {
            // Only bytes that no checksum covers may change without notice.
            prop_assert_eq!(opened.map.summary(), map.summary(), "byte {} changed what is there", at);
        } else {
            prop_assert_eq!(damaged.image().file(NAME).unwrap(), log, "a refused log was changed");
        }
        prop_assert!(damaged.list().unwrap().contains(&NAME.to_owned()));
    }
}
