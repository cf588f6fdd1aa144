//! Something that JavaScript prepares and then runs once. While it runs it can be cancelled; afterwards nothing of it is
//! left behind the object that JavaScript holds until it collects its garbage.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// What is to be run.
pub(super) struct HandOver<T> {
    prepared: Mutex<Option<Arc<T>>>,
    running: Weak<T>,
}

impl<T> HandOver<T> {
    pub(super) fn new(prepared: T) -> Self {
        let prepared = Arc::new(prepared);
        Self {
            running: Arc::downgrade(&prepared),
            prepared: Mutex::new(Some(prepared)),
        }
    }

    /// Gives it to whoever runs it; `None` the second time.
    pub(super) fn take(&self) -> Option<Arc<T>> {
        self.prepared.lock().take()
    }

    /// Gives it until it has run.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.running.upgrade()
    }
}
