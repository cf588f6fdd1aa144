//! Seeded bugs: each leaves out one sync, one sync of the directory or one order of calls, and the named proof must
//! fail with it.

use super::super::NAME;
use super::Told;
use super::crashes::stop_everywhere;
use super::damage::{Folder, mixed};
use super::life::Wrong;
use super::making::Mistake;
use super::saboteur::{BEFORE_ALL, Call, LeftOut};
use crate::core::checksum::{PlacedCrc, placed_crc};

/// Most lives that a proof may take to find a bug.
const SEEDS_MAX: u64 = 40;

fn left_out(call: Call, file: &'static str, after: &'static str) -> Wrong {
    Wrong {
        left_out: Some(LeftOut { call, file, after }),
        ..Wrong::default()
    }
}

fn mistake(mistake: Mistake) -> Wrong {
    Wrong {
        mistake: Some(mistake),
        ..Wrong::default()
    }
}

/// Bugs that lose or invent something at a stop: found by `crashes`.
fn bugs() -> Vec<(&'static str, Wrong)> {
    [
        bugs_of_log_and_lease(),
        bugs_of_seal_and_checkpoint(),
        bugs_of_an_opening(),
    ]
    .concat()
}

/// Leaves out a sync of the directory after a call.
fn directory(after: &'static str) -> Wrong {
    left_out(Call::SyncDirectory, "", after)
}

/// Syncs of the log, the lease and their directory that are left out.
fn bugs_of_log_and_lease() -> Vec<(&'static str, Wrong)> {
    vec![
        ("no sync of the log", left_out(Call::Sync, "", "")),
        (
            "the length of the log is not synced",
            left_out(Call::SyncAll, "", ""),
        ),
        (
            "no sync of the log behind an opening",
            left_out(Call::Sync, "", "rename .lease"),
        ),
        (
            "no sync of a new log before it gets its name",
            left_out(Call::Sync, ".new", ""),
        ),
        ("no sync of the directory", directory("")),
        (
            "no sync of the lease before it gets its name",
            left_out(Call::Sync, ".lease.new", ""),
        ),
        (
            "no sync of the directory behind the lease",
            directory("rename .lease.new"),
        ),
    ]
}

/// Syncs that are left out while a log is sealed and a checkpoint is made of it.
fn bugs_of_seal_and_checkpoint() -> Vec<(&'static str, Wrong)> {
    vec![
        (
            "no sync of the file that follows a sealed log",
            left_out(Call::Sync, ".sealing", ""),
        ),
        (
            "no sync of the directory before the log loses its name",
            directory("create .sealing"),
        ),
        (
            "no sync of the mark that ends a sealed log",
            left_out(Call::Sync, "", "create .sealing"),
        ),
        (
            "no sync of the directory behind a seal",
            directory("rename .sealing"),
        ),
        (
            "no sync of the log behind a seal",
            left_out(Call::Sync, "", "rename .sealing"),
        ),
        (
            "no sync of the checkpoint before it gets its name",
            left_out(Call::Sync, ".checkpoint.new", ""),
        ),
        (
            "no sync of the directory behind the checkpoint",
            directory("rename .checkpoint.new"),
        ),
        (
            "no sync of the log while a checkpoint is made",
            left_out(Call::Sync, "", "create .checkpoint.new"),
        ),
    ]
}

/// Syncs and repairs that an opening leaves out.
fn bugs_of_an_opening() -> Vec<(&'static str, Wrong)> {
    vec![
        (
            "no sync of the unfinished end before it is cut off",
            left_out(Call::Sync, ".torn.new", ""),
        ),
        (
            "the unfinished end is not cut off",
            left_out(Call::SetLen, "", ""),
        ),
        (
            "no sync of the directory in an opening",
            directory(BEFORE_ALL),
        ),
        (
            "no sync of what an opening writes anew",
            left_out(Call::Sync, "", BEFORE_ALL),
        ),
    ]
}

/// Mistakes in driving checkpoints, which proofs must find as well.
fn mistakes() -> Vec<(&'static str, Wrong)> {
    vec![
        (
            "sealed logs go before the checkpoint is in place",
            mistake(Mistake::RemoveBeforePlace),
        ),
        (
            "the state is taken before the log is sealed",
            mistake(Mistake::CutBeforeSeal),
        ),
        (
            "a checkpoint with the ledger of the opening",
            mistake(Mistake::OldLedger),
        ),
        (
            "a checkpoint that claims a frame too many",
            mistake(Mistake::CoverOneMore),
        ),
        (
            "a checkpoint that has its name before its end",
            mistake(Mistake::NameBeforeEnd),
        ),
        (
            "what came while it was made is not carried over",
            mistake(Mistake::RebaseTooFar),
        ),
        (
            "origins keep their numbers behind a seal",
            mistake(Mistake::KeepOrigins),
        ),
        (
            "a write is told to be durable before it is synced",
            mistake(Mistake::TellUnsynced),
        ),
        (
            "a checkpoint without the rows of the one before",
            mistake(Mistake::ForgetBase),
        ),
    ]
}

