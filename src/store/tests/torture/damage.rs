//! Damaged files: an opening gives the old content, or an error, or the one documented exception: it cuts off the end
//! of a log whose last groups are not mentioned anywhere later. Never anything else.

use std::ops::Range;

use super::super::{NAME, WALL, seeds};
use super::making::Node;
use super::state::State;
use super::{Told, each_seed, is_usual};
use crate::disk::memory::{DiskImage, MemoryStorage};
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::operation::{Operation, Request};
use crate::store::maintain::recovery::open;
use crate::store::state::map::EntryMap;

/// Bytes of the zeros after the last group that are kept where all bits before them are flipped.
const ZEROS_KEPT: usize = 4 << 10;

/// The files of a store, with their content.
pub(super) struct Folder {
    pub(super) image: DiskImage,
    /// The state after each number of groups of the active log; the last is the full one.
    pub(super) states: Vec<State>,
    /// Offsets in the active log at which the frames of these groups end; the first is the beginning of the first
    /// frame.
    pub(super) ends: Vec<usize>,
}

fn put(key: &str, bytes: usize) -> Vec<Request> {
    let text = format!("{key}/{bytes};");
    let value: Vec<u8> = text.bytes().cycle().take(bytes).collect();
    let operation = Operation::put(key.as_bytes(), &value, true).unwrap();
    vec![Request::Write {
        ticket: 1,
        operation,
    }]
}

impl Folder {
    /// A log alone, of at least `bytes` bytes, in groups of one value each, that was not closed.
    pub(super) fn of_a_log(bytes: u64, value_bytes: usize) -> Self {
        let disk = MemoryStorage::new();
        let mut node = Node::open(&disk, Durability::Synced, 1, None).unwrap();
        Self::grow(&disk, &mut node, bytes, value_bytes)
    }

    /// A checkpoint, a sealed log after it, a log, and a second checkpoint half written; another content for each
    /// seed.
    pub(super) fn of_everything(seed: u64) -> Self {
        let disk = MemoryStorage::new();
        let mut node = Node::open(&disk, Durability::Synced, 1, None).unwrap();
        for number in 0..20 + seed % 50 {
            let bytes = if number == 7 { 3_000 } else { 20 + seed % 30 };
            let bytes = usize::try_from(bytes).unwrap();
            node.commit(put(&format!("old {number}"), bytes), WALL)
                .unwrap();
        }
        node.advance().unwrap();
        while node.is_making() {
            node.advance().unwrap();
        }
        for number in 10..14 {
            node.commit(put(&format!("old {number}"), 30), WALL)
                .unwrap();
        }
        for _ in 0..3 {
            node.advance().unwrap();
        }
        Self::grow(&disk, &mut node, 1_500, 40)
    }

    fn grow(disk: &MemoryStorage, node: &mut Node<'_>, bytes: u64, value_bytes: usize) -> Self {
        let used = |node: &Node<'_>| usize::try_from(node.log().used_bytes()).unwrap();
        let state = |node: &mut Node<'_>| State::of(&mut node.map, node.committer.ledger());
        let mut states = vec![state(node).unwrap()];
        let mut ends = vec![used(node)];
        while node.log().used_bytes() < bytes {
            let key = format!("key {}", states.len());
            node.commit(put(&key, value_bytes + states.len()), WALL)
                .unwrap();
            states.push(state(node).unwrap());
            ends.push(used(node));
        }
        Self {
            image: disk.image(),
            states,
            ends,
        }
    }

    pub(super) fn file(&self, name: &str) -> Vec<u8> {
        self.image.file(name).unwrap()
    }

    /// The files with other bytes in one of them.
    pub(super) fn with(&self, name: &str, bytes: &[u8]) -> MemoryStorage {
        let file = |other: String| {
            let bytes = if other == name {
                bytes.to_vec()
            } else {
                self.file(&other)
            };
            (other, bytes)
        };
        MemoryStorage::from_files(self.image.names().into_iter().map(file))
    }

