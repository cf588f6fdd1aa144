//! Replay of records: the state of a checkpoint, and of the frames after it.
//!
//! Decoding a record and putting its entry into the map take about equal time, so for a large log another thread
//! does the second, if the caller provides one.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::checkpoint::Notes;
use crate::core::bytes::DecodeError;
use crate::core::identity::Origin;
use crate::store::commit::ledger::Ledger;
use crate::store::error::StoreError;
use crate::store::lineage::Authorship;
use crate::store::record::{OriginDictionary, Record, decode};
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;
use crate::table::Checkpoint;
use crate::wal::recover::scan::RecoveredFrame;

/// Runs some work on another thread. Returns true if it will.
pub type Beside<'a> = &'a dyn Fn(Box<dyn FnOnce() + Send>) -> bool;

/// Bytes of frames after which another thread is asked for: its start, some tens of microseconds, is paid back many
/// times.
const BESIDE_BYTES_MIN: usize = 1 << 20;

/// Most bytes of frames that wait to be put into the map: as many as a large group, so that neither side waits for the
/// other, and little memory. A larger frame waits alone.
const WAITING_BYTES_MAX: usize = 8 << 20;

/// The state that records describe.
#[derive(Debug, Default)]
pub(in crate::store) struct State {
    pub(in crate::store) ledger: Ledger,
    pub(in crate::store) map: EntryMap,
}

/// The thread that puts records into the state.
enum Installer {
    /// The decoding thread itself.
    Here(Box<State>),
    /// Another thread, which returns the state when the frames end.
    Beside {
        frames: Sender<(usize, Vec<Record>)>,
        /// Bytes of each frame that was put into the map, with the map's memory afterwards.
        done: Receiver<(usize, u64)>,
        /// The last memory that was received.
        memory_bytes: u64,
        /// Bytes of the frames that are not confirmed yet.
        waiting: usize,
        state: Receiver<State>,
    },
}

/// The state of a checkpoint and the frames after it, being read.
pub(in crate::store) struct Replay<'b> {
    installer: Installer,
    beside: Option<Beside<'b>>,
    origins: Origins,
    /// Bytes of the frames read so far.
    bytes: usize,
}

/// Origins that frames name by number, with separate numbers in each file.
#[derive(Debug, Default)]
pub(in crate::store) struct Origins {
    known: OriginDictionary,
    /// The first frame of the file in which they are numbered.
    first_in_file: u64,
}

impl Origins {
    fn enter_file(&mut self, first_in_file: u64) {
        if self.first_in_file != first_in_file {
            self.first_in_file = first_in_file;
            self.known = self.known.of_next_file();
        }
    }

    /// Decodes a frame without taking anything in but its origins.
    ///
    /// # Errors
    /// If the frame does not decode.
    pub(in crate::store) fn judge(
        &mut self,
        frame: &RecoveredFrame<'_>,
    ) -> Result<(), DecodeError> {
        self.enter_file(frame.first_in_file);
        decode(frame.body, &mut self.known, |_| {})
    }
}

impl<'b> Replay<'b> {
    /// Begins after a checkpoint, or with an empty state.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::store) fn over(
        checkpoint: Option<(Checkpoint, Notes)>,
        beside: Option<Beside<'b>>,
    ) -> Result<Self, StoreError> {
        let state = match checkpoint {
            Some((file, notes)) => State::over(file, &notes)?,
            None => State::default(),
        };
        Ok(Self {
            installer: Installer::Here(Box::new(state)),
            beside,
            origins: Origins::default(),
            bytes: 0,
        })
    }

    /// Enters a file of the log. Each file numbers its origins anew, so that it can be read without those before it.
    pub(in crate::store) fn enter_file(&mut self, first_in_file: u64) {
        self.origins.enter_file(first_in_file);
    }

    /// The origins so far, for continuing without the rest.
    pub(in crate::store) fn take_origins(&mut self) -> Origins {
        std::mem::take(&mut self.origins)
    }

    /// Takes in the next frame.
    ///
    /// # Errors
    /// If the frame does not decode. Then the state so far is void.
    pub(in crate::store) fn frame(
        &mut self,
        frame: &RecoveredFrame<'_>,
    ) -> Result<(), DecodeError> {
        if frame.is_covered {
            // Only the origins are learned.
            return self.origins.judge(frame);
        }
        self.enter_file(frame.first_in_file);
        self.bytes += frame.body.len();
        if self.bytes >= BESIDE_BYTES_MIN
            && let Some(beside) = self.beside.take()
        {
            self.go_beside(beside);
        }
        match &mut self.installer {
            Installer::Here(state) => {
                let mut from = None;
                decode(frame.body, &mut self.origins.known, |record| {
                    state.take(record, &mut from);
                })
            }
            Installer::Beside {
                frames,
                done,
                memory_bytes,
                waiting,
                ..
            } => {
                let bytes = frame.body.len();
                while *waiting > 0 && *waiting + bytes > WAITING_BYTES_MAX {
                    // If the other thread is gone, `finish` reports it.
                    let (done, memory) = done.recv().unwrap_or((*waiting, 0));
                    *waiting -= done;
                    *memory_bytes = memory;
                }
                let mut records = Vec::new();
                decode(frame.body, &mut self.origins.known, |record| {
                    records.push(record);
                })?;
                *waiting += bytes;
                let _ = frames.send((bytes, records));
                Ok(())
            }
        }
    }

    /// Memory of everything read, without some megabytes that may wait to be put into the map.
    pub(in crate::store) fn memory_bytes(&self) -> u64 {
        match &self.installer {
            Installer::Here(state) => state.map.memory_bytes(),
            Installer::Beside { memory_bytes, .. } => *memory_bytes,
        }
    }

    /// The state of everything read so far; `None` if another thread has it.
    pub(in crate::store) fn state_mut(&mut self) -> Option<&mut State> {
        match &mut self.installer {
            Installer::Here(state) => Some(state),
            Installer::Beside { .. } => None,
        }
    }

    fn go_beside(&mut self, beside: Beside<'_>) {
        let Installer::Here(state) = &mut self.installer else {
            return;
        };
        let (frames, coming) = channel::<(usize, Vec<Record>)>();
        let (reported, done) = channel();
        let (given, taken) = channel::<State>();
        let (back, whole) = channel();
        let work = move || {
            let Ok(mut state) = taken.recv() else {
                return;
            };
            for (bytes, records) in coming {
                let mut from = None;
                for record in records {
                    state.take(record, &mut from);
                }
                // The receiver is gone if the whole log is read.
                let _ = reported.send((bytes, state.map.memory_bytes()));
            }
            // The receiver is gone if the log turned out to be damaged.
            let _ = back.send(state);
        };
        if !beside(Box::new(work)) {
            return;
        }
        let begun = std::mem::take(&mut **state);
        if let Err(refused) = given.send(begun) {
            **state = refused.0;
            return;
        }
        self.installer = Installer::Beside {
            frames,
            done,
            memory_bytes: 0,
            waiting: 0,
            state: whole,
        };
    }

    /// The whole state, and the origins of the last file.
    ///
    /// # Errors
    /// If the thread that put records into it has failed.
    pub(in crate::store) fn finish(self) -> Result<(State, OriginDictionary), StoreError> {
        let state = match self.installer {
            Installer::Here(state) => *state,
            Installer::Beside { frames, state, .. } => {
                drop(frames);
                let gone = |_| {
                    StoreError::Panicked(
                        "what fills the map failed while the log was read".to_owned(),
                    )
                };
                state.recv().map_err(gone)?
            }
        };
        Ok((state, self.origins.known))
    }
}

