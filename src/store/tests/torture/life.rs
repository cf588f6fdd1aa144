//! A generated life of one store: openings, groups of all kinds with checkpoints between them, and ends; with an image
//! of the disk before every call that changes it, and the promises of that moment.

use super::super::checkpoints::received;
use super::super::{WALL, operation};
use super::making::{Mistake, Node};
use super::saboteur::{LeftOut, Saboteur};
use super::state::{Promise, State};
use super::{Dice, Told};
use crate::core::clock::WallMs;
use crate::core::identity::{Incarnation, Origin};
use crate::disk::memory::{CrashPoint, Fault, MemoryStorage};
use crate::disk::storage::Storage;
use crate::store::commit::committer::Durability;
use crate::store::commit::ledger::{FeedPosition, PeerRecord};
use crate::store::commit::operation::{Operation, Received, Request};

/// The peer that this node knows.
const PEER: Origin = Origin([9; 16]);

/// Faults of a life, on purpose.
#[derive(Debug, Clone, Default)]
pub(super) struct Wrong {
    pub(super) left_out: Option<LeftOut>,
    pub(super) mistake: Option<Mistake>,
    /// Calls of the disk that fail. If there are any, no image is taken, and the power stays.
    pub(super) faults: Vec<(u64, Fault)>,
}

impl Wrong {
    /// Hands over the disk, without the calls that are left out.
    pub(super) fn on<T>(&self, disk: &MemoryStorage, act: impl FnOnce(&dyn Storage) -> T) -> T {
        match self.left_out {
            Some(left_out) => act(&Saboteur::new(disk.clone(), left_out)),
            None => act(disk),
        }
    }
}

/// The part of a life from an opening to an end.
pub(super) struct Epoch {
    pub(super) points: Vec<CrashPoint>,
    promises: Vec<Promise>,
}

impl Epoch {
    /// The promise in force after that many disk calls.
    pub(super) fn promise_at(&self, calls: u64) -> Promise {
        let mut before = self.promises.iter().rev();
        let last = before.find(|promise| promise.calls <= calls);
        last.cloned().unwrap_or_default()
    }
}

pub(super) struct Life {
    pub(super) durability: Durability,
    /// All states of the life, in order.
    pub(super) states: Vec<State>,
    pub(super) epochs: Vec<Epoch>,
    /// The promise at the end.
    pub(super) now: Promise,
    /// Number of checkpoints that came into place.
    pub(super) checkpoints: u64,
    /// Number of ends caused by a failing disk.
    pub(super) broken: u64,
    promises: Vec<Promise>,
    disk: MemoryStorage,
    dice: Dice,
    round: u8,
    number: u64,
    fails: bool,
    tells_unsynced: bool,
}

/// Runs the life of a seed to its end.
pub(super) fn live(seed: u64, wrong: &Wrong) -> Told<(Life, MemoryStorage)> {
    let mut dice = Dice::new(seed);
    let tells_unsynced = wrong.mistake == Some(Mistake::TellUnsynced);
    let durability = if tells_unsynced || dice.once_in(3) {
        Durability::Written
    } else {
        Durability::Synced
    };
    let disk = MemoryStorage::new();
    disk.set_write_through(seed.is_multiple_of(2));
    for (call, fault) in &wrong.faults {
        disk.fail_call(*call, *fault);
    }
    let fails = !wrong.faults.is_empty();
    let mut life = Life {
        durability,
        states: vec![State::default()],
        epochs: Vec::new(),
        now: Promise::default(),
        checkpoints: 0,
        broken: 0,
        promises: Vec::new(),
        disk,
        dice,
        round: 0,
        number: 0,
        fails,
        tells_unsynced,
    };
    for _ in 0..=life.dice.below(3) {
        let disk = life.disk.clone();
        disk.record_crash_points(!fails);
        life.note();
        wrong.on(&disk, |storage| life.epoch(storage, wrong.mistake))?;
        let points = disk.take_crash_points();
        disk.record_crash_points(false);
        let promises = std::mem::take(&mut life.promises);
        life.epochs.push(Epoch { points, promises });
        if !fails && life.dice.once_in(3) {
            let seed = life.dice.below(1 << 30);
            life.disk = disk.image().power_cut(seed);
            life.now.written = life.now.least;
        }
    }
    let disk = life.disk.clone();
    disk.heal();
    Ok((life, disk))
}

