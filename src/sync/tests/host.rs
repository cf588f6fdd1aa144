//! One node without its threads: a disk, a committer, a map and a replica.

use std::collections::{BTreeMap, VecDeque};

use super::dice::Dice;
use crate::core::identity::{Incarnation, Origin};
use crate::disk::memory::{DiskImage, MemoryStorage};
use crate::disk::storage::Storage;
use crate::store::commit::committer::{Committer, Durability};
use crate::store::commit::operation::Request;
use crate::store::conflict::open_conflicts::OpenConflict;
use crate::store::conflict::policy::{ConflictPolicy, loser_of};
use crate::store::entry::Entry;
use crate::store::maintain::recovery::{self, Opened, Seeds};
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::sync::options::{AckPolicy, ReplicaOptions};
use crate::sync::replica::Replica;
use crate::sync::report::SyncReport;
use crate::wal::files::lease;

pub(super) const LOG: &str = "a.wal";

/// The way in which a host stops.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stop {
    Cleanly,
    Killed,
    PowerCut,
}

pub(super) struct Host {
    pub(super) name: String,
    pub(super) options: ReplicaOptions,
    pub(super) durability: Durability,
    pub(super) storage: MemoryStorage,
    pub(super) running: Option<Running>,
    /// The greatest entry of each key that was durable here: no fault may take it back.
    pub(super) witness: BTreeMap<Vec<u8>, Entry>,
    /// True if the disk went back in time at least once.
    pub(super) rolled_back: bool,
    /// An older state of the disk.
    pub(super) image: Option<DiskImage>,
    /// Offset of the host's wall clock.
    pub(super) skew_ms: i64,
    /// Policy for concurrent writes.
    pub(super) policy: ConflictPolicy,
    /// The losers that the host was told of since it was opened.
    pub(super) losers: Vec<Entry>,
    /// The keys that the host exchanges.
    pub(super) scope: Scope,
}

/// Parts of a host while it runs.
pub(super) struct Running {
    pub(super) committer: Committer,
    pub(super) map: EntryMap,
    pub(super) replica: Replica,
    pub(super) queue: VecDeque<Request>,
    pub(super) commit_at: Option<u64>,
    pub(super) sync_at: Option<u64>,
    /// Entries that are accepted and not durable yet.
    pub(super) volatile: Vec<(u64, Entry)>,
    pub(super) copy_noticed: bool,
}

pub(super) fn options() -> ReplicaOptions {
    ReplicaOptions {
        batch_size: 1024,
        max_retries: 5,
        retry_interval_ms: 5_000,
        ack_timeout_ms: 10_000,
        ack_policy: AckPolicy::Any,
        memory_will_do: false,
        automatic: true,
        value_bytes_max: 64 << 20,
        durable: true,
    }
}

fn seeds(dice: &mut Dice) -> Seeds {
    Seeds {
        salt: dice.next(),
        file_id: dice.bytes(),
        origin: Origin(dice.bytes()),
        lease: dice.bytes(),
        incarnation: Incarnation(dice.bytes()),
    }
}

impl Host {
    pub(super) fn new(name: &str, options: ReplicaOptions, durability: Durability) -> Self {
        Self {
            name: name.to_owned(),
            options,
            durability,
            storage: MemoryStorage::new(),
            running: None,
            witness: BTreeMap::new(),
            rolled_back: false,
            image: None,
            skew_ms: 0,
            policy: ConflictPolicy::default(),
            losers: Vec::new(),
            scope: Scope::ALL,
        }
    }

    pub(super) fn open(&mut self, dice: &mut Dice) {
        assert!(self.running.is_none());
        let seeds = seeds(dice);
        let opened = if self.options.durable {
            recovery::open(
                &self.storage,
                LOG,
                &self.name,
                self.durability,
                1 << 20,
                &seeds,
            )
            .unwrap_or_else(|error| panic!("{} does not open: {error}", self.name))
        } else {
            self.witness.clear();
            recovery::in_memory(&self.name, &seeds)
        };
        let Opened {
            mut committer,
            map,
            report,
        } = opened;
        committer.set_conflict_policy(self.policy);
        self.losers.clear();
        assert_eq!(map.totals(), map.recount().unwrap());
        for (key, durable) in &self.witness {
            let found = map.entry(key).unwrap();
            assert!(
                found
                    .as_ref()
                    .is_some_and(|found| found.order(durable).is_ge()),
                "{} lost what was durable: {durable:?}, found {found:?}",
                self.name
            );
        }
        let replica = Replica::new(self.options, committer.ledger(), &map);
        for entry in map.range_from(std::ops::Bound::Unbounded) {
            let entry = entry.unwrap().into_owned();
            self.witness.insert(entry.key().to_vec(), entry.clone());
        }
        self.running = Some(Running {
            committer,
            map,
            replica,
            queue: VecDeque::new(),
            commit_at: None,
            sync_at: None,
            volatile: Vec::new(),
            copy_noticed: report.copy_noticed,
        });
    }

