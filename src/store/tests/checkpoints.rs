//! The store with checkpoints against a model: with any writes while a checkpoint is made, power cuts anywhere, and any
//! number of openings.

use std::sync::Arc;

use proptest::prelude::*;

use super::super::entry::{Entry, EntryFlags, Extra};
use super::{NAME, WALL, operation, remove_covered, reopen};
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::stamp::Stamp;
use crate::disk::memory::MemoryStorage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Received, Request};
use crate::store::maintain::checkpoint::{CheckpointJob, TEMP_SUFFIX};
use crate::store::maintain::recovery::put_in_place;
use crate::store::state::base::Base;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::RangeSums;
use crate::store::state::rebase::Rebase;
use crate::store::state::snapshot::SnapshotId;

/// A step between two pages of a checkpoint, or between two checkpoints.
#[derive(Debug, Clone)]
enum Step {
    Write(u8, Option<u8>),
    Receive(u8, Option<u8>),
    Prune,
    Snapshot,
}

/// A part of a life: steps before a checkpoint, steps while it is made, and its end.
#[derive(Debug, Clone)]
struct Epoch {
    before: Vec<Step>,
    during: Vec<Step>,
    end: End,
}

#[derive(Debug, Clone, Copy)]
enum End {
    /// The checkpoint is finished, and the node goes on.
    Finished,
    /// The power is cut after that many pages.
    CutAfterPages(usize, u64),
    /// The power is cut once the file is in place, before the sealed log is removed.
    CutInPlace(u64),
    /// The node closes without a checkpoint.
    Closed,
}

fn epochs() -> impl Strategy<Value = Vec<Epoch>> {
    let step = || {
        let value = proptest::option::weighted(0.7, 0_u8..5);
        prop_oneof![
            6 => (0_u8..12, value.clone()).prop_map(|(key, value)| Step::Write(key, value)),
            3 => (0_u8..12, value).prop_map(|(key, value)| Step::Receive(key, value)),
            1 => Just(Step::Prune),
            1 => Just(Step::Snapshot),
        ]
    };
    let end = prop_oneof![
        4 => Just(End::Finished),
        1 => (0_usize..6, any::<u64>()).prop_map(|(pages, seed)| End::CutAfterPages(pages, seed)),
        1 => any::<u64>().prop_map(End::CutInPlace),
        1 => Just(End::Closed),
    ];
    let epoch = (
        proptest::collection::vec(step(), 0..12),
        proptest::collection::vec(step(), 0..8),
        end,
    );
    let epoch = epoch.prop_map(|(before, during, end)| Epoch {
        before,
        during,
        end,
    });
    proptest::collection::vec(epoch, 1..6)
}

struct Life {
    disk: MemoryStorage,
    committer: Committer,
    map: EntryMap,
    /// A map with the same entries and no disk under it.
    model: EntryMap,
    round: u8,
    number: u64,
    /// Range sums that are kept over all steps, as a node keeps them.
    sums: std::cell::RefCell<RangeSums>,
}

impl Life {
    fn new() -> Self {
        let disk = MemoryStorage::new();
        let (committer, map) = reopen(&disk, Durability::Synced, 0);
        let model = EntryMap::default();
        Self {
            disk,
            committer,
            map,
            model,
            round: 0,
            number: 0,
            sums: std::cell::RefCell::default(),
        }
    }

    fn reopen(&mut self) {
        self.round += 1;
        (self.committer, self.map) = reopen(&self.disk, Durability::Synced, self.round);
        while self.map.base_unknown() > 0 {
            self.map.look_up_base().unwrap();
        }
        self.check();
    }