/// Runs a proof until it fails, by an error or a panic. Returns the number of seeds and the failure; `None` if it
/// passes.
fn caught(prove: impl Fn(u64) -> Told<u64>) -> Option<(u64, String)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| prove(seed)));
        match outcome {
            Ok(Ok(_)) => None,
            Ok(Err(reported)) => Some((seed, reported)),
            Err(_) => Some((seed, "it panicked".to_owned())),
        }
    })
}

#[test]
fn every_seeded_bug_is_caught_by_the_crashes() {
    let mut missed = Vec::new();
    for (name, wrong) in bugs().into_iter().chain(mistakes()) {
        match caught(|seed| stop_everywhere(seed, &wrong)) {
            Some((seed, reported)) => println!("{name}: seed {seed}: {reported}"),
            None => missed.push(name),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}

/// Gives damaged bytes a valid checksum, as if the check were left out.
fn reseal(file: &mut [u8], covered: std::ops::Range<usize>) {
    let salt = u64::from_le_bytes(file[16..24].try_into().unwrap());
    let checksum = placed_crc(salt, covered.start as u64, &[&file[covered.clone()]]);
    file[covered.end..covered.end + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Offset of the frame of a group, and length of its body.
fn frame(folder: &Folder, file: &[u8]) -> (usize, usize) {
    let at = folder.ends[1];
    let bytes = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap());
    (at, usize::try_from(bytes).unwrap())
}

/// A check of one kind of damage: true if the damage was reported; an error if a wrong value was served.
type Proof = fn() -> Told<bool>;

fn without_a_body_checksum() -> Told<bool> {
    let folder = Folder::of_a_log(2_000, 100);
    let mut file = folder.file(NAME);
    let (at, body) = frame(&folder, &file);
    file[at + body] ^= 1;
    reseal(&mut file, at..at + 32 + body);
    folder.judge(&folder.with(NAME, &file), NAME, &(at + body..at + body + 1))
}

fn without_a_header_checksum() -> Told<bool> {
    let folder = Folder::of_a_log(2_000, 100);
    let mut file = folder.file(NAME);
    let (at, body) = frame(&folder, &file);
    // Turns a group into a watermark.
    file[at + 24] = 2;
    reseal(&mut file, at..at + 28);
    reseal(&mut file, at..at + 32 + body);
    folder.judge(&folder.with(NAME, &file), NAME, &(at + 24..at + 25))
}

fn without_a_checksum_of_the_file_header() -> Told<bool> {
    let folder = Folder::of_a_log(2_000, 100);
    let mut file = folder.file(NAME);
    file[16] ^= 1;
    reseal(&mut file, 0..60);
    folder.judge(&folder.with(NAME, &file), NAME, &(16..17))
}

/// Offset of the checksum of the checkpoint's block that begins at `start`, if one does.
fn block_end(file: &[u8], start: usize) -> Option<usize> {
    let salt = u64::from_le_bytes(file[16..24].try_into().unwrap());
    let mut checksum = PlacedCrc::new(salt, start as u64);
    (start + 1..file.len() - 4).find(|end| {
        checksum.update(&file[end - 1..*end]);
        file[*end..end + 4] == checksum.clone().finish().to_le_bytes()
    })
}

fn without_a_block_checksum() -> Told<bool> {
    let folder = Folder::of_everything(0);
    let name = format!("{NAME}.checkpoint");
    let mut file = folder.file(&name);
    let value = b"old 0/20;";
    let at = file.windows(value.len()).position(|found| found == value);
    let at = at.unwrap();
    let block = (64..at).find_map(|start| Some(start..block_end(&file, start)?));
    let block = block.filter(|block| block.contains(&at)).unwrap();
    file[at] ^= 1;
    reseal(&mut file, block);
    folder.judge(&folder.with(&name, &file), &name, &(at..at + 1))
}

fn without_a_look_at_the_id() -> Told<bool> {
    // The proof is the refusal: the id of the log is equal here, as if it were not checked.
    match mixed(&Folder::of_everything(0), 1) {
        Ok(()) => Err("the checkpoint of another log is taken".to_owned()),
        Err(_) => Ok(true),
    }
}

#[test]
fn every_check_that_is_left_out_is_caught_by_the_damage() {
    let checks: [(&str, Proof); 5] = [
        ("the checksum of a body", without_a_body_checksum),
        (
            "the checksum of a frame's header",
            without_a_header_checksum,
        ),
        (
            "the checksum of a file's header",
            without_a_checksum_of_the_file_header,
        ),
        ("the checksum of a block", without_a_block_checksum),
        ("the id of a checkpoint", without_a_look_at_the_id),
    ];
    for (name, prove) in checks {
        let reported = prove().expect_err(name);
        println!("{name}: {reported}");
    }
}
