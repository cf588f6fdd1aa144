//! Calls that compare all data with a peer, and exchange the differences. Not related to `verification`, which checks
//! the files of a log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Notify, oneshot};

use super::handle::Node;
use crate::core::error_kind::ErrorKind;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::machine::Machine;
use crate::node::machine::conversation::ConversationId;
use crate::node::shared::Shared;
use crate::sync::Outcome;
use crate::sync::reconcile::comparing::{ComparisonId, Incomparable};

/// A prepared comparison. It begins with [`Comparison::finished`].
#[derive(Debug)]
pub struct Comparison {
    shared: Arc<Shared>,
    node_id: String,
    cancelled: Notify,
}

/// A comparison that has begun. Dropping it ends the wait for its outcome.
struct Begun<'a>(&'a Arc<Shared>, ComparisonId);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let Self(shared, id) = self;
        shared.pending_comparisons.forget(*id);
        // The feed may have waited for the end of the comparison.
        shared.drive(|machine, now, map| {
            machine.replica.cancel_comparison(*id);
            machine.replica.send_some(now, map);
        });
    }
}

impl Node {
    /// Prepares a comparison of all data with the connected peer with that label, which also exchanges the differences.
    pub fn compare(&self, node_id: &str) -> Comparison {
        Comparison {
            shared: Arc::clone(&self.shared),
            node_id: node_id.to_owned(),
            cancelled: Notify::new(),
        }
    }
}

impl Comparison {
    /// Cancels the comparison: [`Self::finished`] ends with a failure of kind `aborted`.
    pub fn cancel(&self) {
        self.cancelled.notify_one();
    }

    /// Compares. Exchanged entries are durable on both sides, as far as these keep a log.
    ///
    /// # Errors
    /// If the peer is not known, not connected, goes away meanwhile, is too old or has no prefix in common; if the node
    /// closes, or the comparison is cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait; an exchange that has begun goes on.
    pub async fn finished(&self) -> Result<Outcome, Failure> {
        tokio::select! {
            biased;
            () = self.cancelled.notified() => Err(Failure::new(
                ErrorCode::InvalidState,
                ErrorKind::Aborted,
                "the comparison was aborted; what it has begun goes on",
            )),
            compared = self.run() => compared,
        }
    }

    async fn run(&self) -> Result<Outcome, Failure> {
        let shared = &self.shared;
        // Counts and sums must cover all entries.
        shared.look_up_totals()?;
        let (sender, receiver) = oneshot::channel();
        let begun = shared.drive(|machine, now, map| {
            if shared.is_ending.load(Ordering::Acquire) {
                return Err(ended());
            }
            let link = machine.link_with(&self.node_id)?;
            let asked = machine.replica.compare_with(link);
            let id = asked.map_err(|why| self.incomparable(why))?;
            // Registered first, because the answer may come at once.
            shared.pending_comparisons.expect(id, sender);
            machine.replica.send_some(now, map);
            Ok(Begun(shared, id))
        })?;
        let compared = receiver.await;
        drop(begun);
        let compared = compared.map_err(|_| ended())?;
        compared.map_err(|why| self.incomparable(why))
    }

    fn incomparable(&self, why: Incomparable) -> Failure {
        let failure = match why {
            Incomparable::Gone => Failure::new(
                ErrorCode::Transport,
                ErrorKind::ConnectionLost,
                "the connection to the peer ended before both sides were compared",
            )
            .retryable(),
            Incomparable::TooOld => Failure::new(
                ErrorCode::Sync,
                ErrorKind::PeerTooOld,
                "the peer's version cannot compare what two nodes hold",
            ),
            Incomparable::Outside => Failure::new(
                ErrorCode::InvalidState,
                ErrorKind::OutsidePrefixes,
                "no key is within the prefixes of both sides: nothing is exchanged with the peer, so there is nothing to compare",
            ),
        };
        failure.about(self.node_id.clone())
    }
}

impl Machine {
    /// The connection to the peer with that label.
    fn link_with(&self, node_id: &str) -> Result<ConversationId, Failure> {
        if let Some(link) = self.conversation_with(node_id) {
            return Ok(link);
        }
        let has_address = |(_, target): (_, &crate::node::machine::address_book::Target)| {
            target.node_id == node_id
        };
        let is_known = self.replica.has_met(node_id) || self.directory.iter().any(has_address);
        let failure = if is_known {
            Failure::new(
                ErrorCode::Transport,
                ErrorKind::PeerNotConnected,
                format!("the peer {node_id} is not connected: connect to it, or try later"),
            )
            .retryable()
        } else {
            Failure::new(
                ErrorCode::NotFound,
                ErrorKind::PeerNotFound,
                format!(
                    "peer not found: {node_id}; this node has not met it, and has no address of it"
                ),
            )
        };
        Err(failure.about(node_id))
    }
}

fn ended() -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::ClosedWhileWaiting,
        "the client closed before both sides were compared",
    )
}
