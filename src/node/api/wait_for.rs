//! Calls that wait until writes are durable on other nodes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{Notify, oneshot};

use super::handle::Node;
use crate::core::error_kind::ErrorKind;
use crate::core::identity::Dot;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::shared::Shared;
use crate::sync::delivery::wait_queue::WaitId;
use crate::sync::delivery::waiting::{Subject, Waiting};
use crate::sync::delivery::waits::Holders;

/// Result of a fulfilled wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Labels of the peers that hold the write, in the order in which they acknowledged it.
    pub peers: Vec<String>,
    /// True if the write was replaced: the peers hold its successor, or a later one.
    pub is_replaced: bool,
    /// Dot of the successor, if it is known.
    pub successor: Option<Dot>,
}

/// A prepared wait for delivery. It begins with [`Wait::delivered`].
#[derive(Debug)]
pub struct Wait {
    shared: Arc<Shared>,
    subject: Subject,
    holders: Holders,
    cancelled: Notify,
}

/// A wait that has begun. Dropping it ends the wait.
struct Begun<'a>(&'a Arc<Shared>, WaitId);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        let Self(shared, id) = self;
        shared.pending_waits.forget(*id);
        shared.machine.lock().replica.cancel_wait(*id);
    }
}

impl Node {
    /// Prepares a wait until `subject` is durable on `holders`.
    pub fn wait(&self, subject: Subject, holders: Holders) -> Wait {
        Wait {
            shared: Arc::clone(&self.shared),
            subject,
            holders,
            cancelled: Notify::new(),
        }
    }
}

fn ended() -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::ClosedWhileWaiting,
        "the client closed before what was waited for was known to be there",
    )
}

fn renewed() -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::IdentityRenewed,
        "the node took another identity while it waited: its earlier writes travel as another author's",
    )
}

impl Wait {
    /// Cancels the wait: [`Self::delivered`] ends with a failure of kind `aborted`.
    pub fn cancel(&self) {
        self.cancelled.notify_one();
    }

    /// Waits for delivery. Everything that was accepted before is part of [`Subject::All`].
    ///
    /// # Errors
    /// If the write is not known here, the node closes or takes another identity, or the wait is cancelled.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and nothing else: the writes go on to peers.
    pub async fn delivered(&self) -> Result<Delivered, Failure> {
        tokio::select! {
            biased;
            () = self.cancelled.notified() => Err(Failure::new(
                ErrorCode::InvalidState,
                ErrorKind::Aborted,
                "the wait was aborted; what it waited for goes on",
            )),
            delivered = self.run() => delivered,
        }
    }

    async fn run(&self) -> Result<Delivered, Failure> {
        let shared = &self.shared;
        if self.subject == Subject::All && !shared.is_refusing.load(Ordering::Acquire) {
            // After the flush every accepted write has its place in the feed.
            shared.flush().await?;
        }
        shared.resolve()?;
        let (sender, receiver) = oneshot::channel();
        let begun = shared.drive(|machine, _, map| {
            if shared.is_ending.load(Ordering::Acquire) {
                return Err(ended());
            }
            let holders = self.holders.clone();
            match machine.replica.wait_for(self.subject, holders, map)? {
                Waiting::Begun(id) => {
                    // Registered first, because the answer may come at once.
                    shared.pending_waits.expect(id, sender);
                    Ok(Begun(shared, id))
                }
                Waiting::Unknown => Err(unknown(self.subject)),
                Waiting::Outside => Err(outside()),
            }
        })?;
        let held = receiver.await;
        drop(begun);
        let held = held.map_err(|_| {
            if shared.is_ending.load(Ordering::Acquire) {
                ended()
            } else {
                renewed()
            }
        })?;
        if held.is_outside {
            return Err(match self.holders {
                Holders::Count(count) => too_few(count, held.peers.len()),
                Holders::Peer(_) | Holders::All => outside(),
            });
        }
        let machine = shared.machine.lock();
        Ok(Delivered {
            peers: held
                .peers
                .iter()
                .map(|peer| machine.replica.label_of(*peer))
                .collect(),
            is_replaced: held.is_replaced,
            successor: held.successor,
        })
    }
}

fn outside() -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::OutsidePrefixes,
        "what is waited for is outside of the prefixes that are exchanged with the peer",
    )
}

fn too_few(count: usize, holding: usize) -> Failure {
    Failure::new(
        ErrorCode::InvalidState,
        ErrorKind::TooFewPeers,
        format!(
            "fewer than {count} of the peers known here are left that take what is waited for and keep it; \
             {holding} hold it. It stays here and goes to each peer that takes it: connect one, \
             or have one take its prefix again, and wait once more"
        ),
    )
}

fn unknown(subject: Subject) -> Failure {
    let subject = match subject {
        Subject::Operation(dot) => dot.to_string(),
        Subject::All => "all".to_owned(),
    };
    let message = format!(
        "operation not found: {subject}; this node has not made it, or replaced it before it was opened"
    );
    Failure::new(ErrorCode::NotFound, ErrorKind::OperationNotFound, message).about(subject)
}
