//! A disk that failed once: reads go on, writes are refused, and another opening continues from the last promise.

use std::io::ErrorKind;

use super::super::error::StoreError;
use super::verify::put;
use super::{WALL, operation, reopen};
use crate::disk::memory::{Fault, MemoryStorage};
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::operation::Request;
use crate::store::state::map::EntryMap;
use crate::wal::error::WalError;

fn refused(committer: &mut Committer, map: &EntryMap, key: u8) -> StoreError {
    let operation = operation(key, Some(9));
    let request = Request::Write {
        ticket: 9,
        operation,
    };
    let refused = committer.commit(vec![request], map, WALL).unwrap_err();
    assert_eq!(refused.tickets, [9]);
    refused.error
}

fn log_error(error: StoreError) -> WalError {
    match error {
        StoreError::Log(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_poisoned_store_reads_refuses_with_the_first_cause_and_opens_again() {
    for kind in [
        ErrorKind::Other,
        ErrorKind::StorageFull,
        ErrorKind::PermissionDenied,
    ] {
        // The write of the frame, and the sync after it; or both in one call.
        for (call, in_one) in [(1, false), (2, false), (1, true)] {
            let disk = MemoryStorage::new();
            disk.set_write_through(in_one);
            let (mut committer, mut map) = reopen(&disk, Durability::Synced, 1);
            for key in 0..5 {
                put(&mut committer, &mut map, key, key);
            }
            disk.fail_call(disk.calls() + call, Fault::Fail(kind));
            let first = log_error(refused(&mut committer, &map, 7));
            assert_eq!(first.file(), Some("a.wal"));
            assert_eq!(first.offset().is_some(), call == 1, "{first}");
            assert!(committer.poisoned().is_some());
            for _ in 0..3 {
                let later = log_error(refused(&mut committer, &map, 8));
                let expected = WalError::Poisoned {
                    first: Box::new(first.clone()),
                };
                assert_eq!(later, expected);
            }
            assert_eq!(map.len(), 5);
            assert!(map.entry(&[0, b'k', 3]).unwrap().is_some());
            let failed = log_error(committer.close().unwrap_err());
            assert!(matches!(failed, WalError::Poisoned { .. }), "{failed}");
            // The disk is well again, and no acknowledged write is gone.
            let (mut committer, mut map) = reopen(&disk, Durability::Synced, 2);
            assert!((5..=6).contains(&map.len()));
            put(&mut committer, &mut map, 8, 8);
            committer.close().unwrap();
            let (_, map) = reopen(&disk, Durability::Synced, 3);
            assert!(map.entry(&[0, b'k', 8]).unwrap().is_some());
        }
    }
}
