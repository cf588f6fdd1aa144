//! Calls that wait for their own commit, by ticket: for Rust programs, and for `flush`.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::node::failure::Failure;
use crate::store::commit::operation::{Receipt, Ticket};

type Outcome = Result<Receipt, Failure>;

/// Calls that wait for their own commit, by ticket.
#[derive(Debug, Default)]
pub(in crate::node) struct Waiters {
    waiting: Mutex<HashMap<Ticket, oneshot::Sender<Outcome>>>,
}

impl Waiters {
    /// Registers a wait for a ticket that is not committed yet: called while the queue is still locked.
    pub(in crate::node) fn wait_for(&self, ticket: Ticket) -> oneshot::Receiver<Outcome> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().insert(ticket, sender);
        receiver
    }

    /// Answers the waiting calls of these tickets.
    pub(in crate::node) fn settle(&self, receipts: &[Receipt], failures: &[(Ticket, Failure)]) {
        let mut waiting = self.waiting.lock();
        if waiting.is_empty() {
            return;
        }
        for receipt in receipts {
            if let Some(sender) = waiting.remove(&receipt.ticket) {
                let _ = sender.send(Ok(*receipt));
            }
        }
        for (ticket, failure) in failures {
            if let Some(sender) = waiting.remove(ticket) {
                let _ = sender.send(Err(failure.clone()));
            }
        }
    }
}
