//! Migration of a checkpoint from an earlier format to the present one, at the first opening by this version.
//!
//! Format 1 differs in the rows' shares of the sums: they left out the content (docs/format.md, "Checkpoints"). All
//! rows are read once and written to a new file with present sums, which replaces the old one when it is durable and
//! reads back. A stop on the way leaves the old file as it was.

use std::ops::{Bound, ControlFlow};

use super::checkpoint::{Notes, TEMP_SUFFIX, place_of};
use super::recovery::put_in_place_telling;
use crate::disk::storage::Storage;
use crate::store::error::StoreError;
use crate::store::record::origin_dictionary::OriginDictionary;
use crate::store::record::{Record, decode};
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;
use crate::store::state::totals::{NOTED, Totals};
use crate::table::{Checkpoint, CheckpointWriter, Row};

/// The first format whose sums cover the content.
const CONTENT_FORMAT: u16 = 2;

/// True if a checkpoint has to be rewritten before it is used.
pub(in crate::store) fn is_due(checkpoint: &Checkpoint) -> bool {
    checkpoint.format_version() < CONTENT_FORMAT
}

/// Rewrites the checkpoint of the log `name`, and replaces the old one.
///
/// # Errors
/// If the old one cannot be read, or the disk is full or fails; then the old one is still in its place.
pub(in crate::store) fn migrate(
    storage: &dyn Storage,
    name: &str,
    old: Checkpoint,
    notes: &Notes,
    work_bytes: usize,
) -> Result<(), StoreError> {
    let meta = old.meta()?;
    let mut origins = OriginDictionary::default();
    let mut sources = Vec::new();
    decode(&meta, &mut origins, |record| {
        if let Record::Source { peer } = record {
            sources.extend(peer);
        }
    })
    .map_err(|reason| StoreError::Row {
        path: old.file().to_owned(),
        reason,
    })?;
    let mut numbers = old.notes().to_vec();
    let covers_frame = old.covers_frame();
    let base = Base::new(old, origins, sources, notes.totals);
    let map = EntryMap::over(base.clone());
    let temp = format!("{name}{TEMP_SUFFIX}");
    let mut writer = CheckpointWriter::create_within(storage, &temp, work_bytes)?;
    let mut totals = Totals::default();
    let mut rows = base.range(Bound::Unbounded)?;
    while let Some(row) = rows.next()? {
        let body = base.file().body(&row)?;
        let held = map.held_of(base.decode(&row)?);
        totals.add(&held.entry, held.via == 0);
        let (stream, sum) = place_of(&held);
        writer.push(&Row {
            key: &row.key(),
            stream,
            lseq: row.lseq(),
            sum,
            body: &body,
            is_dead: held.entry.is_tombstone(),
        })?;
    }
    for (place, number) in numbers.iter_mut().zip(totals.noted()).take(NOTED) {
        *place = number;
    }
    writer.set_notes(&numbers);
    writer.finish(&meta, covers_frame)?;
    let go_on = &mut |_| ControlFlow::Continue(());
    put_in_place_telling(storage, &temp, name, (0, work_bytes), go_on)?;
    Ok(())
}
