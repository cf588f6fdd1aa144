//! Assembly of large values from their chunks: in memory while a value is small and the node's budget has room, else
//! in an unnamed temporary file. One value at a time for each connection. The received part of a value outlives the
//! connection (`unfinished`) if its announcement identifies the value.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::SpooledTempFile;
use thiserror::Error;

use super::unfinished::{HolderId, PartFile, Unfinished};
use crate::core::clock::MonotonicMs;
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::{Entry, Extra};
use crate::sync::message::{Batch, Chunk, Large, RefusalCode, Stream};

/// Longest value that may be assembled in memory, in bytes; a longer one goes to a file.
pub const SPOOL_BYTES_MAX: usize = 1 << 20;

/// Bytes of unfinished values that a node keeps in memory, over all connections; further values go to files.
pub const SPOOL_BUDGET_BYTES: usize = 8 << 20;

/// Violation of the order of LARGE and CHUNK by the peer, or the end of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AssemblyError {
    /// The peer announced a large value while another was under way.
    #[error("a large value was announced before the last one was complete")]
    Overlapping,
    /// The peer sent a chunk without an announcement.
    #[error("a chunk came without an announcement")]
    Unannounced,
    /// The peer sent more bytes than it announced.
    #[error("a large value is longer than announced")]
    TooLong,
    /// The value was to resume after bytes that are not here.
    #[error("a large value goes on behind bytes that are not here")]
    Missing,
    /// The complete value is not the announced one. It begins anew.
    #[error("a large value is not what was announced")]
    Different,
    /// The node stops.
    #[error("the node stops")]
    Interrupted,
}

/// Result of an announcement or a chunk.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled {
    /// More chunks are needed, or the sender has given the value up.
    Nothing,
    /// The value is complete: its entry, as a batch of one.
    Complete(Batch),
    /// The value is refused; its chunks are skipped.
    Refused {
        /// The stream of the announcement.
        stream: Stream,
        /// Place of the entry in the sender's feed: the `to` of the announcement.
        lseq_to: u64,
        /// Reason of the refusal: too large, or no room on disk.
        code: RefusalCode,
    },
}

/// Memory budget for unfinished values, shared by all connections of a node.
#[derive(Debug)]
pub struct SpoolBudget {
    free: AtomicUsize,
}

impl SpoolBudget {
    /// A budget of `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            free: AtomicUsize::new(bytes),
        }
    }

    /// Free bytes of the budget.
    #[cfg(test)]
    pub fn free_bytes(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Reservation> {
        self.free
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                free.checked_sub(bytes)
            })
            .ok()?;
        Some(Reservation {
            budget: Arc::clone(self),
            bytes,
        })
    }
}

#[derive(Debug)]
struct Reservation {
    budget: Arc<SpoolBudget>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

/// Storage of the bytes of one value.
#[derive(Debug)]
pub(in crate::transport) struct Spool {
    file: SpooledTempFile,
    /// Memory taken from the budget; `None` if the bytes go straight to a file.
    reservation: Option<Reservation>,
}

#[derive(Debug)]
struct UnderWay {
    large: Large,
    part: Arc<PartFile>,
    received: u64,
    is_in_memory: bool,
}

#[derive(Debug)]
enum State {
    Idle,
    UnderWay(Box<UnderWay>),
    Skipping { left: u64 },
}

/// Assembler of the large values of one connection.
#[derive(Debug)]
pub struct Assembler {
    value_bytes_max: u64,
    folder: Option<PathBuf>,
    budget: Arc<SpoolBudget>,
    unfinished: Arc<Unfinished>,
    holder: HolderId,
    /// The peer, once it has greeted and was accepted.
    peer: Option<Origin>,
    state: State,
}

impl Drop for Assembler {
    fn drop(&mut self) {
        self.unfinished.release(self.holder);
    }
}

impl Assembler {
    /// An assembler for values of at most `value_bytes_max` bytes. Files are created in `folder`, or in the system's
    /// temporary folder.
    pub fn new(
        value_bytes_max: u64,
        folder: Option<PathBuf>,
        budget: Arc<SpoolBudget>,
        unfinished: Arc<Unfinished>,
    ) -> Self {
        Self {
            value_bytes_max,
            folder,
            budget,
            holder: unfinished.next_holder(),
            unfinished,
            peer: None,
            state: State::Idle,
        }
    }

    /// Sets the peer once it has greeted and was accepted: parts of values are kept for it from now on.
    pub fn greeted(&mut self, peer: Origin) {
        self.peer = Some(peer);
    }

    /// True if the next step may touch a file, so that it does not belong on a thread that must not wait.
    pub fn may_block(&self) -> bool {
        matches!(&self.state, State::UnderWay(under_way) if !under_way.is_in_memory)
    }

    /// Takes in the announcement of a large value. If it resumes a kept part, this may touch a file.
    pub fn on_large(&mut self, large: Large, now: MonotonicMs) -> Result<Assembled, AssemblyError> {
        if !matches!(self.state, State::Idle) {
            return Err(AssemblyError::Overlapping);
        }
        if large.value_length > self.value_bytes_max {
            self.state = State::Skipping {
                left: large.value_length,
            };
            return Ok(refused(&large, RefusalCode::ValueTooLarge));
        }
        let received = large.resumption.map_or(0, |resumption| resumption.offset);
        let spool = if received > 0 {
            self.go_on(&large, received)?
        } else {
            self.spool(large.value_length)
        };
        let is_in_memory = spool.reservation.is_some();
        let part = Arc::new(PartFile::new(spool, received, now));
        if let (Some(peer), Some(id)) = (self.peer, large.value_id()) {
            self.unfinished.begin(peer, id, self.holder, &part);
        }
        self.state = State::UnderWay(Box::new(UnderWay {
            large,
            part,
            received,
            is_in_memory,
        }));
        Ok(Assembled::Nothing)
    }

