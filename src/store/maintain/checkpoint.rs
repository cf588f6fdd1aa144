//! Writes a checkpoint: a merge of the rows of the previous one with the changes up to the seal of the log, page by
//! page, while writers go on. The caller owns the thread and the locks.

use std::ops::Bound;
use std::sync::Arc;

use crate::core::identity::Origin;
use crate::disk::storage::Storage;
use crate::store::commit::committer::Committer;
use crate::store::commit::ledger::Ledger;
use crate::store::commit::maintenance::peers_of;
use crate::store::entry::Namespace;
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;
use crate::store::record::origin_dictionary::OriginDictionary;
use crate::store::record::{Record, encode};
use crate::store::state::base::{Base, OWN, RELAY};
use crate::store::state::checkpoint_snapshot::changed_page;
use crate::store::state::map::EntryMap;
use crate::store::state::row;
use crate::store::state::snapshot::SnapshotId;
use crate::store::state::totals::{NOTED, Totals};
#[cfg(test)]
use crate::table::WORK_BYTES_MAX;
use crate::table::{Checkpoint, CheckpointWriter, RangeCursor, Row, RowRef};

pub use crate::wal::log::segment::CHECKPOINT_SUFFIX;

/// Suffix of a checkpoint's name while it is written.
pub const TEMP_SUFFIX: &str = ".checkpoint.new";

/// Suffix of the side file in which the feeds of a checkpoint are sorted.
pub const TEMP_SIDE_SUFFIX: &str = ".checkpoint.new.feed";

/// Entries that are copied while writers wait. Few in tests, so that much can happen between two pages.
const PAGE_ENTRIES: usize = if cfg!(test) { 2 } else { 256 };

/// Rows of the previous checkpoint that are copied at once.
const COPIED_AT_ONCE: usize = if cfg!(test) { 2 } else { 1024 };

/// Count of numbers beside a checkpoint: the totals, last local sequence, last sequence, last applied sequence,
/// reserved sequence, and the halves of the log's file id.
const NOTES: usize = NOTED + 6;

/// The moment that a checkpoint shows: right after the seal of the log.
#[derive(Debug)]
pub struct Cut {
    /// The last frame that the checkpoint covers.
    pub covers_frame: u64,
    /// Id of the log to which it belongs.
    pub file_id: [u8; 16],
    /// The ledger at that moment.
    pub ledger: Ledger,
    /// Totals over all entries.
    pub totals: Totals,
    /// A snapshot that began at that moment.
    pub snapshot: SnapshotId,
    /// The previous checkpoint; `None` if there is none.
    pub base: Option<Arc<Base>>,
    /// The peers that sent the entries.
    pub sources: Vec<Origin>,
}

/// A changed entry, ready to be written.
struct Change {
    key: Box<[u8]>,
    stream: Option<u8>,
    lseq: u64,
    sum: u128,
    body: Vec<u8>,
}

/// A checkpoint under way.
pub struct CheckpointJob<'s> {
    cut: Cut,
    writer: CheckpointWriter<'s>,
    base_row: Option<RangeCursor>,
    row: Option<RowRef>,
    origins: OriginDictionary,
    meta: Vec<u8>,
    changes: Vec<Change>,
    after: Option<Box<[u8]>>,
    has_more: bool,
}

impl Committer {
    /// The cut for a checkpoint made now, right after a seal; begins its snapshot. `None` without a log. The base rows
    /// of all entries must be known.
    pub fn cut(&self, covers_frame: u64, map: &mut EntryMap) -> Option<Cut> {
        Some(Cut {
            covers_frame,
            file_id: self.file_id()?,
            ledger: self.ledger().clone(),
            totals: map.totals(),
            snapshot: map.open_checkpoint_snapshot(self.ledger().last_lseq),
            base: map.base().cloned(),
            sources: map.sources().to_vec(),
        })
    }
}