impl Life {
    /// Records the present promise as in force from this call on.
    fn note(&mut self) {
        self.now.calls = self.disk.calls();
        self.promises.push(self.now.clone());
    }

    /// Notes that every accepted write is durable.
    fn note_durable(&mut self, node: &Node<'_>) {
        self.now.written = self.now.most;
        if node.is_synced() || self.tells_unsynced {
            self.now.least = self.now.most;
            let ledger = node.committer.ledger();
            // No peer has heard of an epoch that the log does not name yet.
            if node.committer.opening.is_empty() {
                self.now.reached = Some((ledger.incarnation(), ledger.last_lseq));
            }
        }
        self.note();
    }

    fn epoch(&mut self, storage: &dyn Storage, mistake: Option<Mistake>) -> Told<()> {
        self.round += 1;
        let opened = Node::open(storage, self.durability, self.round, mistake);
        let mut node = match opened {
            Err(_) if self.fails => return Ok(()),
            opened => opened.map_err(|error| format!("opening {}: {error}", self.round))?,
        };
        let found = match State::of(&mut node.map, node.committer.ledger()) {
            Err(_) if self.fails => return Ok(()),
            found => found?,
        };
        self.now.find(&self.states, &found, true)?;
        self.now.check_ledger(node.committer.ledger())?;
        self.states.push(found);
        self.now.most = self.states.len() - 1;
        self.now.told_sequence = node.committer.ledger().last_sequence;
        self.note_durable(&node);
        let is_busy = self.dice.once_in(2);
        for _ in 0..2 + self.dice.below(14) {
            self.step(&mut node)?;
            if is_busy {
                self.make(&mut node);
            }
            if node.is_poisoned() {
                self.broken += 1;
                return self.takes_nothing(&mut node);
            }
        }
        let shown = State::of(&mut node.map, node.committer.ledger());
        match shown {
            Err(_) if self.fails => {}
            shown => {
                let shown = shown?;
                let expected = self.states.last().cloned().unwrap_or_default();
                if shown != expected {
                    return Err(format!("in memory: {}", expected.difference(&shown)));
                }
            }
        }
        if self.dice.once_in(3) && node.committer.close().is_ok() {
            self.now.least = self.now.most;
            self.now.written = self.now.most;
            self.note();
        }
        Ok(())
    }

    fn step(&mut self, node: &mut Node<'_>) -> Told<()> {
        match self.dice.below(16) {
            0..=6 => {
                let count = 1 + self.dice.below(3);
                let requests = (0..count).map(|_| self.write()).collect();
                self.request(node, requests)
            }
            7 | 8 => {
                let count = 2 + self.dice.below(3);
                let operations = (0..count).map(|_| self.operation()).collect();
                self.request(
                    node,
                    vec![Request::Batch {
                        ticket: 1,
                        operations,
                    }],
                )
            }
            9 | 10 => {
                let mixed = [self.receive(), self.write(), self.receive()];
                let from = self.dice.index(3);
                self.request(node, mixed[from..].to_vec())
            }
            11 => {
                let request = self.hint();
                self.request(node, vec![request])
            }
            12 => self.request(node, vec![Request::Flush { ticket: 1 }]),
            13 => {
                self.stumble(2);
                let _ = node.committer.watermark();
                let _ = node.committer.sync();
                self.healed();
                if node.is_synced() && !node.is_poisoned() {
                    self.note_durable(node);
                }
                Ok(())
            }
            _ => {
                self.make(node);
                Ok(())
            }
        }
    }

    /// Continues a checkpoint, or begins one.
    fn make(&mut self, node: &mut Node<'_>) {
        for _ in 0..self.dice.below(5) {
            self.stumble(8);
            let had = node.map.base().map(|base| base.file().covers_frame());
            let _ = node.advance();
            self.healed();
            let has = node.map.base().map(|base| base.file().covers_frame());
            self.checkpoints += u64::from(had != has);
            if node.is_poisoned() {
                return;
            }
            if node.is_synced() {
                self.note_durable(node);
            }
        }
    }

