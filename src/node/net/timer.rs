//! The machine's next deadline. Moving it earlier wakes the task that waits for it.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::clock::MonotonicMs;

/// The next deadline of a machine.
#[derive(Debug, Default)]
pub(in crate::node) struct Alarm {
    at: Mutex<Option<MonotonicMs>>,
    earlier: Notify,
    started: AtomicBool,
}

impl Alarm {
    /// Sets the deadline; `None`: there is none.
    pub(in crate::node) fn set(&self, at: Option<MonotonicMs>) {
        let mut armed = self.at.lock();
        let is_earlier = match (at, *armed) {
            (Some(at), Some(armed)) => at < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        *armed = at;
        drop(armed);
        if is_earlier {
            self.earlier.notify_one();
        }
    }

    /// True if a task waits for the deadline. The first call returns false, and its caller starts the task.
    pub(in crate::node) fn is_started(&self) -> bool {
        self.started.swap(true, Ordering::AcqRel)
    }

    /// The present deadline.
    pub(in crate::node) fn at(&self) -> Option<MonotonicMs> {
        *self.at.lock()
    }

    /// Waits until the deadline is moved earlier, or the node ends.
    pub(in crate::node) async fn moved(&self) {
        self.earlier.notified().await;
    }

    /// Wakes the waiting task, which checks again.
    pub(in crate::node) fn ring(&self) {
        self.earlier.notify_one();
    }
}
