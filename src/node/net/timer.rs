//! When the machine wants to be asked next. Whoever moves it earlier wakes the task that waits for it.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::core::clock::MonotonicMs;

/// The next deadline.
#[derive(Debug, Default)]
pub(in crate::node) struct Alarm {
    at: Mutex<Option<MonotonicMs>>,
    earlier: Notify,
    started: AtomicBool,
}

impl Alarm {
    /// The machine wants to be asked at `at`; `None`: not by itself.
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

    /// Whether a task waits for it; from the first time it is asked, one does.
    pub(in crate::node) fn is_started(&self) -> bool {
        self.started.swap(true, Ordering::AcqRel)
    }

    /// What it is set to.
    pub(in crate::node) fn at(&self) -> Option<MonotonicMs> {
        *self.at.lock()
    }

    /// Waits until it is moved to an earlier moment, or the node ends.
    pub(in crate::node) async fn moved(&self) {
        self.earlier.notified().await;
    }

    /// Wakes whoever waits, to look again.
    pub(in crate::node) fn ring(&self) {
        self.earlier.notify_one();
    }
}