impl<'s> CheckpointJob<'s> {
    /// Begins a checkpoint for a test, with as much memory as sorting the feeds can use.
    #[cfg(test)]
    pub fn begin(storage: &'s dyn Storage, name: &str, cut: Cut) -> Result<Self, StoreError> {
        Self::begin_within(storage, name, cut, WORK_BYTES_MAX)
    }

    /// Begins a checkpoint in the file `name`, which is replaced if it exists. Sorting the feeds takes up to `work_bytes`
    /// of memory.
    ///
    /// # Errors
    /// If the file cannot be made, or the previous checkpoint cannot be read.
    pub fn begin_within(
        storage: &'s dyn Storage,
        name: &str,
        cut: Cut,
        work_bytes: usize,
    ) -> Result<Self, StoreError> {
        let mut job = Self {
            writer: CheckpointWriter::create_within(storage, name, work_bytes)?,
            base_row: None,
            row: None,
            origins: OriginDictionary::default(),
            meta: Vec::new(),
            changes: Vec::new(),
            after: None,
            has_more: true,
            cut,
        };
        if let Some(base) = &job.cut.base {
            // Rows of the previous checkpoint are copied unchanged: their origins keep their numbers.
            job.origins = base.origins().told_again(&mut job.meta);
            job.base_row = Some(base.range(Bound::Unbounded)?);
            job.advance()?;
        }
        Ok(job)
    }

    /// The snapshot from which it is made; the caller closes it at the end.
    pub fn snapshot(&self) -> SnapshotId {
        self.cut.snapshot
    }

    /// Number of rows written so far.
    pub fn rows(&self) -> u64 {
        u64::from(self.writer.rows())
    }

    /// Number of bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.writer.bytes()
    }

    /// Copies one page of changes. The map is needed only for this.
    pub fn take_page(&mut self, map: &EntryMap) {
        let Self {
            origins,
            meta,
            changes,
            cut,
            ..
        } = self;
        let after = self.after.take();
        let visit = |held: &Held| {
            let mut body = Vec::new();
            let source = map.source_of(held.via);
            row::encode(&mut body, meta, origins, &held.entry, source);
            let (stream, sum) = place_of(held);
            changes.push(Change {
                key: held.entry.key().into(),
                stream,
                lseq: held.lseq,
                sum,
                body,
            });
        };
        self.after = changed_page(map, cut.snapshot, after.as_deref(), PAGE_ENTRIES, visit);
        self.has_more = self.after.is_some();
    }

    /// Writes the copied page, and the rows of the previous checkpoint that come before it. Returns true if more pages
    /// have to be copied.
    ///
    /// # Errors
    /// If the disk is full or fails, or the previous checkpoint cannot be read.
    pub fn write_page(&mut self) -> Result<bool, StoreError> {
        for change in std::mem::take(&mut self.changes) {
            while let Some(row) = &self.row {
                match row.cmp_key(&change.key) {
                    std::cmp::Ordering::Less => self.copy_row()?,
                    std::cmp::Ordering::Equal => self.advance()?,
                    std::cmp::Ordering::Greater => break,
                }
            }
            self.writer.push(&Row {
                key: &change.key,
                stream: change.stream,
                lseq: change.lseq,
                sum: change.sum,
                body: &change.body,
                is_dead: row::is_tombstone(&change.body),
            })?;
        }
        if self.has_more {
            return Ok(true);
        }
        for _ in 0..COPIED_AT_ONCE {
            if self.row.is_none() {
                return Ok(false);
            }
            self.copy_row()?;
        }
        Ok(true)
    }

    /// True if the map is still needed.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    fn advance(&mut self) -> Result<(), StoreError> {
        self.row = match &mut self.base_row {
            Some(cursor) => cursor.next()?,
            None => None,
        };
        Ok(())
    }

    fn copy_row(&mut self) -> Result<(), StoreError> {
        if let (Some(row), Some(base)) = (&self.row, &self.cut.base) {
            let body = base.file().body(row)?;
            self.writer.push(&Row {
                key: &row.key(),
                stream: row.stream(),
                lseq: row.lseq(),
                sum: row.sum(),
                body: &body,
                is_dead: row::is_tombstone(&body),
            })?;
        }
        self.advance()
    }

    /// Ends the file, makes it durable, and reads all of it back. The file is not yet in the place where an opening
    /// looks for it.
    ///
    /// # Errors
    /// If the disk is full or fails, or the file does not read back.
    pub fn finish(mut self) -> Result<(), StoreError> {
        let Cut {
            ledger,
            totals,
            file_id,
            covers_frame,
            ..
        } = &self.cut;
        for record in records_of(ledger) {
            encode(&mut self.meta, &mut self.origins, &record);
        }
        for source in &self.cut.sources {
            let peer = Some(*source);
            encode(&mut self.meta, &mut self.origins, &Record::Source { peer });
        }
        let id = u128::from_le_bytes(*file_id);
        let mut notes = totals.noted().to_vec();
        notes.extend([
            ledger.last_lseq,
            ledger.last_sequence,
            ledger.last_applied_remote,
            ledger.reserved_sequence,
            low_half(id),
            low_half(id >> 64),
        ]);
        self.writer.set_notes(&notes);
        self.writer.finish(&self.meta, *covers_frame)?;
        Ok(())
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the other half is taken too"
)]
fn low_half(id: u128) -> u64 {
    id as u64
}

