//! The store against a model: any writes, batches, restarts and power cuts; and any entries of peers in any order.

mod checkpoints;
mod conflict_histories;
mod conflicts;
mod displaced;
mod full_disk;
mod order;
mod overlapping;
mod pieces;
mod poisoned;
mod prefixes;
mod range_sums;
mod replaying;
mod salvage;
mod sealing;
mod sibling_limit;
mod siblings;
mod snapshots;
pub(crate) mod torture;
mod verify;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::commit::committer::{Committer, Durability};
use super::commit::install::install_some;
use super::commit::ledger::FeedPosition;
use super::commit::operation::{Operation, Receipt, Received, Request, WriteStatus};
use super::entry::{Entry, EntryFlags, Extra};
use super::error::StoreError;
use super::maintain::recovery::{Opened, Seeds, in_memory, open};
use super::state::map::EntryMap;
use crate::core::clock::WallMs;
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::stamp::Stamp;
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;

const NAME: &str = "a.wal";
const WALL: WallMs = WallMs(1_700_000_000_000);

fn seeds(round: u8) -> Seeds {
    Seeds {
        salt: u64::from(round) + 1,
        file_id: [round; 16],
        origin: Origin([round.saturating_add(1); 16]),
        lease: [2; 16],
        incarnation: Incarnation([round; 16]),
    }
}

fn reopen(disk: &MemoryStorage, durability: Durability, round: u8) -> (Committer, EntryMap) {
    let opened = open(disk, NAME, "node", durability, 1 << 16, &seeds(round)).unwrap();
    assert!(!opened.report.copy_noticed);
    (opened.committer, opened.map)
}

fn commit(writer: &mut Committer, map: &mut EntryMap, requests: Vec<Request>) -> Vec<Receipt> {
    let mut committed = writer.commit(requests, map, WALL).unwrap();
    while !install_some(&mut committed, map).is_empty() {}
    assert_eq!(map.totals(), map.recount().unwrap());
    committed.receipts
}

/// Removes the parts of the log that a checkpoint covers.
fn remove_covered(
    committer: &mut Committer,
    storage: &dyn Storage,
    covers_frame: u64,
) -> Result<(), StoreError> {
    if let Some(mut removal) = committer.covered(covers_frame)? {
        let removed = removal.carry_out(storage);
        committer.forget(&removal);
        removed?;
    }
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u8, Option<u8>)>),
    Batch(Vec<(u8, Option<u8>)>),
    Close,
    PowerCut(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0_u8..6, proptest::option::weighted(0.7, 0_u8..4));
    let writes = proptest::collection::vec(write, 1..6);
    let step = prop_oneof![
        6 => writes.clone().prop_map(Step::Write),
        3 => writes.prop_map(Step::Batch),
        1 => Just(Step::Close),
        1 => any::<u64>().prop_map(Step::PowerCut),
    ];
    proptest::collection::vec(step, 1..14)
}

fn operation(key: u8, value: Option<u8>) -> Operation {
    match value {
        Some(value) => Operation::put(&[b'k', key], &[value; 40], false).unwrap(),
        None => Operation::remove(&[b'k', key]).unwrap(),
    }
}

/// Value of each key, and its number of writes.
type Model = BTreeMap<u8, (Option<u8>, u64)>;

fn model_write(model: &mut Model, key: u8, value: Option<u8>) -> (WriteStatus, u64) {
    let (held, version) = model.entry(key).or_default();
    let status = match (*held, value) {
        (None, None) => return (WriteStatus::Created, *version),
        (None, Some(_)) => WriteStatus::Created,
        (Some(held), Some(value)) if held == value => WriteStatus::Unchanged,
        (Some(_), _) => WriteStatus::Updated,
    };
    (*held, *version) = (value, *version + 1);
    (status, *version)
}

fn check(map: &mut EntryMap, model: &Model) {
    let live = model
        .iter()
        .filter_map(|(key, (value, _))| Some((vec![0, b'k', *key], vec![(*value)?; 40])));
    let live: Vec<(Vec<u8>, Vec<u8>)> = live.collect();
    assert_eq!(map.len(), live.len());
    let snapshot = map.open_snapshot();
    let found = snapshots::read(map, snapshot, &[0], None, usize::MAX);
    let found: Vec<(Vec<u8>, Vec<u8>)> = found
        .iter()
        .map(|entry| (entry.key().to_vec(), entry.value().unwrap().to_vec()))
        .collect();
    map.close_snapshot(snapshot);
    assert_eq!(found, live);
}

