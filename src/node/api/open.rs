//! Opening of a node: checks the options, takes the lock, recovers the log, and starts the committer. Nothing listens
//! or calls yet.

#![allow(clippy::disallowed_methods, reason = "a driver: it starts threads")]

use std::sync::Arc;

use parking_lot::Mutex;

use super::handle::{Node, describe};
use super::recovery_report::RecoveryReport;
use crate::core::clock::SystemClock;
use crate::disk::storage::Storage;
use crate::node::checkpoint::checkpoints::Place;
use crate::node::commit::commit_thread;
use crate::node::commit::committer::CommitDriver;
use crate::node::events::{IdentityEvent, NodeEvents};
use crate::node::failure::Failure;
use crate::node::machine::Machine;
use crate::node::memory::budget::Budget;
use crate::node::options::Options;
use crate::node::seeds::seeds;
use crate::node::shared::Shared;
use crate::store::commit::committer::Durability;
use crate::store::error::StoreError;
use crate::store::maintain::recovery::{self, OpenReport, Opened};
use crate::sync::replica::Replica;
use crate::wal::files::held_storage::HeldStorage;
use crate::wal::files::lock::LockGuard;
use crate::wal::files::neighbour::check_neighbours;
use crate::wal::files::path::ResolvedPath;
use crate::wal::log::Log;

fn beside(work: Box<dyn FnOnce() + Send>) -> bool {
    let thread = std::thread::Builder::new().name("softadastra-open".into());
    thread.spawn(work).is_ok()
}

fn recover(
    options: &Options,
    budget: &Budget,
    durability: Durability,
) -> Result<(Opened, Option<LockGuard>, Option<Place>), StoreError> {
    let seeds = seeds()?;
    if !options.enable_wal {
        return Ok((recovery::in_memory(&options.node_id, &seeds), None, None));
    }
    let place = ResolvedPath::resolve(&options.wal_path, options.create_dirs)?;
    let directory = place.hold()?;
    // Locked before anything is read: a node that seals its log, makes a checkpoint, opens or closes changes files, and
    // a state halfway through a change looks like damage.
    let lock = LockGuard::acquire(&directory, &place.name)?;
    let storage = HeldStorage::new(place.storage_in(&directory), &place.name);
    if let Err(error) = look(&storage, &place.name, &options.wal_path) {
        // No lock is left beside a file that is not a log.
        lock.unmake();
        return Err(error);
    }
    let mut opened = recovery::open_within(
        &storage,
        &place.name,
        &options.node_id,
        durability,
        budget.opening(),
        &seeds,
        Some(&beside),
    )?;
    lock.claim_log()?;
    opened.committer.check_place()?;
    let place = Place {
        storage: Arc::new(storage),
        name: place.name,
        cache_bytes: budget.cache_bytes,
        work_bytes: budget.work_bytes,
    };
    Ok((opened, Some(lock), Some(place)))
}

/// Checks that a log is there, or may be made.
fn look(storage: &dyn Storage, name: &str, path: &str) -> Result<(), StoreError> {
    if Log::probe(storage, name)? {
        return Ok(());
    }
    check_neighbours(storage, name)?;
    if let Some(companion) = recovery::companion_of(storage, name)? {
        let path = path.to_owned();
        return Err(StoreError::MissingLog { path, companion });
    }
    Ok(())
}

/// Tells of a copied folder, or of a log that was last opened under another node id.
fn tell_identity(options: &Options, events: &dyn NodeEvents, report: OpenReport) {
    if report.copy_noticed {
        tracing::warn!(node = %options.node_id, "the folder is a copy: this node writes under a new identity");
        events.identity(IdentityEvent::CopyNoticed);
    }
    if let Some(from) = report.renamed_from {
        tracing::info!(node = %options.node_id, %from, "the log was last opened under another node id");
        events.identity(IdentityEvent::Renamed { from });
    }
}

impl Node {
    /// Opens a node: locks the log, recovers it, takes an identity, and starts the commit thread.
    ///
    /// # Errors
    /// If an option is wrong, or the log cannot be opened; the failure names the remedy.
    pub fn open(options: Options, events: Arc<dyn NodeEvents>) -> Result<Self, Failure> {
        options.validate()?;
        let budget = options.budget();
        let durability = if options.auto_flush {
            Durability::Synced
        } else {
            Durability::Written
        };
        let (opened, lock, place) = recover(&options, &budget, durability)?;
        let Opened {
            mut committer,
            map,
            report,
        } = opened;
        committer.set_conflict_policy(options.conflict_policy);
        let recovery = RecoveryReport::new(&report, place.as_ref(), map.base());
        tell_identity(&options, &*events, report);
        let clock = SystemClock::new();
        let info = describe(&options, clock.wall());
        let replica = Replica::new(options.replica(), committer.ledger(), &map);
        let mut machine = Machine::new(replica, &options.node_id, info.encode());
        machine.scope = options.scope.clone();
        let shared = Arc::new(Shared::new(options, budget, clock, (machine, map), events));
        let driver = CommitDriver::new(&shared, committer, lock, place.clone());
        if driver.is_checkpoint_due() {
            // Work that the last close left undone must not wait for a write.
            shared.queue.wake();
        }
        let commit_slot = Arc::new(Mutex::new(Some(driver)));
        let thread = commit_thread::start(&shared, &commit_slot)
            .map_err(|error| Failure::no_thread("failed to start the committer", &error))?;
        Ok(Node {
            shared,
            commit_slot,
            commit_thread: Mutex::new(Some(thread)),
            listener: tokio::sync::Mutex::new(None),
            bound_port: Mutex::new(None),
            info,
            place,
            recovery,
        })
    }
}