/// The stream that lists an entry, and the entry's share of the fingerprint.
pub(in crate::store) fn place_of(held: &Held) -> (Option<u8>, u128) {
    let entry = &held.entry;
    if Namespace::of(entry.key()).is_none_or(|namespace| !namespace.is_replicated()) {
        (None, 0)
    } else if held.is_row() {
        (Some(OWN), entry.fingerprint())
    } else {
        (Some(RELAY), entry.fingerprint())
    }
}

/// The whole ledger as records.
fn records_of(ledger: &Ledger) -> Vec<Record> {
    let mut records = vec![Record::Identity {
        origin: ledger.origin,
        lease: ledger.lease,
        node_id: ledger.node_id.clone(),
        fresh_chain: true,
    }];
    records.push(Record::Author(ledger.authorship.clone()));
    records.extend(ledger.epochs.iter().map(|link| Record::Stretch {
        incarnation: link.incarnation,
        began_after: link.began_after,
    }));
    records.extend(
        ledger
            .cursors
            .iter()
            .map(|(peer, position)| Record::Cursor {
                peer: *peer,
                position: *position,
                scope: ledger.scope_of(*peer),
            }),
    );
    records.extend(peers_of(ledger));
    records.push(Record::Reserve {
        sequence: ledger.reserved_sequence,
        clock: ledger.clock.high_water(),
    });
    records.push(Record::Pruned {
        lseq: ledger.pruned,
    });
    records.push(Record::Released {
        lseq: ledger.released,
    });
    records.extend(ledger.identity_conflict.clone().map(Record::Doubt));
    records.extend(ledger.salvaged.map(|lost| Record::Salvaged { lost }));
    records
}

/// The decoded numbers beside a checkpoint.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Notes {
    pub(in crate::store) totals: Totals,
    pub(in crate::store) last_lseq: u64,
    pub(in crate::store) last_sequence: u64,
    pub(in crate::store) last_applied_remote: u64,
    pub(in crate::store) reserved_sequence: u64,
    pub(in crate::store) file_id: [u8; 16],
}

impl Notes {
    pub(in crate::store) fn of(file: &Checkpoint) -> Option<Self> {
        let notes = file.notes().get(..NOTES)?;
        let totals = Totals::from_noted(notes, file.sum())?;
        let [lseq, sequence, applied, reserved, low, high] =
            *notes.get(NOTED..)?.first_chunk::<6>()?;
        let id = u128::from(low) | u128::from(high) << 64;
        Some(Self {
            totals,
            last_lseq: lseq,
            last_sequence: sequence,
            last_applied_remote: applied,
            reserved_sequence: reserved,
            file_id: id.to_le_bytes(),
        })
    }
}