    fn request(&mut self, request: &Request) {
        let mut committed = self
            .committer
            .commit(vec![request.clone()], &self.map, WALL)
            .unwrap();
        for (entry, from) in committed.entries() {
            let lseq = self.number + 1;
            self.number = lseq;
            self.model.install(entry.clone(), lseq, from);
        }
        while !super::install_some(&mut committed, &mut self.map).is_empty() {}
        self.check();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Write(key, value) => self.request(&Request::Write {
                ticket: 1,
                operation: operation(*key, *value),
            }),
            Step::Receive(key, value) => {
                let peer = Origin([9; 16]);
                let position = FeedPosition {
                    incarnation: Incarnation([9; 16]),
                    own: self.number + 1,
                    relay: 0,
                };
                let entry = received(*key, *value, self.number + 1);
                self.request(&Request::Received(Received {
                    peer,
                    token: 1,
                    from: FeedPosition::default(),
                    position,
                    scope: crate::store::scope::Scope::ALL,
                    entries: vec![entry],
                }));
                assert_eq!(self.committer.ledger().cursors.get(&peer), Some(&position));
            }
            Step::Prune => self.request(&Request::Pruned { lseq: self.number }),
            Step::Snapshot => {
                let snapshot = self.map.open_snapshot();
                let found = super::snapshots::read(&self.map, snapshot, &[0], None, usize::MAX);
                let live = self.model.range_from(std::ops::Bound::Unbounded);
                let live = live.map(|entry| entry.unwrap().into_owned());
                let live = live.filter(|entry| !entry.is_tombstone() && entry.key()[0] == 0);
                assert!(found.into_iter().eq(live));
                self.map.close_snapshot(snapshot);
            }
        }
    }

    /// Checks that every answer is as if there were no checkpoint.
    fn check(&self) {
        super::range_sums::check(&mut self.sums.borrow_mut(), &self.map);
        let all = |map: &EntryMap| -> Vec<Entry> {
            map.range_from(std::ops::Bound::Unbounded)
                .map(|entry| entry.unwrap().into_owned())
                .collect()
        };
        assert_eq!(all(&self.map), all(&self.model));
        assert_eq!(self.map.totals(), self.model.totals());
        assert_eq!(self.map.totals(), self.map.recount().unwrap());
        let feed = |map: &EntryMap, own: bool| -> Vec<(Entry, Option<Origin>)> {
            let rows = if own {
                map.own_after(0)
            } else {
                map.relay_after(0)
            };
            let mut last = 0;
            rows.map(|held| {
                let held = held.unwrap();
                assert!(held.lseq > last, "a feed goes up");
                last = held.lseq;
                let at = map.at(held.lseq).unwrap().unwrap();
                assert_eq!(at.entry, held.entry);
                (held.entry.clone(), map.source_of(held.via))
            })
            .collect()
        };
        for own in [true, false] {
            assert_eq!(feed(&self.map, own), feed(&self.model, own));
        }
        let lseqs: Vec<u64> = self
            .map
            .own_after(0)
            .map(|held| held.unwrap().lseq)
            .collect();
        for after in [0, 1, self.number / 2, self.number] {
            for to in [after, self.number / 3, self.number, u64::MAX] {
                let inside = lseqs.iter().filter(|lseq| after < **lseq && **lseq <= to);
                assert_eq!(self.map.own_rows(after, to).unwrap(), inside.count() as u64);
            }
            let next = lseqs.iter().find(|lseq| **lseq > after);
            assert_eq!(self.map.own_row_after(after, 1).unwrap().as_ref(), next);
            assert!(next.is_none() || self.map.has_own_after(after));
        }
        for key in 0..12_u8 {
            let stored = [0, b'k', key];
            assert_eq!(
                self.map.entry(&stored).unwrap(),
                self.model.entry(&stored).unwrap()
            );
        }
    }

    fn job(&mut self) -> Option<(CheckpointJob<'static>, u64, u64)> {
        while self.map.unsorted() > 0 {
            self.map.sort_some();
        }
        self.committer
            .seal(&self.disk, u64::from(self.round) + 500)
            .unwrap();
        let covers_frame = self.committer.sealed_frame()?;
        let cut = self.committer.cut(covers_frame, &mut self.map).unwrap();
        let last_lseq = cut.ledger.last_lseq;
        // Leaked, because tests end soon: a disk that outlives the job is simpler than its lifetime.
        let disk: &'static MemoryStorage = Box::leak(Box::new(self.disk.clone()));
        let temp = format!("{NAME}{TEMP_SUFFIX}");
        let job = CheckpointJob::begin(disk, &temp, cut).unwrap();
        Some((job, last_lseq, covers_frame))
    }

    /// Carries later changes over piece by piece, with a step after each piece.
    fn adopt<'s>(
        &mut self,
        base: Arc<Base>,
        last_lseq: u64,
        during: &mut impl Iterator<Item = &'s Step>,
    ) {
        let mut rebase = Rebase::new(base, &self.map, last_lseq);
        while let Some(carried) = rebase.take(&self.map)
            && let Some(step) = during.next()
        {
            self.step(step);
            rebase.put(carried);
        }
        drop(rebase.finish(&mut self.map));
        while self.map.base_unknown() > 0 {
            self.map.look_up_base().unwrap();
        }
        self.check();
    }

    fn live(&mut self, epoch: &Epoch) {
        for step in &epoch.before {
            self.step(step);
        }
        if matches!(epoch.end, End::Closed) {
            let (fresh, _) = reopen(&MemoryStorage::new(), Durability::Synced, 0);
            std::mem::replace(&mut self.committer, fresh)
                .close()
                .unwrap();
            return self.reopen();
        }
        let shown = self.map.open_snapshot();
        let then = self.shown(shown);
        let Some((mut job, last_lseq, covers_frame)) = self.job() else {
            return;
        };
        let mut during = epoch.during.iter();
        let mut pages = 0;
        loop {
            if let End::CutAfterPages(after, seed) = epoch.end
                && pages == after
            {
                drop(job);
                self.disk = self.disk.image().power_cut(seed);
                return self.reopen();
            }
            pages += 1;
            if job.has_more() {
                job.take_page(&self.map);
                if !job.has_more() {
                    self.map.close_snapshot(job.snapshot());
                }
            }
            if !job.write_page().unwrap() {
                break;
            }
            if let Some(step) = during.next() {
                self.step(step);
            }
        }
        job.finish().unwrap();
        let temp = format!("{NAME}{TEMP_SUFFIX}");
        let base = put_in_place(&self.disk, &temp, NAME, 1 << 16, &mut || {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        if let End::CutInPlace(seed) = epoch.end {
            self.disk = self.disk.image().power_cut(seed);
            return self.reopen();
        }
        self.adopt(base, last_lseq, &mut during);
        remove_covered(&mut self.committer, &self.disk, covers_frame).unwrap();
        for step in during {
            self.step(step);
        }
        assert_eq!(
            self.shown(shown),
            then,
            "a view goes on over another checkpoint"
        );
        self.map.close_snapshot(shown);
    }

    fn shown(&self, snapshot: SnapshotId) -> Vec<Entry> {
        super::snapshots::read(&self.map, snapshot, &[0], None, usize::MAX)
    }
}

pub(super) fn received(key: u8, value: Option<u8>, number: u64) -> Entry {
    let mut payload = vec![0, b'k', key];
    payload.extend(value);
    let flags = if value.is_none() {
        EntryFlags::TOMBSTONE
    } else {
        EntryFlags::default()
    };
    let dot = Dot {
        origin: Origin([9; 16]),
        sequence: number,
    };
    // Stamps above and below those of local writes, in turn.
    let stamp = Stamp::at(crate::core::clock::WallMs(WALL.0 + number % 3 - 1));
    Entry::new(
        payload.into(),
        3,
        flags,
        dot,
        stamp,
        number,
        Extra::default(),
    )
    .unwrap()
}

proptest! {
    #[test]
    fn a_store_with_checkpoints_is_the_store_without_them(epochs in epochs()) {
        let mut life = Life::new();
        for epoch in &epochs {
            life.live(epoch);
        }
        life.reopen();
    }
}

#[test]
fn a_checkpoint_of_another_log_is_told() {
    let mut life = Life::new();
    life.step(&Step::Write(1, Some(1)));
    life.live(&Epoch {
        before: vec![],
        during: vec![],
        end: End::Finished,
    });
    let disk = MemoryStorage::new();
    let opened = super::open(&disk, NAME, "node", Durability::Synced, 0, &super::seeds(7)).unwrap();
    opened.committer.close().unwrap();
    let (checkpoint, log) = (format!("{NAME}.checkpoint"), NAME.to_owned());
    let files = [
        (
            checkpoint.clone(),
            life.disk.image().file(&checkpoint).unwrap(),
        ),
        (log.clone(), disk.image().file(&log).unwrap()),
    ];
    let mixed = MemoryStorage::from_files(files);
    let refused = super::open(
        &mixed,
        NAME,
        "node",
        Durability::Synced,
        0,
        &super::seeds(8),
    );
    assert!(refused.is_err());
}
