//! Unfinished large values, over all connections of a node. The part of a value that a lost connection leaves is kept
//! for a while, so that the next connection to that peer resumes after it instead of beginning at zero. Bounded in
//! bytes, number and time, and lost with the process: then the value begins anew.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::chunks::Spool;
use crate::core::clock::MonotonicMs;
use crate::core::identity::Origin;
use crate::core::limits::VALUE_BYTES_MAX;
use crate::sync::message::{BEGUN_MAX, Begun, BegunValues, ValueId};

/// Bytes that are kept for one peer while it is away: one value of the largest size.
pub const KEPT_BYTES_OF_PEER_MAX: u64 = VALUE_BYTES_MAX as u64;

/// Bytes that are kept for all absent peers, nearly all of them in files: four values of the largest size. Beyond that
/// the oldest values begin anew.
pub const KEPT_BYTES_MAX: u64 = 4 * KEPT_BYTES_OF_PEER_MAX;

/// Parts that are kept for all absent peers: each keeps a file open, of which a process has a thousand or so.
pub const KEPT_MAX: usize = 64;

/// Time for which a part is kept after its last byte, in milliseconds: long enough to change trains or networks. A
/// peer that comes back later sends the value again, and the disk does not fill with values that nobody finishes.
pub const KEPT_MS: u64 = 600_000;

/// The received bytes of one value, shared by the connection that adds to them and the list of all.
#[derive(Debug)]
pub(in crate::transport) struct PartFile {
    /// The storage; `None` once another connection has resumed the value.
    pub(in crate::transport) spool: Mutex<Option<Spool>>,
    received: AtomicU64,
    touched: AtomicU64,
}

impl PartFile {
    pub(in crate::transport) fn new(spool: Spool, received: u64, now: MonotonicMs) -> Self {
        Self {
            spool: Mutex::new(Some(spool)),
            received: AtomicU64::new(received),
            touched: AtomicU64::new(now.0),
        }
    }

