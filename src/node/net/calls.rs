//! Outgoing calls under way, and the queue of peers that the machine wants called again. Carrying out the machine's
//! outputs only registers a call here; the network's dialler takes it from the queue.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::core::error_kind::ErrorKind;
use crate::node::machine::address_book::TargetId;
use crate::node::machine::conversation::Refusal;

/// Answer to a call that waits for a conversation to be ready.
pub(in crate::node) type Settling = oneshot::Sender<Result<(), Refusal>>;

/// A call that was registered and is to be made.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct DueCall {
    pub(in crate::node) target: TargetId,
    /// Number of the call above the number of its target; unique in this process.
    pub(in crate::node) purpose: u64,
}

/// A call under way.
#[derive(Debug)]
pub(in crate::node) struct PendingCall {
    /// Waiting caller, who is answered once the conversation is ready; `None` if no call of the API waits.
    pub(in crate::node) settling: Option<Settling>,
}

/// Number of the next call of this process.
static CALLS: AtomicU64 = AtomicU64::new(1);

/// Outgoing calls from their registration until there is a connection. A connection whose call is gone from here was
/// given up while it was made.
#[derive(Debug)]
pub(in crate::node) struct Calls {
    pending: Mutex<HashMap<u64, PendingCall>>,
    due: mpsc::UnboundedSender<DueCall>,
    queue: Mutex<Option<mpsc::UnboundedReceiver<DueCall>>>,
}

impl Default for Calls {
    fn default() -> Self {
        let (due, queue) = mpsc::unbounded_channel();
        Self {
            pending: Mutex::default(),
            due,
            queue: Mutex::new(Some(queue)),
        }
    }
}

/// Target of a connection by the purpose of its call; `None` for one that the peer made.
pub(in crate::node) fn target_of(purpose: u64) -> Option<TargetId> {
    let target = TargetId::try_from(purpose & u64::from(TargetId::MAX)).ok()?;
    (target != 0).then_some(target)
}

impl Calls {
    /// Registers a call of `target`, whose outcome goes to `settling`. The machine's lock is held, so that ending all
    /// calls finds this one.
    pub(in crate::node) fn register(
        &self,
        target: TargetId,
        settling: Option<Settling>,
    ) -> DueCall {
        let purpose = (CALLS.fetch_add(1, Ordering::Relaxed) << TargetId::BITS) | u64::from(target);
        self.pending
            .lock()
            .insert(purpose, PendingCall { settling });
        DueCall { target, purpose }
    }

    /// Registers a call of `target` and queues it for the dialler. The machine asks for one call of a target at a time,
    /// so the queue is no longer than the address book.
    pub(in crate::node) fn call_again(&self, target: TargetId) {
        let call = self.register(target, None);
        // The queue is closed once the dialler has ended, which is when the node has.
        let _ = self.due.send(call);
    }

    /// Removes a call; `None` if it was given up.
    pub(in crate::node) fn take(&self, purpose: u64) -> Option<PendingCall> {
        self.pending.lock().remove(&purpose)
    }

    /// Gives up the calls under way, of all targets or of one, and answers their waiting callers with `text`. The
    /// machine's lock is held.
    pub(in crate::node) fn end(&self, target: Option<TargetId>, text: &str) {
        let ended = |purpose: &u64| target.is_none() || target_of(*purpose) == target;
        let calls: Vec<_> = self
            .pending
            .lock()
            .extract_if(|purpose, _| ended(purpose))
            .collect();
        for settling in calls.into_iter().filter_map(|(_, call)| call.settling) {
            let refusal = Refusal {
                kind: ErrorKind::Stopped,
                text: text.to_owned(),
            };
            // The receiver is gone if the caller has given up.
            let _ = settling.send(Err(refusal));
        }
    }

    /// The queue of calls to be made; `None` if the dialler has taken it.
    pub(in crate::node) fn queue(&self) -> Option<mpsc::UnboundedReceiver<DueCall>> {
        self.queue.lock().take()
    }
}
