//! An open store and the checkpoint that it is making, a step at a time, as `node::checkpoint` does it on threads.

use std::sync::Arc;

use super::super::{NAME, remove_covered, seeds};
use super::state::Placed;
use crate::core::clock::WallMs;
use crate::disk::storage::Storage;
use crate::store::commit::committer::{Committer, Durability, Plan, Refused};
use crate::store::commit::install::install_some;
use crate::store::commit::ledger::Ledger;
use crate::store::commit::operation::{Receipt, Request};
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::maintain::checkpoint::{CHECKPOINT_SUFFIX, CheckpointJob, Cut, TEMP_SUFFIX};
use crate::store::maintain::recovery::{OpenReport, Opened, open, put_in_place};
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;
use crate::store::state::rebase::Rebase;
use crate::store::state::snapshot::SnapshotId;
use crate::wal::log::Log;

/// Mistakes that a driver of checkpoints could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Sealed logs are removed before the checkpoint is in place.
    RemoveBeforePlace,
    /// The snapshot is taken before the log is sealed.
    CutBeforeSeal,
    /// The checkpoint holds the ledger of the opening.
    OldLedger,
    /// The checkpoint claims to cover the first frame after the seal.
    CoverOneMore,
    /// The file gets its name before it is complete.
    NameBeforeEnd,
    /// Writes that were made during the checkpoint are not carried over.
    RebaseTooFar,
    /// The new file of the log names origins by the numbers of the old one.
    KeepOrigins,
    /// A write is reported as durable before it is synced.
    TellUnsynced,
    /// Rows of the previous checkpoint are left out.
    ForgetBase,
}

#[derive(Default)]
pub(super) enum Making<'s> {
    #[default]
    Nothing,
    /// Used by mistakes only.
    Taken(Box<Cut>),
    Writing(Box<CheckpointJob<'s>>, Reach),
    Placed(Arc<Base>, Reach),
    Carrying(Box<Rebase>, Reach),
}

/// The positions up to which a checkpoint covers the log and the feed.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    last_lseq: u64,
    covers_frame: u64,
    snapshot: SnapshotId,
}

/// An open store.
pub(crate) struct Node<'s> {
    pub(crate) storage: &'s dyn Storage,
    pub(crate) committer: Committer,
    pub(crate) map: EntryMap,
    pub(super) report: OpenReport,
    pub(super) making: Making<'s>,
    mistake: Option<Mistake>,
    ledger_at_open: Ledger,
    salt: u64,
}

impl<'s> Node<'s> {
    pub(super) fn open(
        storage: &'s dyn Storage,
        durability: Durability,
        round: u8,
        mistake: Option<Mistake>,
    ) -> Result<Self, StoreError> {
        // Every second round reads each block anew, without a cache.
        let cache_bytes = usize::from(round % 2) << 16;
        let opened = open(
            storage,
            NAME,
            "node",
            durability,
            cache_bytes,
            &seeds(round),
        )?;
        assert!(!opened.report.copy_noticed, "it was taken for a copy");
        Ok(Self {
            mistake,
            salt: u64::from(round) << 32,
            ..Self::over(storage, opened)
        })
    }

    /// A store that was opened elsewhere.
    pub(crate) fn over(storage: &'s dyn Storage, opened: Opened) -> Self {
        Self {
            storage,
            ledger_at_open: opened.committer.ledger().clone(),
            committer: opened.committer,
            map: opened.map,
            report: opened.report,
            making: Making::Nothing,
            mistake: None,
            salt: 0,
        }
    }

    /// Continues in the epoch that the disk had before this opening, as if the process had never ended.
    pub(crate) fn forget_the_opening(&mut self) {
        let chain = &mut self.committer.ledger.epochs;
        let is_known = |place: usize| chain.get(place).map(|link| link.incarnation);
        let last = chain.len() - 1;
        if last > 0 && is_known(last - 1) == is_known(last) {
            chain.pop();
            self.committer.opening.clear();
        }
    }

    /// True if a power cut would take nothing; always true without a log.
    pub(crate) fn is_synced_or_none(&self) -> bool {
        self.committer.log.is_none() || self.is_synced()
    }

    pub(super) fn log(&self) -> &Log {
        self.committer.log.as_ref().unwrap()
    }