    /// Records the number of bytes received so far.
    pub(in crate::transport) fn reach(&self, received: u64, now: MonotonicMs) {
        self.received.store(received, Ordering::Release);
        self.touched.store(now.0, Ordering::Release);
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    fn touched(&self) -> u64 {
        self.touched.load(Ordering::Acquire)
    }
}

/// Id of one connection's assembler.
pub(in crate::transport) type HolderId = u64;

#[derive(Debug)]
struct Record {
    peer: Origin,
    id: ValueId,
    file: Arc<PartFile>,
    /// The connection that the value arrives on, as long as that lives.
    holder: Option<HolderId>,
}

/// All incomplete values of a node whose announcements identify them.
#[derive(Debug, Default)]
pub struct Unfinished {
    records: Mutex<Vec<Record>>,
    last_holder: AtomicU64,
}

impl Unfinished {
    pub(in crate::transport) fn next_holder(&self) -> HolderId {
        self.last_holder.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The received parts of a peer's values, including those that a dead connection still holds without knowing that
    /// it is dead.
    pub fn parts_of(&self, peer: Origin, now: MonotonicMs) -> BegunValues {
        self.expire(now);
        let records = self.records.lock();
        let of_peer = records.iter().filter(|record| record.peer == peer);
        let mut found: Vec<(u64, Begun)> = of_peer
            .map(|record| {
                let (id, bytes) = (record.id, record.file.received());
                (record.file.touched(), Begun { id, bytes })
            })
            .filter(|(_, part)| part.bytes > 0 && part.bytes < part.id.length)
            .collect();
        found.sort_by_key(|(touched, _)| std::cmp::Reverse(*touched));
        let parts = found.into_iter().map(|(_, part)| part);
        parts.take(BEGUN_MAX).collect()
    }

    /// Registers a value that begins or resumes on a connection. Of one peer's values the oldest beyond [`BEGUN_MAX`]
    /// are forgotten.
    pub(in crate::transport) fn begin(
        &self,
        peer: Origin,
        id: ValueId,
        holder: HolderId,
        file: &Arc<PartFile>,
    ) {
        let mut records = self.records.lock();
        records.retain(|record| record.peer != peer || record.id != id);
        while records.iter().filter(|record| record.peer == peer).count() >= BEGUN_MAX {
            remove_oldest(&mut records, |record| record.peer == peer);
        }
        records.push(Record {
            peer,
            id,
            file: Arc::clone(file),
            holder: Some(holder),
        });
    }

    /// Takes the bytes of a value, for a connection that resumes after the first `offset` of them. The earlier
    /// connection finds that they are gone.
    pub(in crate::transport) fn take(
        &self,
        peer: Origin,
        id: ValueId,
        offset: u64,
    ) -> Option<Spool> {
        let mut records = self.records.lock();
        let is_it = |record: &Record| record.peer == peer && record.id.is_same(id);
        let place = records.iter().position(is_it)?;
        let record = records.swap_remove(place);
        drop(records);
        let mut spool = record.file.spool.lock();
        // The connection that adds bytes holds this lock meanwhile.
        let is_there = record.file.received() >= offset;
        spool.take().filter(|_| is_there)
    }

    /// Forgets a value that is complete, or whose part is useless.
    pub(in crate::transport) fn forget(&self, id: ValueId, holder: HolderId) {
        let is_it = |record: &Record| record.id == id && record.holder == Some(holder);
        self.records.lock().retain(|record| !is_it(record));
    }

    /// Takes in that a connection has ended: its parts are kept, within the limits.
    pub(in crate::transport) fn release(&self, holder: HolderId) {
        let mut records = self.records.lock();
        for record in records.iter_mut() {
            record.holder.take_if(|held| *held == holder);
        }
        // A connection that has not received a byte leaves nothing to resume.
        records.retain(|record| record.holder.is_some() || record.file.received() > 0);
        let peers: Vec<Origin> = records.iter().map(|record| record.peer).collect();
        for peer in peers {
            let of_peer = |record: &Record| record.peer == peer;
            while kept(&records, of_peer).1 > KEPT_BYTES_OF_PEER_MAX {
                remove_oldest(&mut records, |record| is_kept(record) && of_peer(record));
            }
        }
        loop {
            let (count, bytes) = kept(&records, |_| true);
            if count <= KEPT_MAX && bytes <= KEPT_BYTES_MAX {
                break;
            }
            remove_oldest(&mut records, is_kept);
        }
    }

    /// Forgets parts that were kept for too long. Returns when the next of the others will have been.
    pub fn expire(&self, now: MonotonicMs) -> Option<MonotonicMs> {
        let mut records = self.records.lock();
        records.retain(|record| !is_kept(record) || over_at(record) > now);
        records
            .iter()
            .filter(|record| is_kept(record))
            .map(over_at)
            .min()
    }
}

/// When a record has been kept for too long, if its connection is gone.
fn over_at(record: &Record) -> MonotonicMs {
    MonotonicMs(record.file.touched()).after(KEPT_MS)
}

fn is_kept(record: &Record) -> bool {
    record.holder.is_none()
}

/// Number of kept records among those selected, and their bytes.
fn kept(records: &[Record], of: impl Fn(&Record) -> bool) -> (usize, u64) {
    let kept = records
        .iter()
        .filter(|record| is_kept(record) && of(record));
    kept.fold((0, 0), |(count, bytes), record| {
        (count + 1, bytes + record.file.received())
    })
}

fn remove_oldest(records: &mut Vec<Record>, of: impl Fn(&Record) -> bool) {
    let matching = records.iter().enumerate().filter(|(_, record)| of(record));
    let oldest = matching.min_by_key(|(_, record)| record.file.touched());
    if let Some(place) = oldest.map(|(place, _)| place) {
        records.remove(place);
    }
}
