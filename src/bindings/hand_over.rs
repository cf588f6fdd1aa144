//! A value that JavaScript prepares and then runs once. While it runs it can be cancelled; afterwards its memory is
//! freed, even if JavaScript has not collected the object that prepared it.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// The prepared value, or a reference to the running one.
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

    /// Takes the value to run it; `None` the second time.
    pub(super) fn take(&self) -> Option<Arc<T>> {
        self.prepared.lock().take()
    }

    /// The value, until it has run.
    pub(super) fn get(&self) -> Option<Arc<T>> {
        self.running.upgrade()
    }
}
