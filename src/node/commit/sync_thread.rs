//! A thread that waits for the disk, so that the committer can continue meanwhile.

#![allow(clippy::disallowed_methods, reason = "a driver: it is a thread")]

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use crate::wal::log::syncing::{SyncJob, Synced};

/// The channels to and from the thread, which ends when they are dropped.
struct Ends {
    jobs: Sender<SyncJob>,
    outcomes: Receiver<Synced>,
}

/// The sync thread, started at the first need.
#[derive(Default)]
pub(in crate::node) struct SyncThread {
    ends: Option<Ends>,
    /// Outcome of the sync, if it is known and was not taken yet.
    done: Option<Synced>,
}

impl SyncThread {
    /// Begins a sync, if one is needed. The one before must have been waited for.
    pub(in crate::node) fn begin(&mut self, job: Option<SyncJob>) {
        let Some(job) = job else {
            self.done = Some(Ok(()));
            return;
        };
        if self.ends.is_none() {
            self.ends = start().ok();
        }
        let refused = match &self.ends {
            Some(ends) => ends.jobs.send(job).err().map(|refused| refused.0),
            None => Some(job),
        };
        self.done = refused.map(SyncJob::run);
    }

    /// True if no sync is under way.
    pub(in crate::node) fn is_done(&mut self) -> bool {
        if let (None, Some(ends)) = (&self.done, &self.ends) {
            match ends.outcomes.try_recv() {
                Ok(outcome) => self.done = Some(outcome),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {}
            }
        }
        true
    }

    /// Waits for the sync that was begun.
    pub(in crate::node) fn wait(&mut self) -> Synced {
        if let Some(outcome) = self.done.take() {
            return outcome;
        }
        let outcome = self
            .ends
            .as_ref()
            .and_then(|ends| ends.outcomes.recv().ok());
        // A thread that ended has reported nothing: then it is unknown what is durable.
        outcome.unwrap_or_else(|| Err(std::io::Error::other("the thread that syncs has ended")))
    }
}

fn start() -> std::io::Result<Ends> {
    let (jobs, to_do) = channel::<SyncJob>();
    let (reported, outcomes) = channel();
    std::thread::Builder::new()
        .name("softadastra-sync".into())
        .spawn(move || {
            for job in to_do {
                if reported.send(job.run()).is_err() {
                    break;
                }
            }
        })?;
    Ok(Ends { jobs, outcomes })
}