    /// True if the log refuses every request.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.committer.poisoned().is_some()
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.log().synced_frame() == self.log().appended_frame()
    }

    pub(super) fn commit(
        &mut self,
        requests: Vec<Request>,
        wall: WallMs,
    ) -> Result<Vec<Receipt>, Box<Refused>> {
        let mut committed = self.committer.commit(requests, &self.map, wall)?;
        while !install_some(&mut committed, &mut self.map).is_empty() {}
        Ok(committed.receipts)
    }

    /// Entries of a planned group that are made on this node, and the losers that it reports.
    pub(crate) fn made_in(plan: &mut Plan) -> (impl Iterator<Item = &mut Entry>, &mut [Entry]) {
        let planned = plan.group.planned.iter_mut();
        let made = planned.filter(|planned| planned.from.is_none());
        let made = made.map(|planned| &mut planned.entry);
        (made, &mut plan.group.losers)
    }

    /// Entries that a group would make, with their places, and the ledger afterwards.
    pub(crate) fn foresee(
        &self,
        requests: Vec<Request>,
        wall: WallMs,
    ) -> Option<(Vec<Placed>, Ledger)> {
        let before = self.committer.ledger().clone();
        let first = before.last_lseq + 1;
        let origins = crate::store::record::origin_dictionary::OriginDictionary::default();
        // Without a log this committer only plans.
        let mut twin = Committer::new(None, before, origins, Durability::Synced);
        twin.policy = self.committer.policy;
        twin.reported = self.committer.reported.clone();
        let committed = twin.commit(requests, &self.map, wall).ok()?;
        let ephemeral = crate::store::entry::EntryFlags::EPHEMERAL;
        let planned = committed
            .entries()
            .zip(first..)
            .map(|((entry, from), lseq)| {
                let mut entry = entry.clone();
                entry.flags.0 &= !ephemeral.0;
                (entry, lseq, from)
            });
        Some((planned.collect(), twin.ledger().clone()))
    }

    /// Takes the next step of a checkpoint, or begins one. An error ends the checkpoint, and not the node.
    pub(crate) fn advance(&mut self) -> Result<(), StoreError> {
        match std::mem::take(&mut self.making) {
            Making::Nothing => self.begin(),
            Making::Taken(cut) => self.seal(Some(cut)),
            Making::Writing(job, reach) => {
                let outcome = self.write(job, reach);
                if outcome.is_err() {
                    self.map.close_snapshot(reach.snapshot);
                    let _ = self.storage.remove(&format!("{NAME}{TEMP_SUFFIX}"));
                }
                outcome
            }
            Making::Placed(base, reach) => {
                let mut last_lseq = reach.last_lseq;
                if self.mistake == Some(Mistake::RebaseTooFar) {
                    last_lseq = self.committer.ledger().last_lseq;
                }
                let rebase = Rebase::new(base, &self.map, last_lseq);
                self.making = Making::Carrying(Box::new(rebase), reach);
                Ok(())
            }
            Making::Carrying(mut rebase, reach) => {
                let carried = rebase.take(&self.map);
                if let Some(carried) = carried {
                    rebase.put(carried);
                    self.making = Making::Carrying(rebase, reach);
                } else {
                    self.adopt(*rebase, reach);
                }
                Ok(())
            }
        }
    }

    pub(crate) fn is_making(&self) -> bool {
        !matches!(self.making, Making::Nothing)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        while self.map.base_unknown() > 0 {
            self.map.look_up_base()?;
        }
        while self.map.unsorted() > 0 {
            self.map.sort_some();
        }
        if self.mistake == Some(Mistake::CutBeforeSeal) {
            let cut = self.committer.cut(0, &mut self.map);
            self.making = cut.map_or(Making::Nothing, |cut| Making::Taken(Box::new(cut)));
            return Ok(());
        }
        self.seal(None)
    }

    fn seal(&mut self, taken: Option<Box<Cut>>) -> Result<(), StoreError> {
        self.salt += 1;
        let origins = std::mem::take(&mut self.committer.origins);
        let keeps = self.mistake == Some(Mistake::KeepOrigins);
        let sealed = self.committer.seal(self.storage, self.salt);
        if keeps || !matches!(sealed, Ok(Some(_))) {
            self.committer.origins = origins;
        }
        sealed?;
        let Some(covers_frame) = self.committer.sealed_frame() else {
            return Ok(());
        };
        let cut = match taken {
            Some(cut) => Some(*cut),
            None => self.committer.cut(covers_frame, &mut self.map),
        };
        let Some(mut cut) = cut else { return Ok(()) };
        cut.covers_frame = covers_frame;
        match self.mistake {
            Some(Mistake::OldLedger) => cut.ledger = self.ledger_at_open.clone(),
            Some(Mistake::CoverOneMore) => cut.covers_frame += 1,
            Some(Mistake::ForgetBase) => cut.base = None,
            Some(Mistake::RemoveBeforePlace) => {
                remove_covered(&mut self.committer, self.storage, covers_frame)?;
            }
            _ => {}
        }
        let reach = Reach {
            last_lseq: cut.ledger.last_lseq,
            covers_frame,
            snapshot: cut.snapshot,
        };
        let temp = format!("{NAME}{TEMP_SUFFIX}");
        match CheckpointJob::begin(self.storage, &temp, cut) {
            Ok(job) => self.making = Making::Writing(Box::new(job), reach),
            Err(error) => {
                self.map.close_snapshot(reach.snapshot);
                return Err(error);
            }
        }
        Ok(())
    }

    fn write(&mut self, mut job: Box<CheckpointJob<'s>>, reach: Reach) -> Result<(), StoreError> {
        if job.has_more() {
            job.take_page(&self.map);
        }
        if job.write_page()? {
            self.making = Making::Writing(job, reach);
            return Ok(());
        }
        let temp = format!("{NAME}{TEMP_SUFFIX}");
        if self.mistake == Some(Mistake::NameBeforeEnd) {
            let place = format!("{NAME}{CHECKPOINT_SUFFIX}");
            let _ = self.storage.rename(&temp, &place);
            let _ = self.storage.sync_directory();
        }
        job.finish()?;
        let base = put_in_place(self.storage, &temp, NAME, 1 << 16, &mut || {
            std::ops::ControlFlow::Continue(())
        })?;
        self.map.close_snapshot(reach.snapshot);
        self.making = Making::Placed(base, reach);
        Ok(())
    }

    fn adopt(&mut self, rebase: Rebase, reach: Reach) {
        drop(rebase.finish(&mut self.map));
        // The next checkpoint removes the parts that are left over.
        let _ = remove_covered(&mut self.committer, self.storage, reach.covers_frame);
    }
}