proptest! {
    #[test]
    fn every_accepted_write_is_there_after_any_restart(steps in steps()) {
        let mut disk = MemoryStorage::new();
        let (mut round, mut ticket) = (0, 0);
        let (mut committer, mut map) = reopen(&disk, Durability::Synced, round);
        let mut model = Model::new();
        let mut last_sequence = 0;
        for step in steps {
            match step {
                Step::Write(writes) => {
                    let requests = writes.iter().map(|(key, value)| {
                        ticket += 1;
                        Request::Write { ticket, operation: operation(*key, *value) }
                    });
                    let requests = requests.collect();
                    let receipts = commit(&mut committer, &mut map, requests);
                    prop_assert_eq!(receipts.len(), writes.len());
                    for (receipt, (key, value)) in receipts.iter().zip(&writes) {
                        let reported = (receipt.status, receipt.version);
                        prop_assert_eq!(reported, model_write(&mut model, *key, *value));
                        if receipt.sequence > 0 {
                            prop_assert!(receipt.sequence > last_sequence, "a sequence is given once");
                            last_sequence = receipt.sequence;
                        }
                    }
                }
                Step::Batch(writes) => {
                    ticket += 1;
                    let operations = writes.iter().map(|(key, value)| operation(*key, *value)).collect();
                    let receipts = commit(&mut committer, &mut map, vec![Request::Batch { ticket, operations }]);
                    prop_assert_eq!(receipts[0].version, writes.len() as u64);
                    for (key, value) in writes {
                        model_write(&mut model, key, value);
                    }
                    last_sequence = last_sequence.max(committer.ledger().last_sequence);
                }
                Step::Close => {
                    committer.close().unwrap();
                    round += 1;
                    (committer, map) = reopen(&disk, Durability::Synced, round);
                }
                Step::PowerCut(seed) => {
                    disk = disk.image().power_cut(seed);
                    round += 1;
                    (committer, map) = reopen(&disk, Durability::Synced, round);
                }
            }
            check(&mut map, &model);
        }
    }

    #[test]
    fn without_syncs_the_power_takes_the_last_writes_and_gives_no_sequence_twice(
        groups in proptest::collection::vec(1_u64..5, 1..12),
        seed: u64,
    ) {
        let mut disk = MemoryStorage::new();
        let mut reported = 0;
        let mut ticket = 0;
        for round in 0..3_u8 {
            let (mut committer, mut map) = reopen(&disk, Durability::Written, round);
            let before = map.len();
            for count in &groups {
                let requests = (0..*count).map(|_| {
                    ticket += 1;
                    let key = format!("{ticket:06}");
                    Request::Write { ticket, operation: Operation::put(key.as_bytes(), b"v", true).unwrap() }
                });
                let requests = requests.collect();
                for receipt in commit(&mut committer, &mut map, requests) {
                    prop_assert!(receipt.sequence > reported, "{} was told before {}", reported, receipt.sequence);
                    reported = receipt.sequence;
                }
            }
            let written = map.len() - before;
            disk = disk.image().power_cut(seed.wrapping_add(u64::from(round)));
            let (_, survived) = reopen(&disk, Durability::Written, 100 + round);
            let kept = survived.len() - before;
            prop_assert!(kept <= written);
            // The surviving writes are a prefix: none without those before it.
            let first = ticket - written as u64;
            for place in 0..written as u64 {
                let key = format!("\0{:06}", first + place + 1);
                prop_assert_eq!(survived.entry(key.as_bytes()).unwrap().is_some(), place < kept as u64);
            }
            disk = disk.image().process_killed();
        }
    }

    #[test]
    fn the_state_is_a_function_of_the_entries_whatever_their_order(
        entries in proptest::collection::vec((0_u8..3, 2_u8..5, 1_u64..4, 0_u64..4, proptest::option::of(0_u8..3)), 1..20),
        order in any::<u64>(),
    ) {
        let made: Vec<Entry> = entries.iter().map(|(key, origin, sequence, stamp, value)| {
            let mut payload = vec![0, b'k', *key];
            payload.extend(value);
            let flags = if value.is_none() { EntryFlags::TOMBSTONE } else { EntryFlags::default() };
            let dot = Dot { origin: Origin([*origin; 16]), sequence: *sequence };
            Entry::new(payload.into(), 3, flags, dot, Stamp(*stamp), 1, Extra::default()).unwrap()
        }).collect();
        let mut shuffled: Vec<Entry> = made.iter().chain(&made).cloned().collect();
        let length = shuffled.len();
        for place in 0..length {
            let other = usize::try_from(order.rotate_left(u32::try_from(place).unwrap()) % length as u64).unwrap();
            shuffled.swap(place, other);
        }
        let mut states = Vec::new();
        for entries in [made, shuffled] {
            let Opened { mut committer, mut map, .. } = in_memory("node", &seeds(0));
            for entry in entries {
                let received = Received {
                    peer: Origin([9; 16]),
                    token: 1,
                    from: FeedPosition::default(),
                    position: FeedPosition::default(),
scope: crate::store::scope::Scope::ALL,
                    entries: vec![entry],
                };
                commit(&mut committer, &mut map, vec![Request::Received(received)]);
            }
            let all: Vec<Entry> = map.range_from(std::ops::Bound::Unbounded).map(|entry| entry.unwrap().into_owned()).collect();
            states.push((map.summary(), all));
        }
        prop_assert_eq!(&states[0], &states[1]);
    }
}

#[test]
fn a_folder_without_its_lease_opens_as_another_author() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = reopen(&disk, Durability::Synced, 0);
    let operation = operation(1, Some(1));
    commit(
        &mut committer,
        &mut map,
        vec![Request::Write {
            ticket: 1,
            operation,
        }],
    );
    committer.close().unwrap();
    disk.remove("a.wal.lease").unwrap();
    let copied = Seeds {
        origin: Origin([7; 16]),
        lease: [8; 16],
        ..seeds(1)
    };
    let opened = open(&disk, NAME, "node", Durability::Synced, 0, &copied).unwrap();
    assert!(opened.report.copy_noticed);
    let ledger = opened.committer.ledger();
    assert_eq!(
        (ledger.origin, ledger.epochs.len()),
        (Origin([7; 16]), 1),
        "old cursors are void"
    );
    assert_eq!(
        opened.map.own_after(0).count(),
        1,
        "what it was copied with may be nowhere else"
    );
    assert_eq!(opened.map.relay_after(0).count(), 0);
    assert_eq!(ledger.authorship.before, [(Origin([1; 16]), 1)]);
}
