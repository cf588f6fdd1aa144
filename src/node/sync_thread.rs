//! A thread that waits for the disk, so that the committer can go on with what is next.

use std::sync::mpsc::{Receiver, Sender, channel};

use crate::wal::log::syncing::{SyncJob, Synced};

/// The two ends of the thread, which ends when they are dropped.
struct Ends {
    jobs: Sender<SyncJob>,
    outcomes: Receiver<Synced>,
}

/// The thread; it is started when it is first needed.
#[derive(Default)]
pub(super) struct SyncThread {
    ends: Option<Ends>,
    /// The outcome of a sync that had to be carried out here.
    done: Option<Synced>,
}

impl SyncThread {
    /// Has a sync carried out, if one is needed. The one before must have been waited for.
    pub(super) fn begin(&mut self, job: Option<SyncJob>) {
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

    /// Waits for the sync that was begun.
    pub(super) fn wait(&mut self) -> Synced {
        if let Some(outcome) = self.done.take() {
            return outcome;
        }
        let outcome = self
            .ends
            .as_ref()
            .and_then(|ends| ends.outcomes.recv().ok());
        // A thread that is gone has told nothing: then nobody knows what is durable.
        outcome.unwrap_or_else(|| Err(std::io::Error::other("the thread that syncs has ended")))
    }
}

fn start() -> std::io::Result<Ends> {
    let (jobs, to_do) = channel::<SyncJob>();
    let (told, outcomes) = channel();
    std::thread::Builder::new()
        .name("softadastra-sync".into())
        .spawn(move || {
            for job in to_do {
                if told.send(job.run()).is_err() {
                    break;
                }
            }
        })?;
    Ok(Ends { jobs, outcomes })
}
