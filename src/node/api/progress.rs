//! Progress of replication: the outbox row by row, and the progress of each known peer.

use super::handle::Node;
use crate::core::identity::Origin;
use crate::node::failure::Failure;
use crate::node::machine::progress::PeerRow;
use crate::sync::outbox::rows::{OutboxRow, RowState};

impl Node {
    /// The author of this node's writes since it was opened.
    pub fn author(&self) -> Origin {
        self.shared.machine.lock().replica.author()
    }

    /// At most `limit` rows of the outbox after the place `after`, in feed order: all, or those in one state.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn outbox(
        &self,
        wanted: Option<RowState>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<OutboxRow>, Failure> {
        self.shared.resolve()?;
        let now = self.shared.clock.monotonic();
        let machine = self.shared.machine.lock();
        let map = self.shared.map.read();
        let replica = &machine.replica;
        Ok(replica.list_outbox(wanted, after, limit, now, &map)?)
    }

    /// Progress of each peer that was ever met, or is known by address.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be.
    pub fn progress(&self) -> Result<Vec<PeerRow>, Failure> {
        self.shared.resolve()?;
        let now = self.shared.clock.now();
        let machine = self.shared.machine.lock();
        Ok(machine.progress(now, &self.shared.map.read())?)
    }
}