impl State {
    /// The state of a checkpoint.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::store) fn over(file: Checkpoint, notes: &Notes) -> Result<Self, StoreError> {
        let mut state = Self::default();
        let mut origins = OriginDictionary::default();
        let mut sources = Vec::new();
        decode(&file.meta()?, &mut origins, |record| match record {
            Record::Source { peer } => sources.extend(peer),
            record => state.record(record, None),
        })
        .map_err(|reason| StoreError::Row {
            path: file.file().to_owned(),
            reason,
        })?;
        let ledger = &mut state.ledger;
        ledger.last_lseq = notes.last_lseq;
        ledger.last_sequence = notes.last_sequence;
        ledger.last_applied_remote = notes.last_applied_remote;
        ledger.reserved_sequence = notes.reserved_sequence;
        let base = Base::new(file, origins, sources, notes.totals);
        state.map = Self::map_over(base)?;
        Ok(state)
    }

    /// An empty map over a checkpoint.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub(in crate::store) fn map_over(base: Arc<Base>) -> Result<EntryMap, StoreError> {
        let mut map = EntryMap::over(base);
        map.recall_lineage()?;
        Ok(map)
    }

    /// Takes in the next record of a frame; `from` is the peer that sent the following entries.
    fn take(&mut self, record: Record, from: &mut Option<Origin>) {
        match record {
            Record::Source { peer } => *from = peer,
            record => self.record(record, *from),
        }
    }

    fn record(&mut self, record: Record, from: Option<Origin>) {
        let ledger = &mut self.ledger;
        match record {
            Record::Identity {
                origin,
                lease,
                node_id,
                fresh_chain,
            } => {
                if ledger.origin != origin {
                    // A log of the first version records nothing else of its author.
                    ledger.authorship = Authorship::new(origin);
                }
                (ledger.origin, ledger.lease, ledger.node_id) = (origin, lease, node_id);
                if fresh_chain {
                    ledger.begin_anew();
                }
            }
            Record::Stretch {
                incarnation,
                began_after,
            } => {
                ledger.last_lseq = ledger.last_lseq.max(began_after);
                ledger.begin_epoch(incarnation);
            }
            Record::Entry { entry, lseq } => {
                if from.is_none() && entry.dot.origin == ledger.authorship.current {
                    ledger.authorship.has_written = true;
                    ledger.last_sequence = ledger.last_sequence.max(entry.dot.sequence);
                } else {
                    ledger.last_applied_remote = ledger.last_applied_remote.max(entry.dot.sequence);
                }
                ledger.last_lseq = ledger.last_lseq.max(lseq);
                self.map.install(entry, lseq, from);
            }
            Record::Cursor {
                peer,
                position,
                scope,
            } => ledger.hold(peer, position, scope),
            Record::PeerScope { peer, about } => ledger.exchange(peer, about),
            Record::Peer { peer, record } => {
                ledger.peers.insert(peer, record);
            }
            Record::Reserve { sequence, clock } => {
                ledger.reserved_sequence = sequence;
                ledger.raise_clock(clock);
            }
            Record::Author(authorship) => ledger.authorship = authorship,
            Record::Source { .. } => {}
            Record::Salvaged { lost } => ledger.salvaged = Some(lost),
            Record::Pruned { lseq } => ledger.pruned = ledger.pruned.max(lseq),
            Record::Released { lseq } => ledger.released = ledger.released.max(lseq),
            Record::Doubt(identity_conflict) => ledger.identity_conflict = Some(identity_conflict),
        }
    }
}