    /// Opens a store with damaged bytes in one file. Returns true if the damage was reported, by an error or by cutting
    /// off an end.
    pub(super) fn judge(
        &self,
        disk: &MemoryStorage,
        name: &str,
        touched: &Range<usize>,
    ) -> Told<bool> {
        let before = touched.start.is_multiple_of(16).then(|| disk.image());
        let opened = open(disk, NAME, "node", Durability::Synced, 1 << 16, &seeds(2));
        let Ok(mut opened) = opened else {
            if before.is_some_and(|before| {
                let after = disk.image();
                before.names() != after.names() || before.file(name) != after.file(name)
            }) {
                return Err("what was refused was changed".to_owned());
            }
            return Ok(true);
        };
        if opened.report.copy_noticed && name != format!("{NAME}.lease") {
            return Err("it was taken for a copy".to_owned());
        }
        let last = self.states.len() - 1;
        if name != NAME {
            // A damaged checkpoint is reported where it is read.
            return reads_right_or_not_at_all(&opened.map, &self.states[last]);
        }
        let found = State::of(&mut opened.map, opened.committer.ledger())?;
        let state = self.states.iter().rposition(|state| *state == found);
        let state = state.ok_or_else(|| self.states[last].difference(&found))?;
        let lost_first = self.ends[state]..self.ends[last.min(state + 1)];
        let overlaps = touched.start < lost_first.end && lost_first.start < touched.end;
        // Every group mentions all groups before it, so the last one must be gone too.
        let tells_nothing = state + 1 >= last || touched.end > self.ends[last - 1];
        if state < last && !(overlaps && tells_nothing) {
            return Err(format!("groups behind {state} of {last} are lost"));
        }
        Ok(state < last)
    }
}

/// Checks that each entry is unchanged or an error. Returns true if there was an error.
fn reads_right_or_not_at_all(map: &EntryMap, expected: &State) -> Told<bool> {
    let mut reported = false;
    for (key, (entry, lseq, from)) in &expected.entries {
        match map.entry(key) {
            Ok(Some(found)) if *found == *entry => {}
            Ok(found) => return Err(format!("{key:?} reads {found:?}")),
            Err(_) => reported = true,
        }
        match map.at(*lseq) {
            Ok(Some(held)) if held.entry == *entry && map.source_of(held.via) == *from => {}
            Ok(_) => return Err(format!("at {lseq} is another entry")),
            Err(_) => reported = true,
        }
        let value = map.read_changed(key, |value, _| value.map(<[u8]>::to_vec));
        if value.is_some_and(|value| value.as_deref() != entry.value()) {
            return Err(format!("{key:?} reads another value"));
        }
    }
    let mut expected = expected.entries.values();
    for found in map.range_from(std::ops::Bound::Unbounded) {
        match (found, expected.next()) {
            (Ok(found), Some((entry, ..))) if *found == *entry => {}
            (Ok(_), _) => return Err("a range reads another entry".to_owned()),
            (Err(_), _) => return Ok(true),
        }
    }
    if expected.next().is_some() {
        return Err("a range ends early".to_owned());
    }
    Ok(reported)
}