    /// Takes another identity, as a node does between two groups. The links must be removed before.
    pub(super) fn renew(&mut self, dice: &mut Dice) {
        let seeds = seeds(dice);
        let is_durable = self.options.durable;
        let running = self.running.as_mut().unwrap();
        let lease_is_written = !is_durable || lease::write(&self.storage, LOG, seeds.lease).is_ok();
        if lease_is_written && running.committer.renew(&seeds).is_ok() {
            let ledger = running.committer.ledger();
            running.map.know_authorship(ledger);
            running.replica.renewed(ledger, &running.map);
        }
    }

    /// Stops the host. The links must be removed before.
    pub(super) fn stop(&mut self, how: Stop, dice: &mut Dice) {
        let Some(mut running) = self.running.take() else {
            return;
        };
        if !self.options.durable {
            return;
        }
        match how {
            Stop::Cleanly => {
                running.replica.remember_all();
                // A disk that was to fail next does so now: then this was no clean stop.
                let _ = running.committer.close();
            }
            Stop::Killed => self.storage = self.storage.image().process_killed(),
            Stop::PowerCut => self.storage = self.storage.image().power_cut(dice.next()),
        }
        self.storage.heal();
        self.storage.set_capacity_bytes(None);
    }

    /// Takes the disk back to an older state, as a restored image of a machine does.
    pub(super) fn roll_back(&mut self, dice: &mut Dice) {
        assert!(self.running.is_none());
        if let Some(image) = self.image.take() {
            self.storage = image.power_cut(dice.next());
            self.witness.clear();
            self.rolled_back = true;
        }
    }

    /// Removes the lease, which no backup holds.
    pub(super) fn lose_lease(&mut self) {
        assert!(self.running.is_none());
        let lease = format!("{LOG}.lease");
        if self.storage.list().unwrap().contains(&lease) {
            self.storage.remove(&lease).unwrap();
            self.storage.sync_directory().unwrap();
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn up(&self) -> &Running {
        self.running.as_ref().expect("the host runs")
    }

    pub(super) fn up_mut(&mut self) -> &mut Running {
        self.running.as_mut().expect("the host runs")
    }

    /// Moves entries that have become durable to the witness, which no fault may take back.
    pub(super) fn settle(&mut self, durable_lseq: u64) {
        let Some(running) = &mut self.running else {
            return;
        };
        let (durable, volatile) = std::mem::take(&mut running.volatile)
            .into_iter()
            .partition(|(lseq, _)| *lseq <= durable_lseq);
        running.volatile = volatile;
        let durable: Vec<(u64, Entry)> = durable;
        for (_, entry) in durable {
            let key = entry.key().to_vec();
            let known = self.witness.get(&key);
            if known.is_none_or(|known| entry.order(known).is_gt()) {
                self.witness.insert(key, entry);
            }
        }
    }
}

impl Running {
    /// The open conflicts.
    pub(super) fn conflicts(&self) -> Vec<OpenConflict> {
        let mut kept: BTreeMap<Vec<u8>, Vec<Entry>> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self
                .map
                .sibling_page(&[], false, after.as_deref(), loser_of);
            let page = page.unwrap();
            for loser in page.losers {
                kept.entry(loser.key().to_vec()).or_default().push(loser);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert!(kept.is_empty() || self.map.has_siblings().unwrap());
        let open = kept
            .into_values()
            .map(|losers| self.map.open_conflict(losers));
        open.filter_map(|open| open.unwrap()).collect()
    }

    /// The state of replication.
    pub(super) fn report(&self) -> SyncReport {
        self.replica.report(&self.map).unwrap()
    }
}
