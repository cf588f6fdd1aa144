//! A group between the log and the map: its frame is in the file and waits to be durable (group commit). The next group
//! may be planned, and the one before installed, meanwhile.

use std::collections::BTreeSet;

use super::committer::{Committed, Committer, Plan, Refused};
use super::operation::{Request, Ticket};
use crate::store::error::StoreError;
use crate::wal::log::syncing::{SyncJob, Synced};

/// A group whose frame is in the log and that is not installed yet.
#[derive(Debug)]
pub struct Appended {
    pub(in crate::store) plan: Plan,
    /// The sync that must end before the group may be installed; `None` if it is as durable as was promised.
    pub job: Option<SyncJob>,
    waits: bool,
    syncs: bool,
    last_lseq: u64,
}

impl Plan {
    /// Bytes of keys and values of the group.
    pub fn bytes(&self) -> usize {
        self.group.bytes
    }

    /// True if the group must be durable before it is installed.
    pub fn is_synced(&self) -> bool {
        self.must_sync
    }
}

impl Appended {
    /// Tickets of the callers that wait for the group.
    pub fn tickets(&self) -> &[Ticket] {
        &self.plan.tickets
    }

    /// Requests that had no room in the group, to be planned next, before any other. Empty at the second call.
    pub fn take_rest(&mut self) -> Vec<Request> {
        let rest = std::mem::take(&mut self.plan.rest);
        // These requests are answered with the group that takes them up.
        let tickets: BTreeSet<Ticket> = rest.iter().filter_map(Request::ticket).collect();
        let tokens: BTreeSet<u64> = rest.iter().filter_map(Request::token).collect();
        self.plan.tickets.retain(|ticket| !tickets.contains(ticket));
        self.plan.tokens.retain(|token| !tokens.contains(token));
        rest
    }
}

impl Committer {
    /// Appends a planned group to the log, `at_once` with its sync if both take one call of the disk. The plan must be
    /// the last one that was made, and the group before it complete. A group that cannot be written comes back as
    /// [`Refused`].
    pub fn append(&mut self, mut plan: Plan, at_once: bool) -> Result<Appended, Box<Refused>> {
        let written = match plan.failure.take() {
            Some(failure) => Err(failure),
            None => self.write_frame(&plan, at_once),
        };
        match written {
            Ok((syncs, job)) => Ok(Appended {
                plan,
                waits: job.is_some(),
                job,
                syncs,
                last_lseq: self.ledger.last_lseq,
            }),
            Err(error) => Err(Box::new(self.refuse(plan, error))),
        }
    }

    /// Takes back a plan that cannot be written, because the group before it failed with `error`. Complete that group
    /// afterwards: plans are undone newest first.
    pub fn take_back(&mut self, plan: Plan, error: StoreError) -> Refused {
        self.refuse(plan, error)
    }

    fn refuse(&mut self, plan: Plan, error: StoreError) -> Refused {
        self.restore(plan.before);
        self.full_keys.forget();
        let Plan {
            tickets, tokens, ..
        } = plan;
        Refused {
            error,
            tickets,
            tokens,
        }
    }

    /// Ends an appended group whose sync ended with `outcome`: returns the entries to install, or the refused group if
    /// the sync failed.
    pub fn complete(
        &mut self,
        appended: Appended,
        outcome: Synced,
    ) -> Result<Committed, Box<Refused>> {
        let Appended {
            plan,
            job: _,
            waits,
            syncs,
            last_lseq,
        } = appended;
        if waits
            && let Some(log) = &mut self.log
            && let Err(error) = log.end_sync(outcome)
        {
            return Err(Box::new(self.refuse(plan, error.into())));
        }
        if syncs {
            self.durable_lseq = last_lseq;
        }
        for loser in &plan.group.losers {
            self.reported.insert(loser.dot);
        }
        plan.hints.forget_cursors(&mut self.ledger);
        for (peer, position, scope) in plan.group.cursors {
            self.ledger.hold(peer, position, scope);
        }
        plan.hints.apply(&mut self.ledger);
        Ok(Committed {
            planned: plan.group.planned.into_iter(),
            receipts: plan.group.receipts,
            acknowledge: plan.acknowledge,
            refused_entries: plan.group.refused,
            refused: plan.refused,
            last_lseq,
            durable_lseq: self.durable_lseq,
            losers: plan.group.losers,
            dropped: plan.group.dropped,
            rest: plan.rest,
            lineage: plan.group.lineage,
        })
    }
}
