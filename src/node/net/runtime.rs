//! Network threads: one small set for all nodes of the process, made at the first need.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

use crate::node::failure::Failure;

/// Number of threads for sockets and timers. Two, so that one node's large batch does not hold up another's answer.
const NETWORK_THREADS: usize = 2;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// A handle to the network threads.
///
/// # Errors
/// If the system gives no threads.
pub(in crate::node) fn handle() -> Result<Handle, Failure> {
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(NETWORK_THREADS)
        .thread_name("softadastra-net")
        .enable_all()
        .build()
        .map_err(|error| Failure::no_thread("failed to start the network threads", &error))?;
    // If another node was faster its runtime is used, and this one ends at once without waiting.
    if let Err(surplus) = RUNTIME.set(runtime) {
        surplus.shutdown_background();
    }
    RUNTIME
        .get()
        .map(|runtime| runtime.handle().clone())
        .ok_or_else(|| Failure::internal("no network threads"))
}
