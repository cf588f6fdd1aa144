//! Change to a new identity between two groups: the node continues as another author.

use super::committer::CommitDriver;
use crate::node::events::IdentityEvent;
use crate::node::seeds::seeds;
use crate::store::error::StoreError;
use crate::store::maintain::recovery::Seeds;
use crate::wal::error::WalError;
use crate::wal::files::lease;

impl CommitDriver {
    /// Takes another identity if one was asked for.
    pub(in crate::node) fn renew_on_identity_conflict(&mut self) {
        // A checkpoint is written for the author with which it began.
        if self.running.is_some() || self.committer.poisoned().is_some() {
            return;
        }
        let Some(identity_conflict) = self.shared.identity_conflict.lock().take() else {
            return;
        };
        if let Err(error) = seeds().and_then(|seeds| self.renew(&seeds)) {
            let failure = error.into();
            if self.committer.poisoned().is_some() {
                self.broken(failure);
            } else {
                // Nothing has changed. The request is repeated after a while.
                self.shared.events.failed(failure);
            }
            return;
        }
        tracing::warn!(
            peer = %identity_conflict.node_id,
            reason = ?identity_conflict.reason,
            "this node's identity is not its own any more: it writes under a new one"
        );
        let ledger = self.committer.ledger();
        let now = self.shared.clock.now();
        let mut machine = self.shared.machine.lock();
        self.shared.map.write().know_authorship(ledger);
        let map = self.shared.map.read();
        machine.renewed(ledger, now, &map);
        // The request may have been repeated meanwhile.
        self.shared.identity_conflict.lock().take();
        self.shared.pending_waits.end();
        self.shared.carry_out(&mut machine, now, &map);
        drop(map);
        drop(machine);
        *self.shared.renewed.lock() = Some(identity_conflict.clone());
        self.shared.inline_commit.rest();
        self.shared
            .events
            .identity(IdentityEvent::Renewed(identity_conflict));
    }

    /// Takes the new identity, lease first: if the power fails in between, the next opening takes the folder for a
    /// copy, and takes a new identity all the same.
    fn renew(&mut self, seeds: &Seeds) -> Result<(), StoreError> {
        if let Some(place) = &self.place {
            let failed = |error: std::io::Error| WalError::Open {
                file: place.storage.shown(&place.name),
                cause: error.into(),
            };
            lease::write(&*place.storage, &place.name, seeds.lease).map_err(failed)?;
        }
        self.committer.renew(seeds)
    }
}
