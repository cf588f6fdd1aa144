//! The TCP driver on tokio. It moves bytes and keeps the limits that need a socket or a timer; every decision that can
//! be made without them is made in the pure modules.

pub(crate) mod connection;
mod descriptors;
mod dialer;
mod events;
mod listener;
mod outgoing;
mod reader;
mod resolve;
pub(crate) mod settings;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};

pub use connection::Connection;
pub use events::{ConnectionEvents, ConnectionId, Reception};
pub use listener::Listener;
pub use settings::{CONNECT_TIMEOUT_MS, TcpSettings};

use super::error::TransportError;
use super::session::address::HostPort;
use super::session::chunks::{SPOOL_BUDGET_BYTES, SpoolBudget};
use super::session::half_open::HalfOpen;
use super::session::unfinished::Unfinished;
use crate::core::clock::{MonotonicMs, SystemClock};

/// State shared by all connections of a transport.
struct Shared {
    settings: TcpSettings,
    events: Arc<dyn ConnectionEvents>,
    clock: SystemClock,
    last_id: AtomicU64,
    half_open_places: Arc<Semaphore>,
    half_open: Arc<HalfOpen>,
    spool: Arc<SpoolBudget>,
    unfinished: Arc<Unfinished>,
    /// True while a task waits to forget kept parts of large values.
    is_forgetting: AtomicBool,
    live: watch::Sender<usize>,
}

impl Shared {
    fn next_id(&self) -> ConnectionId {
        ConnectionId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Ends the task that forgets kept parts, unless a connection has left one since the task last looked: then it
    /// returns when to look again.
    fn stop_forgetting(&self, now: MonotonicMs) -> Option<MonotonicMs> {
        self.is_forgetting.swap(false, Ordering::AcqRel);
        let next = self.unfinished.expire(now)?;
        let has_another_begun = self.is_forgetting.swap(true, Ordering::AcqRel);
        (!has_another_begun).then_some(next)
    }
}

/// Listens and dials on one runtime. Cheap to clone; all clones are the same transport. Its futures may be awaited on
/// any executor: the work runs on the given runtime.
#[derive(Clone)]
pub struct TcpTransport {
    shared: Arc<Shared>,
    handle: Handle,
}

impl TcpTransport {
    /// A transport without connections. `handle` is a runtime with I/O and time enabled.
    pub fn new(handle: Handle, settings: TcpSettings, events: Arc<dyn ConnectionEvents>) -> Self {
        let shared = Shared {
            half_open_places: Arc::new(Semaphore::new(settings.half_open_max)),
            half_open: Arc::new(HalfOpen::default()),
            spool: Arc::new(SpoolBudget::new(SPOOL_BUDGET_BYTES)),
            unfinished: Arc::default(),
            is_forgetting: AtomicBool::new(false),
            settings,
            events,
            clock: SystemClock::new(),
            last_id: AtomicU64::new(0),
            live: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
            handle,
        }
    }

    /// Listens at an address; port 0 picks one, see [`Listener::local_addr`]. Fails with the documented words if the
    /// port is taken, and with [`TransportError::InsecureHost`] if the host needs protection.
    pub async fn listen(&self, address: &HostPort) -> Result<Listener, TransportError> {
        address.check(self.shared.settings.protection)?;
        let work = listener::listen(Arc::clone(&self.shared), address.clone());
        self.on_runtime(work).await
    }

    /// Calls an address, for at most `timeout_ms`. When the connection is returned, `opened` was called for it with
    /// `purpose`. Dropping the future gives up.
    pub async fn dial(
        &self,
        address: &HostPort,
        timeout_ms: u64,
        purpose: u64,
    ) -> Result<Arc<Connection>, TransportError> {
        address.check(self.shared.settings.protection)?;
        let work = dialer::dial(
            Arc::clone(&self.shared),
            address.clone(),
            timeout_ms,
            purpose,
        );
        self.on_runtime(work).await
    }

    /// Number of connections that have not ended yet.
    #[cfg(test)]
    pub fn live_connections(&self) -> usize {
        *self.shared.live.borrow()
    }

    /// Waits until every connection has ended and `closed` was called for it. Close them first.
    #[cfg(test)]
    pub async fn drained(&self) {
        let mut live = self.shared.live.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = live.wait_for(|count| *count == 0).await;
    }

    async fn on_runtime<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, TransportError>> + Send + 'static,
    ) -> Result<T, TransportError> {
        let mut task = AbortOnDrop(self.handle.spawn(work));
        // A join fails only if the runtime shuts down or the work panicked.
        (&mut task.0).await.unwrap_or(Err(TransportError::Stopped))
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
