//! Opens the disk that a stop left, and checks it against the promises.

use super::super::{NAME, operation};
use super::life::{Life, Wrong};
use super::making::Node;
use super::state::{Promise, State};
use super::{Dice, Told};
use crate::disk::memory::MemoryStorage;
use crate::store::commit::operation::Request;
use crate::wal::recover::recovery::TornTail;

/// Rounds of openings that no life reaches.
const LATER: u8 = 200;

/// The end of a life at which it was stopped.
pub(super) struct Left<'l> {
    pub(super) life: &'l Life,
    pub(super) wrong: &'l Wrong,
    pub(super) promise: Promise,
    /// True if only the process was killed and the power stayed.
    pub(super) killed: bool,
}

impl Left<'_> {
    /// Opens the disk, compares, writes on, cuts the power once more and compares again. `seed` decides the variants.
    pub(super) fn check(&self, disk: &MemoryStorage, seed: u64) -> Told<()> {
        let durability = self.life.durability;
        let mut dice = Dice::new(seed);
        let (expected, torn, writes) = self.wrong.on(disk, |storage| {
            let mut node = Node::open(storage, durability, LATER, None)
                .map_err(|error| format!("it does not open: {error}"))?;
            let found = State::of(&mut node.map, node.committer.ledger())?;
            self.promise.find(&self.life.states, &found, self.killed)?;
            self.promise.check_ledger(node.committer.ledger())?;
            let names = disk.image().names();
            if names.contains(&format!("{NAME}.sealing")) {
                return Err("a leftover is left".to_owned());
            }
            // Without writes the disk stays as the opening left it, with everything unsynced.
            let writes = !dice.once_in(3);
            if writes {
                write_on(&mut node, &mut dice, self.promise.told_sequence)?;
            }
            let log = node.report.log.clone();
            let expected = State::of(&mut node.map, node.committer.ledger())?;
            Ok::<_, String>((expected, log.and_then(|log| log.torn), writes))
        })?;
        let cut = disk.image().power_cut(seed);
        let again = Node::open(&cut, durability, LATER + 1, None);
        let mut again = again.map_err(|error| format!("it does not open again: {error}"))?;
        let found = State::of(&mut again.map, again.committer.ledger())?;
        if found != expected {
            return Err(format!("opened again: {}", expected.difference(&found)));
        }
        let kept = |torn: &TornTail| cut.image().file(&torn.kept_as).unwrap_or_default();
        if torn.is_some_and(|torn| kept(&torn).len() as u64 != torn.bytes) {
            return Err("the unfinished end was not kept".to_owned());
        }
        // An opening that only reads need not make the removal of an unfinished end durable: a power cut may bring the
        // end back, and it is cut off again.
        if writes && again.report.log.is_some_and(|log| log.torn.is_some()) {
            return Err("an unfinished end although all was finished".to_owned());
        }
        Ok(())
    }
}

/// Writes on as if nothing had happened, also with a checkpoint.
fn write_on(node: &mut Node<'_>, dice: &mut Dice, reported: u64) -> Told<()> {
    let write = |node: &mut Node<'_>, key: u8| -> Told<u64> {
        let operation = operation(key, Some(key));
        let requests = vec![
            Request::Write {
                ticket: 1,
                operation,
            },
            Request::Flush { ticket: 2 },
        ];
        let receipts = node.commit(requests, super::super::WALL);
        let receipts = receipts.map_err(|refused| refused.error.to_string())?;
        Ok(receipts[0].sequence)
    };
    let sequence = write(node, 40)?;
    if sequence <= reported {
        return Err(format!(
            "sequence {sequence} is given after {reported} was told"
        ));
    }
    if dice.once_in(3) {
        let failed = |error: crate::store::error::StoreError| format!("no checkpoint: {error}");
        node.advance().map_err(failed)?;
        write(node, 41)?;
        while node.is_making() {
            node.advance().map_err(failed)?;
        }
        write(node, 42)?;
    }
    Ok(())
}