    fn request(&mut self, node: &mut Node<'_>, requests: Vec<Request>) -> Told<()> {
        let wall = WallMs(WALL.0 + self.dice.below(4));
        let Some((entries, ledger)) = node.foresee(requests.clone(), wall) else {
            // The checkpoint could not be read; the commit itself would report it.
            return Ok(());
        };
        let mut next = self.states.last().cloned().unwrap_or_default();
        for (entry, lseq, from) in entries {
            next.entries
                .insert(entry.key().to_vec(), (entry, lseq, from));
        }
        (next.cursors, next.peers) = (ledger.cursors, ledger.peers);
        next.pruned = ledger.pruned;
        self.states.push(next);
        self.now.most = self.states.len() - 1;
        self.note();
        let is_hint =
            |request: &Request| matches!(request, Request::Peer { .. } | Request::Pruned { .. });
        let waits =
            |request: &Request| matches!(request, Request::Received(_) | Request::Flush { .. });
        let is_synced = self.durability == Durability::Synced && !requests.iter().all(is_hint);
        let must_be_synced = is_synced || requests.iter().any(waits);
        self.stumble(4);
        let outcome = node.commit(requests, wall);
        self.healed();
        match outcome {
            Ok(receipts) => {
                for receipt in receipts {
                    self.now.told_sequence = self.now.told_sequence.max(receipt.sequence);
                }
                if must_be_synced && !node.is_synced() {
                    return Err("accepted before it was synced".to_owned());
                }
                self.note_durable(node);
            }
            Err(_) if node.is_poisoned() => self.note(),
            Err(_) => {
                // The refused group has left no trace.
                self.states.pop();
                self.now.most = self.states.len() - 1;
                self.note();
            }
        }
        Ok(())
    }

    /// Checks that nothing is accepted after a failure with an open outcome.
    fn takes_nothing(&mut self, node: &mut Node<'_>) -> Told<()> {
        let synced = node.log().synced_frame();
        // A removal that changes nothing needs no log.
        let write = Request::Write {
            ticket: 1,
            operation: operation(99, Some(1)),
        };
        for request in [write, self.receive(), Request::Flush { ticket: 1 }] {
            if node.commit(vec![request], WALL).is_ok() {
                return Err("a log that failed takes more".to_owned());
            }
        }
        if node.committer.sync().is_ok() || node.log().synced_frame() != synced {
            return Err("a log that failed is synced again".to_owned());
        }
        self.note();
        Ok(())
    }

    /// Makes one of the next calls fail, now and then.
    fn stumble(&mut self, calls: u64) {
        if !self.fails && self.dice.once_in(40) {
            let errors = [std::io::ErrorKind::Other, std::io::ErrorKind::StorageFull];
            let error = errors[self.dice.index(2)];
            let call = self.disk.calls() + 1 + self.dice.below(calls);
            self.disk
                .fail_call(call, Fault::Short { bytes: 100, error });
        }
    }

    fn healed(&self) {
        if !self.fails {
            self.disk.heal();
        }
    }

    fn operation(&mut self) -> Operation {
        let key = u8::try_from(self.dice.below(12)).unwrap();
        let value = u8::try_from(self.dice.below(5)).unwrap();
        if self.dice.once_in(40) {
            let bytes = [700, 5_000, 70_000][self.dice.index(3)];
            return Operation::put(&[b'k', key], &vec![value; bytes], true).unwrap();
        }
        operation(key, (value > 0).then_some(value))
    }

    fn write(&mut self) -> Request {
        let operation = self.operation();
        Request::Write {
            ticket: 1,
            operation,
        }
    }

    fn receive(&mut self) -> Request {
        self.number += 1;
        let key = u8::try_from(self.dice.below(12)).unwrap();
        let value = u8::try_from(self.dice.below(5)).unwrap();
        Request::Received(Received {
            peer: PEER,
            token: 1,
            from: FeedPosition::default(),
            position: FeedPosition {
                incarnation: Incarnation([9; 16]),
                own: self.number,
                relay: 0,
            },
            scope: crate::store::scope::Scope::ALL,
            entries: vec![received(key, (value > 0).then_some(value), self.number)],
        })
    }

    fn hint(&mut self) -> Request {
        self.number += 1;
        if self.dice.once_in(2) {
            return Request::Pruned { lseq: self.number };
        }
        let record = PeerRecord {
            node_id: format!("peer {}", self.number),
            ..PeerRecord::default()
        };
        Request::Peer { peer: PEER, record }
    }
}
