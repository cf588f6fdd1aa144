//! What a node tells whoever opened it. Called from the node's own threads: implementations only hand on.

use super::conflict::Conflict;
use super::failure::Failure;
use super::machine::conversation::PeerEvent;
use crate::store::commit::operation::{Receipt, Ticket};
use crate::sync::identity::identity_conflict::IdentityConflict;

/// A key changed, here or by a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None`: removed.
    pub value: Option<Vec<u8>>,
    /// Whether the value is text and ASCII.
    pub ascii: bool,
    /// The key's version.
    pub version: u64,
    /// The node it came from; `None`: it was written here.
    pub node_id: Option<String>,
}

/// Something that the node noticed about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityEvent {
    /// The folder is a copy of another node's: this node writes under a new identity now.
    CopyNoticed,
    /// The log was last opened under another node id.
    Renamed {
        /// That id.
        from: String,
    },
    /// The node could not be sure of its identity any more while it ran, and writes under a new one.
    Renewed(IdentityConflict),
}

/// Receives what a node tells.
pub trait NodeEvents: Send + Sync + 'static {
    /// A group is durable as promised, and visible. Requests up to `highest` are settled: those in `failures`
    /// failed, the others have a receipt, in their order.
    fn committed(&self, highest: Ticket, receipts: &[Receipt], failures: &[(Ticket, Failure)]);

    /// Keys changed, in this order. Only told while somebody has asked for it.
    fn changed(&self, changes: Vec<Change>);

    /// Writes lost against ones that did not know of them: each conflict with what is shown and what lost. Only told
    /// while somebody has asked for it.
    fn conflicted(&self, conflicts: Vec<Conflict>);

    /// A peer came or went.
    fn peer(&self, event: PeerEvent);

    /// The node noticed something about itself.
    fn identity(&self, event: IdentityEvent);

    /// Something failed that no call is there to be told of.
    fn failed(&self, failure: Failure);
}

/// Hears nothing: for programs that ask when they want to know.
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
