//! A disk without room, and a disk that fails: refused writes leave no trace, and every report is true.

use proptest::prelude::*;

use super::{commit, operation, reopen};
use crate::core::clock::WallMs;
use crate::disk::memory::{Fault, MemoryStorage};
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::operation::{Operation, Request};
use crate::store::state::map::EntryMap;

fn large(ticket: u64) -> Request {
    let operation = Operation::put(
        format!("large-{ticket}").as_bytes(),
        &vec![7; 300_000],
        false,
    );
    let operation = operation.unwrap();
    Request::Write { ticket, operation }
}

fn small(ticket: u64, key: u8) -> Request {
    let operation = operation(key, Some(1));
    Request::Write { ticket, operation }
}

/// All state that a refused write must leave unchanged.
fn traces(committer: &Committer, map: &EntryMap) -> impl PartialEq + std::fmt::Debug + use<> {
    let ledger = committer.ledger();
    (
        (
            ledger.last_sequence,
            ledger.reserved_sequence,
            ledger.last_lseq,
            ledger.clock,
        ),
        (
            ledger.cursors.clone(),
            map.summary(),
            map.len(),
            map.totals().live_bytes,
        ),
        (map.own_after(0).count(), map.relay_after(0).count()),
    )
}

#[test]
fn a_full_disk_refuses_leaves_no_trace_and_takes_again_once_there_is_room() {
    for durability in [Durability::Synced, Durability::Written] {
        let disk = MemoryStorage::new();
        let (mut committer, mut map) = reopen(&disk, durability, 0);
        commit(&mut committer, &mut map, vec![small(1, 1)]);
        let mut ticket = 2;
        for _ in 0..5 {
            disk.set_capacity_bytes(Some(0));
            let before = traces(&committer, &map);
            let outcome =
                committer.commit(vec![large(ticket), small(ticket + 1, 2)], &map, WallMs(5));
            let refused = outcome.unwrap_err();
            assert!(
                refused.error.to_string().contains("no space left"),
                "{}",
                refused.error
            );
            assert_eq!(refused.tickets, [ticket, ticket + 1]);
            assert!(committer.poisoned().is_none());
            assert_eq!(traces(&committer, &map), before);
            disk.set_capacity_bytes(None);
            let receipts = commit(
                &mut committer,
                &mut map,
                vec![large(ticket), small(ticket + 1, 3)],
            );
            assert_eq!(receipts.len(), 2);
            ticket += 2;
        }
        let expected = map.summary();
        committer.close().unwrap();
        let (_, map) = reopen(&disk, durability, 1);
        assert_eq!(map.summary(), expected);
    }
}

#[test]
fn a_sequence_that_the_full_disk_refused_to_reserve_is_not_given_twice() {
    // The first write of an unsynced log reserves sequences; where that failed, the next write has to.
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = reopen(&disk, Durability::Written, 0);
    disk.set_capacity_bytes(Some(0));
    committer
        .commit(vec![large(1)], &map, WallMs(5))
        .unwrap_err();
    disk.set_capacity_bytes(None);
    let receipts = commit(&mut committer, &mut map, vec![small(2, 1)]);
    let reported = receipts[0].sequence;
    drop(committer);
    for seed in 0..40 {
        let survived = disk.image().power_cut(seed);
        let (mut committer, mut map) = reopen(&survived, Durability::Written, 1);
        let receipts = commit(&mut committer, &mut map, vec![small(3, 2)]);
        assert!(receipts[0].sequence > reported, "seed {seed}");
    }
}

#[test]
fn lost_sequences_stay_lost_through_a_clean_close_without_a_write() {
    let disk = MemoryStorage::new();
    let (mut committer, mut map) = reopen(&disk, Durability::Written, 0);
    let mut reported = 0;
    for ticket in 1..20 {
        reported = commit(&mut committer, &mut map, vec![small(ticket, 1)])[0].sequence;
    }
    drop(committer);
    for seed in 0..40 {
        let survived = disk.image().power_cut(seed);
        for round in 1..4 {
            let (committer, _) = reopen(&survived, Durability::Written, round);
            committer.close().unwrap();
        }
        let (mut committer, mut map) = reopen(&survived, Durability::Written, 9);
        let receipts = commit(&mut committer, &mut map, vec![small(90, 2)]);
        assert!(receipts[0].sequence > reported, "seed {seed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_call_fails_no_accepted_write_is_lost(call in 1_u64..60, short in 0_usize..200, seed: u64) {
        let disk = MemoryStorage::new();
        let (mut committer, mut map) = reopen(&disk, Durability::Synced, 0);
        let fault = Fault::Short { bytes: short, error: std::io::ErrorKind::Other };
        disk.fail_call(disk.calls() + call, fault);
        let mut accepted = Vec::new();
        for ticket in 1..40_u64 {
            let key = u8::try_from(ticket).unwrap();
            let request = if ticket % 9 == 0 { large(ticket) } else { small(ticket, key) };
            let poisoned = committer.poisoned().is_some();
            match committer.commit(vec![request], &map, WallMs(5)) {
                Ok(mut committed) => {
                    prop_assert!(!poisoned, "a poisoned log takes nothing");
                    accepted.extend(committed.entries().map(|(entry, _)| entry.clone()));
                    while !crate::store::commit::install::install_some(&mut committed, &mut map).is_empty() {}
                }
                Err(refused) => prop_assert_eq!(refused.tickets, vec![ticket]),
            }
            prop_assert_eq!(map.totals(), map.recount().unwrap());
        }
        drop(committer);
        disk.heal();
        let survived = disk.image().power_cut(seed);
        let (_, recovered) = reopen(&survived, Durability::Synced, 1);
        for entry in accepted {
            let found = recovered.entry(entry.key());
            prop_assert!(found.unwrap().is_some_and(|found| found.order(&entry).is_ge()), "{:?} is lost", entry.dot);
        }
    }
}
