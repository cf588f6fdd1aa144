//! Reads a log whose content exceeds the memory limit, by pieces: each time that the entries read fill the memory, a
//! checkpoint is made of them, and the rest is read over it. So a node opens that was stopped because its memory had
//! run out.

use std::ops::ControlFlow;

use super::checkpoint::{CheckpointJob, Cut, TEMP_SUFFIX};
use super::recovery::{OpeningMemory, open_checkpoint, put_in_place_telling};
use super::replay::{Replay, State};
use crate::disk::storage::Storage;
use crate::store::error::StoreError;
use crate::store::record::OriginDictionary;
use crate::wal::log::Log;
use crate::wal::recover::scan::RecoveredFrame;

/// Place and memory of the checkpoints between the pieces.
#[derive(Clone, Copy)]
pub(super) struct Pieces<'s> {
    pub(super) storage: &'s dyn Storage,
    /// Name of the log.
    pub(super) name: &'s str,
    pub(super) memory: OpeningMemory,
}

pub(super) fn malformed(
    frame: &RecoveredFrame<'_>,
    reason: crate::core::bytes::DecodeError,
) -> StoreError {
    StoreError::Record {
        frame: frame.number,
        path: frame.file.to_owned(),
        reason,
    }
}

impl Pieces<'_> {
    /// Reads the groups of an open log that the checkpoint does not cover, and removes the sealed parts that the last
    /// new checkpoint covers. Every group is durable, so a stop at any point leaves a checkpoint and the log after it.
    ///
    /// # Errors
    /// If the disk fails or is full, or a group is malformed.
    pub(super) fn read(&self, log: &mut Log) -> Result<(State, OriginDictionary), StoreError> {
        let checkpoint = open_checkpoint(self.storage, self.name, self.memory.cache_bytes)?;
        let covers_frame = checkpoint
            .as_ref()
            .map_or(0, |(file, _)| file.covers_frame());
        let file_id = log.header().file_id;
        let mut replay = Replay::over(checkpoint, None)?;
        log.reread(self.storage, covers_frame, &mut |frame| {
            replay
                .frame(&frame)
                .map_err(|reason| malformed(&frame, reason))?;
            if replay.memory_bytes() > self.memory.changes_bytes
                && let Some(state) = replay.state_mut()
            {
                self.make_checkpoint(state, frame.number, file_id)?;
            }
            Ok::<(), StoreError>(())
        })?;
        replay.enter_file(log.header().first_frame);
        let (state, origins) = replay.finish()?;
        let covered = state
            .map
            .base()
            .map_or(0, |base| base.file().covers_frame());
        let mut removal = log.covered(covered)?;
        // Best effort: the next checkpoint meets the parts that could not be removed again.
        let _ = removal.carry_out(self.storage);
        log.forget(&removal);
        Ok((state, origins))
    }

    /// Makes a checkpoint of everything read up to a frame, and puts the state over it.
    fn make_checkpoint(
        &self,
        state: &mut State,
        covers_frame: u64,
        file_id: [u8; 16],
    ) -> Result<(), StoreError> {
        let (map, ledger) = (&mut state.map, &state.ledger);
        map.sort_base_unknown();
        while map.base_unknown() > 0 {
            map.look_up_base()?;
        }
        while map.unsorted() > 0 {
            map.sort_some();
        }
        let (cache_bytes, work_bytes) = (self.memory.cache_bytes, self.memory.work_bytes);
        let temp = format!("{}{TEMP_SUFFIX}", self.name);
        let cut = Cut {
            covers_frame,
            file_id,
            ledger: ledger.clone(),
            totals: map.totals(),
            snapshot: map.open_checkpoint_snapshot(ledger.last_lseq),
            base: map.base().cloned(),
            sources: map.sources().to_vec(),
        };
        let mut job = CheckpointJob::begin_within(self.storage, &temp, cut, work_bytes)?;
        loop {
            if job.has_more() {
                job.take_page(map);
            }
            if !job.write_page()? {
                break;
            }
        }
        job.finish()?;
        let (memory, go_on) = (
            (cache_bytes, work_bytes),
            &mut |_| ControlFlow::Continue(()),
        );
        let base = put_in_place_telling(self.storage, &temp, self.name, memory, go_on)?;
        state.map = State::map_over(base)?;
        Ok(())
    }
}
