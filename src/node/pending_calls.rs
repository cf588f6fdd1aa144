//! Calls that wait for an answer of replication: a delivery on other nodes, or a comparison with one.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::sync::Outcome;
use crate::sync::reconcile::comparing::Incomparable;

/// Outcome of a comparison with a peer.
pub(super) type Compared = Result<Outcome, Incomparable>;

/// Calls that wait for an answer, by the number that replication gave to each.
#[derive(Debug)]
pub(super) struct PendingCalls<T> {
    waiting: Mutex<HashMap<u64, oneshot::Sender<T>>>,
}

impl<T> Default for PendingCalls<T> {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
        }
    }
}

impl<T> PendingCalls<T> {
    /// Registers the call `id`, which is answered through `sender`.
    pub(super) fn expect(&self, id: u64, sender: oneshot::Sender<T>) {
        self.waiting.lock().insert(id, sender);
    }

    /// Removes the call `id`, because its caller has given up.
    pub(super) fn forget(&self, id: u64) {
        self.waiting.lock().remove(&id);
    }

    /// Answers the calls in `ended`, each with its outcome. Calls that were given up meanwhile are skipped.
    pub(super) fn answer(&self, ended: Vec<(u64, T)>) {
        if ended.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        for (id, outcome) in ended {
            if let Some(sender) = waiting.remove(&id) {
                let _ = sender.send(outcome);
            }
        }
    }

    /// Ends all calls without an answer: the node closes, or continues as another author.
    pub(super) fn end(&self) {
        self.waiting.lock().clear();
    }
}
