//! A store with a sealed log: it reads back whole, and each of its files can be read without those before.

use super::super::record::{OriginDictionary, Record, decode};
use super::{NAME, commit, operation, reopen};
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::operation::Request;
use crate::store::maintain::recovery::companion_of;
use crate::store::state::map::EntryMap;
use crate::wal::error::WalError;
use crate::wal::log::Log;

fn put(key: u8, value: u8) -> Vec<Request> {
    let operation = operation(key, Some(value));
    vec![Request::Write {
        ticket: 1,
        operation,
    }]
}

fn summary(map: &EntryMap) -> String {
    format!("{:?}", map.summary())
}

#[test]
fn a_sealed_store_reads_back_and_its_last_file_needs_no_other() {
    let disk = MemoryStorage::new();
    let (mut writer, mut map) = reopen(&disk, Durability::Synced, 1);
    commit(&mut writer, &mut map, put(1, 1));
    let sealed = writer.seal(&disk, 77).unwrap().unwrap();
    assert!(!writer.is_behind());
    // Opened once with an empty new file, and once with something in it.
    for round in 2..4 {
        let (mut again, mut read) = reopen(&disk, Durability::Synced, round);
        assert_eq!(summary(&read), summary(&map));
        commit(&mut again, &mut read, put(2, round));
        map = read;
    }
    let mut origins = OriginDictionary::default();
    let mut entries = 0;
    let covers = sealed.last_frame;
    let (log, _) = Log::open(&disk, NAME, 1, [1; 16], covers, &mut |frame| {
        let entry = |record| entries += u64::from(matches!(record, Record::Entry { .. }));
        decode(frame.body, &mut origins, entry).unwrap();
        Ok::<_, WalError>(())
    })
    .unwrap();
    // Each opening also writes the lineage record of its author.
    assert_eq!((entries, log.sealed().len()), (4, 0));
    assert_eq!(disk.list().unwrap().len(), 2);
}

#[test]
fn a_sealed_log_without_its_log_is_a_companion() {
    let disk = MemoryStorage::new();
    assert_eq!(companion_of(&disk, NAME).unwrap(), None);
    disk.create("a.wal.sealed.5").unwrap();
    let found = companion_of(&disk, NAME).unwrap();
    assert_eq!(found.unwrap(), "a.wal.sealed.5");
    assert!(!Log::probe(&disk, NAME).unwrap());
}