#[test]
fn every_flipped_bit_of_64_kib_of_log_is_told_or_costs_only_the_last_group() {
    let folder = Folder::of_a_log(64 << 10, 3_000);
    let (file, last) = (folder.file(NAME), folder.ends.len() - 2);
    let used = folder.ends[folder.ends.len() - 1];
    // Every opening reads the zeros that a log writes ahead, and they are not damaged here.
    let mut cut = file.clone();
    cut.truncate(used + ZEROS_KEPT);
    let image = folder.with(NAME, &cut).image();
    // A seed is a range of 256 bytes.
    let chunks = (used as u64).div_ceil(256);
    let bits = each_seed("damage::every_flipped_bit", chunks, |chunk| {
        let start = usize::try_from(chunk % chunks).unwrap() * 256;
        let end = used.min(start + 256);
        for (at, byte) in file.iter().enumerate().take(end).skip(start) {
            for bit in 0..8 {
                let disk = image.process_killed();
                let log = disk.open(NAME).unwrap().unwrap();
                log.write_at(at as u64, &[byte ^ (1 << bit)]).unwrap();
                let reported = folder.judge(&disk, NAME, &(at..at + 1));
                let reported =
                    reported.map_err(|reported| format!("byte {at}, bit {bit}: {reported}"))?;
                // Padding has no meaning, and is a few bytes of a frame at most.
                let is_padding = folder.ends.iter().any(|end| (at..at + 8).contains(end));
                if !reported && !is_padding {
                    return Err(format!("byte {at}, bit {bit} makes no difference"));
                }
            }
        }
        Ok((end - start) as u64 * 8)
    });
    assert!(last > 10);
    assert!(bits >= 524_288 || !is_usual(), "{bits}");
}

#[test]
fn a_file_that_is_cut_or_zeros_from_any_byte_on_is_told_or_costs_only_its_end() {
    // A seed is a sixteenth of a file; five files make a folder.
    let cases = each_seed("damage::a_file_that_is_cut", 5 * 16, |seed| {
        let folder = Folder::of_everything(seed / (5 * 16));
        let names = folder.image.names();
        assert_eq!(names.len(), 5, "{names:?}");
        let name = &names[usize::try_from(seed % 5).unwrap()];
        let file = folder.file(name);
        let used = if name == NAME {
            folder.ends[folder.ends.len() - 1] + 100
        } else {
            file.len()
        };
        let mut cases = 0;
        for at in (usize::try_from(seed / 5 % 16).unwrap()..used).step_by(16) {
            let mut zeroed = file.clone();
            zeroed[at..].fill(0);
            for damaged in [&file[..at], &zeroed] {
                let disk = folder.with(name, damaged);
                let reported = folder.judge(&disk, name, &(at..file.len()));
                reported.map_err(|reported| format!("{name} from {at} on: {reported}"))?;
                cases += 1;
            }
        }
        Ok(cases)
    });
    assert!(cases > 10_000 || !is_usual(), "{cases}");
}

#[test]
fn a_checkpoint_and_a_log_of_different_stores_or_times_are_refused() {
    let older = Folder::of_everything(0);
    assert!(mixed(&older, 9).is_err());
    // An earlier state of one store: the log has gone on, and the checkpoint is put back.
    let disk = older.image.process_killed();
    let mut node = Node::open(&disk, Durability::Synced, 3, None).unwrap();
    node.advance().unwrap();
    while node.is_making() {
        node.advance().unwrap();
    }
    drop(node);
    let name = format!("{NAME}.checkpoint");
    let newer = disk.image();
    let file = |file: String| {
        let image = if file == name { &older.image } else { &newer };
        (file.clone(), image.file(&file).unwrap())
    };
    let put_back = MemoryStorage::from_files(newer.names().into_iter().map(file));
    let refused = open(&put_back, NAME, "node", Durability::Synced, 0, &seeds(4));
    assert!(refused.is_err());
}

/// Opens the log of a store beside the checkpoint of another store, whose log has the given id.
pub(super) fn mixed(folder: &Folder, id: u8) -> Told<()> {
    let disk = MemoryStorage::new();
    let mut node = Node::open(&disk, Durability::Synced, id, None).unwrap();
    for number in 0..20 {
        node.commit(put(&format!("other {number}"), 20), WALL)
            .unwrap();
    }
    node.advance().unwrap();
    while node.is_making() {
        node.advance().unwrap();
    }
    let name = format!("{NAME}.checkpoint");
    let disk = folder.with(&name, &disk.image().file(&name).unwrap());
    let opened = open(&disk, NAME, "node", Durability::Synced, 0, &seeds(2));
    opened.map(|_| ()).map_err(|error| error.to_string())
}