    /// Storage for a value of `value_length` bytes.
    fn spool(&self, value_length: u64) -> Spool {
        let reservation = usize::try_from(value_length)
            .ok()
            .filter(|length| *length <= SPOOL_BYTES_MAX)
            .and_then(|length| self.budget.reserve(length));
        let in_memory = reservation.as_ref().map_or(0, |taken| taken.bytes);
        let file = match &self.folder {
            Some(folder) => tempfile::spooled_tempfile_in(in_memory, folder),
            None => tempfile::spooled_tempfile(in_memory),
        };
        Spool { file, reservation }
    }

    /// The kept part of a value, positioned to resume after `offset`.
    fn go_on(&self, large: &Large, offset: u64) -> Result<Spool, AssemblyError> {
        let known = self.peer.zip(large.value_id());
        let (peer, id) = known.ok_or(AssemblyError::Missing)?;
        let spool = self.unfinished.take(peer, id, offset);
        let mut spool = spool.ok_or(AssemblyError::Missing)?;
        match spool.file.seek(SeekFrom::Start(offset)) {
            Ok(_) => Ok(spool),
            Err(error) => {
                tracing::warn!(%error, "a large value that was kept cannot be gone on with");
                Err(AssemblyError::Missing)
            }
        }
    }

    /// Takes in the next bytes of the value; an empty chunk gives it up.
    pub fn on_chunk(
        &mut self,
        chunk: &Chunk,
        now: MonotonicMs,
    ) -> Result<Assembled, AssemblyError> {
        let length = chunk.bytes.len() as u64;
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => Err(AssemblyError::Unannounced),
            _ if length == 0 => Ok(Assembled::Nothing),
            State::Skipping { left } => {
                let left = left.checked_sub(length).ok_or(AssemblyError::TooLong)?;
                if left > 0 {
                    self.state = State::Skipping { left };
                }
                Ok(Assembled::Nothing)
            }
            State::UnderWay(under_way) => self.extend(under_way, &chunk.bytes, now),
        }
    }

    fn extend(
        &mut self,
        mut under_way: Box<UnderWay>,
        bytes: &[u8],
        now: MonotonicMs,
    ) -> Result<Assembled, AssemblyError> {
        let announced = under_way.large.value_length;
        let received = under_way.received + bytes.len() as u64;
        if received > announced {
            return Err(AssemblyError::TooLong);
        }
        under_way.received = received;
        let part = Arc::clone(&under_way.part);
        let mut guard = part.spool.lock();
        let Some(spool) = guard.as_mut() else {
            // Another connection of this peer has resumed the value: this one is about to end.
            let left = announced - received;
            if left > 0 {
                self.state = State::Skipping { left };
            }
            return Ok(Assembled::Nothing);
        };
        let complete = match spool.file.write_all(bytes) {
            Ok(()) if received < announced => {
                part.reach(received, now);
                drop(guard);
                self.state = State::UnderWay(under_way);
                return Ok(Assembled::Nothing);
            }
            Ok(()) => finish(&mut spool.file, &under_way.large),
            Err(error) => Err(error),
        };
        drop(guard);
        if let Some(id) = under_way.large.value_id() {
            self.unfinished.forget(id, self.holder);
        }
        match complete {
            Ok(batch) if !is_as_announced(&under_way.large, &batch) => {
                Err(AssemblyError::Different)
            }
            Ok(batch) => Ok(Assembled::Complete(batch)),
            Err(error) => {
                tracing::warn!(%error, "a large value could not be kept while it arrived");
                if received < announced {
                    self.state = State::Skipping {
                        left: announced - received,
                    };
                }
                Ok(refused(&under_way.large, RefusalCode::StorageFailed))
            }
        }
    }
}

fn refused(large: &Large, code: RefusalCode) -> Assembled {
    Assembled::Refused {
        stream: large.stream,
        lseq_to: large.to,
        code,
    }
}

/// True if a value is the announced one, or its announcement does not identify it.
fn is_as_announced(large: &Large, batch: &Batch) -> bool {
    let Some(resumption) = large.resumption.filter(|_| !is_broken(Rule::PartOfAnother)) else {
        return true;
    };
    let mut entries = batch.entries.iter();
    entries.all(|entry| entry.content_hash() == Some(resumption.content))
}

fn finish(spool: &mut SpooledTempFile, large: &Large) -> io::Result<Batch> {
    let announced = &large.entry;
    let key = announced.key();
    let length = usize::try_from(large.value_length).map_err(io::Error::other)?;
    let mut payload = Vec::new();
    payload
        .try_reserve_exact(key.len() + length)
        .map_err(io::Error::other)?;
    payload.extend_from_slice(key);
    spool.seek(SeekFrom::Start(0))?;
    let read = spool.take(large.value_length).read_to_end(&mut payload)?;
    if read != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let entry = Entry::new(
        payload.into_boxed_slice(),
        key.len(),
        announced.flags,
        announced.dot,
        announced.stamp,
        announced.version,
        Extra {
            vector: announced.vector().to_vec(),
            extension: announced.extension().to_vec(),
        },
    )
    .ok_or(io::ErrorKind::InvalidData)?;
    Ok(Batch {
        stream: large.stream,
        from: large.from,
        to: large.to,
        entries: vec![entry],
    })
}
