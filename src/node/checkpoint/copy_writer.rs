//! Writes a copy of the store while writes go on: a checkpoint elsewhere, with an empty log after it. It has no lease,
//! so that a node which opens it gets an identity of its own.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use super::copy::{Copy, aborted};
use crate::core::entropy::random_bytes;
use crate::disk::storage::Storage;
use crate::node::commit::intake::WHOLE;
use crate::node::failure::Failure;
use crate::node::shared::Shared;
use crate::store::error::StoreError;
use crate::store::maintain::checkpoint::{CheckpointJob, Cut, TEMP_SUFFIX};
use crate::store::maintain::recovery::put_in_place_telling;
use crate::wal::error::WalError;
use crate::wal::format::FileHeader;
use crate::wal::log::copy_header::create_following;

/// Writes the state of a cut to another place.
pub(in crate::node) fn write_copy(
    shared: &Shared,
    copy: &Copy,
    header: &FileHeader,
    cut: Cut,
) -> Result<(), Failure> {
    let storage = &*copy.storage;
    let temp = format!("{}{TEMP_SUFFIX}", copy.name);
    let covers_frame = cut.covers_frame;
    let written = write_rows(shared, copy, &temp, cut).and_then(|()| {
        let memory = (0, shared.budget.work_bytes);
        let mut pause = |_| {
            if copy.progress.is_cancelled()
                || shared.checkpoints.is_abandoned.load(Ordering::Acquire)
            {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        put_in_place_telling(storage, &temp, &copy.name, memory, &mut pause).map_err(|error| {
            let is_cancelled = copy.progress.is_cancelled();
            if matches!(error, StoreError::Stopped) && is_cancelled {
                aborted()
            } else {
                error.into()
            }
        })?;
        let entropy = |error: std::io::Error| StoreError::Entropy(error.to_string());
        let salt = u64::from_le_bytes(random_bytes().map_err(entropy)?);
        if copy.progress.is_cancelled() {
            return Err(aborted());
        }
        // Written last: until the log is there nothing can be opened by mistake.
        create_following(storage, &copy.name, header, salt, covers_frame)
            .map_err(StoreError::from)?;
        check_place(storage, &copy.name)
    });
    if written.is_err() {
        let checkpoint = format!(
            "{}{}",
            copy.name,
            crate::store::maintain::checkpoint::CHECKPOINT_SUFFIX
        );
        for file in [temp, checkpoint] {
            // Best effort: without its log the file is useless, and is reported as such.
            let _ = storage.remove(&file);
        }
    }
    written
}

/// Checks that the path of the copy still leads to it: its folder may have been moved while it was written.
fn check_place(storage: &dyn Storage, name: &str) -> Result<(), Failure> {
    let file = || storage.shown(name);
    let failed = |error: std::io::Error| WalError::Open {
        file: file(),
        cause: error.into(),
    };
    let bytes = match storage
        .open(name)
        .map_err(failed)
        .map_err(StoreError::from)?
    {
        Some(log) => log.len().map_err(failed).map_err(StoreError::from)?,
        None => 0,
    };
    let placed = storage
        .anchor()
        .map_or(Ok(()), |anchor| anchor.check(bytes));
    let displaced = |how| StoreError::from(WalError::Displaced { file: file(), how });
    Ok(placed.map_err(displaced)?)
}

fn write_rows(shared: &Shared, copy: &Copy, temp: &str, cut: Cut) -> Result<(), Failure> {
    let progress = &copy.progress;
    let total = cut.totals.live + cut.totals.tombstones;
    progress.entries_total.store(total, Ordering::Relaxed);
    let mut job = CheckpointJob::begin_within(&*copy.storage, temp, cut, shared.budget.work_bytes)?;
    loop {
        if progress.is_cancelled() {
            return Err(aborted());
        }
        if shared.checkpoints.is_abandoned.load(Ordering::Acquire) {
            return Err(StoreError::Stopped.into());
        }
        if job.has_more() {
            job.take_page(&shared.map.read());
        }
        let has_more = job.write_page()?;
        progress.entries.store(job.rows(), Ordering::Relaxed);
        let checkpoints = &shared.checkpoints;
        checkpoints.go_on((0, WHOLE), job.rows(), total);
        progress.bytes.store(job.bytes(), Ordering::Relaxed);
        if !has_more {
            return Ok(job.finish()?);
        }
    }
}
