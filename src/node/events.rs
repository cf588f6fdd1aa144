//! Events of a node, for the program that opened it. Delivered on the node's own threads, so implementations must only
//! pass them on.

use super::conflict::Conflict;
use super::failure::Failure;
use super::machine::conversation::PeerEvent;
use crate::store::commit::operation::{Receipt, Ticket};
use crate::sync::identity::identity_conflict::IdentityConflict;

/// A change of a key, by this node or a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The new value; `None`: the key was removed.
    pub value: Option<Vec<u8>>,
    /// True if the value is text and ASCII.
    pub ascii: bool,
    /// The key's version after the change.
    pub version: u64,
    /// Label of the node that wrote the change; `None`: this node.
    pub node_id: Option<String>,
}

/// A finding of the node about its own identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityEvent {
    /// The folder is a copy of another node's: this node writes under a new identity now.
    CopyNoticed,
    /// The log was last opened under another node id.
    Renamed {
        /// The former node id.
        from: String,
    },
    /// The node noticed an identity conflict while it ran, and writes under a new identity.
    Renewed(IdentityConflict),
}

/// Receiver of a node's events.
pub trait NodeEvents: Send + Sync + 'static {
    /// A group is as durable as was promised, and visible. Requests up to `highest` are settled: those in `failures`
    /// failed, the others have a receipt, in their order.
    fn committed(&self, highest: Ticket, receipts: &[Receipt], failures: &[(Ticket, Failure)]);

    /// Keys changed, in this order. Called only while [`Node::tell_changes`](super::Node::tell_changes) is on.
    fn changed(&self, changes: Vec<Change>);

    /// Writes lost against concurrent ones: each conflict with the current version and the loser. Called only while
    /// [`Node::tell_conflicts`](super::Node::tell_conflicts) is on.
    fn conflicted(&self, conflicts: Vec<Conflict>);

    /// A peer connected or disconnected, or its clock was found to be far off.
    fn peer(&self, event: PeerEvent);

    /// The node noticed something about its identity.
    fn identity(&self, event: IdentityEvent);

    /// Something failed that no call can report.
    fn failed(&self, failure: Failure);
}

/// Ignores all events: for programs that poll.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl NodeEvents for Silent {
    fn committed(&self, _: Ticket, _: &[Receipt], _: &[(Ticket, Failure)]) {}
    fn changed(&self, _: Vec<Change>) {}
    fn conflicted(&self, _: Vec<Conflict>) {}
    fn peer(&self, _: PeerEvent) {}
    fn identity(&self, _: IdentityEvent) {}
    fn failed(&self, _: Failure) {}
}
