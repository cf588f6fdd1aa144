//! Handle of a node for JavaScript: each call is one line to [`crate::node`] and a conversion.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use napi::bindgen_prelude::{Function, Object, PromiseRaw, Result, Unknown, spawn_blocking};
use napi::{Env, JsValue};
use napi_derive::napi;

use super::channel::Channel;
use super::failure::{NativeFailure, Outcome, guarded};
use super::hot::Hot;
use super::listener::{Listener, Opening, Pending};
use super::options::{NativeOptions, scope_of};
use super::reports::{
    NativeNodeInfo, NativePeer, NativePeerProgress, NativeSyncState, NativeTick, number,
};
use super::scan::NativeScan;
use crate::core::error_kind::ErrorKind;
use crate::node::{ErrorCode, Failure, Node};

/// The version of this package.
#[napi(catch_unwind)]
pub(super) fn package_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Opens a node. `on_commit` is called for every commit, `on_event` for every other event.
#[napi(catch_unwind)]
pub(super) fn open<'env>(
    env: &'env Env,
    options: NativeOptions,
    on_commit: Function<'env, Unknown<'env>, Unknown<'env>>,
    on_event: Function<'env, Unknown<'env>, Unknown<'env>>,
) -> Result<Object<'env>> {
    super::allocator::set_give_back();
    // SAFETY: the functions are arguments of this call.
    let channels = unsafe {
        (
            Channel::new(env.raw(), on_commit.raw()),
            Channel::new(env.raw(), on_event.raw()),
        )
    };
    let (Some(commits), Some(events)) = channels else {
        return Err(napi::Error::from_reason(
            "failed to make a channel to JavaScript",
        ));
    };
    let (commits, events, pending) = (
        Arc::new(commits),
        Arc::new(events),
        Arc::new(Pending::default()),
    );
    let listener = Arc::new(Listener {
        commits: Arc::clone(&commits),
        events: Arc::clone(&events),
        pending: Arc::clone(&pending),
        mailbox: Arc::default(),
    });
    let guard = Arc::new(Opening {
        commits: Arc::clone(&commits),
        events: Arc::clone(&events),
    });
    // SAFETY: this is a call in this environment.
    unsafe { guard.hook(env.raw()) };
    let (deferred, promise) = env.create_deferred()?;
    // Straight to a thread that may block, and straight back: a future would wake a third thread on both ways.
    drop(spawn_blocking(move || {
        let opening = || {
            let options = options.into_options()?;
            let events_bytes = options.budget().events_bytes;
            listener.mailbox.lock().limit(events_bytes);
            Node::open(options, listener)
        };
        let opened = catch_unwind(AssertUnwindSafe(opening))
            .unwrap_or_else(|_| Err(Failure::internal("opening failed")));
        deferred.resolve(move |env| {
            // SAFETY: this is a call of JavaScript's thread, in the environment of the hook.
            unsafe { guard.unhook(env.raw()) };
            Ok(Outcome(match opened {
                Ok(node) => {
                    let hot = Hot::new(Arc::new(node), commits, events, pending);
                    // SAFETY: this is a call of JavaScript's thread, in this environment.
                    unsafe { hot.hook(env.raw()) };
                    Ok(NativeNode {
                        hot,
                        env: env.raw(),
                    })
                }
                Err(failure) => {
                    commits.close();
                    events.close();
                    Err(failure)
                }
            }))
        });
    }));
    Ok(promise)
}

/// An open node.
#[napi]
pub struct NativeNode {
    pub(super) hot: Arc<Hot>,
    env: napi::sys::napi_env,
}

impl Drop for NativeNode {
    /// Ends the node because JavaScript collected the object, closed or not: no call can close it any more, so its log
    /// is released.
    fn drop(&mut self) {
        // SAFETY: finalizers run on JavaScript's thread, in the environment of the object.
        unsafe { self.hot.forgotten(self.env) };
    }
}

impl NativeNode {
    pub(super) fn run<'env, T: napi::bindgen_prelude::ToNapiValue + Send + 'static, F>(
        &self,
        env: &'env Env,
        call: impl FnOnce(Arc<Node>) -> F,
    ) -> Result<PromiseRaw<'env, Outcome<T>>>
    where
        F: Future<Output = std::result::Result<T, Failure>> + Send + 'static,
    {
        let call = self.hot.node().map(call).ok_or_else(Failure::not_open);
        env.spawn_future(async move { Ok(Outcome(guarded(async move { call?.await }).await)) })
    }
}

#[napi]
impl NativeNode {
    /// The hot calls; see `bindings::hot`.
    #[napi(getter, catch_unwind)]
    pub fn hot<'env>(&self, env: &'env Env) -> Object<'env> {
        // SAFETY: this is a call in this environment, and the object was made in it.
        unsafe { Object::from_raw(env.raw(), self.hot.functions(env.raw())) }
    }

    #[napi(catch_unwind)]
    pub fn close<'env>(
        &self,
        env: &'env Env,
        compact: bool,
    ) -> Result<PromiseRaw<'env, Outcome<()>>> {
        let node = self.hot.take_node();
        let closing = async move {
            let Some(node) = node else {
                return Ok((Ok(()),));
            };
            Ok((guarded(async move {
                let outcome = if compact {
                    node.close_compacted().await
                } else {
                    node.close().await
                };
                // Before the answer, and on a thread that nothing waits for: freeing the memory of a large store takes
                // time.
                let _ = tokio::task::spawn_blocking(move || drop(node)).await;
                outcome
            })
            .await,))
        };
        let hot = Arc::clone(&self.hot);
        env.spawn_future_with_callback(closing, move |env, (outcome,)| {
            // SAFETY: this is JavaScript's thread, in the environment of the node.
            unsafe { hot.unhook(env.raw()) };
            hot.commits.close();
            hot.events.close();
            Ok(Outcome(outcome))
        })
    }

    #[napi(catch_unwind)]
    pub fn flush<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move { node.flush().await })
    }

    #[napi(catch_unwind)]
    pub fn sync_state<'env>(
        &self,
        env: &'env Env,
    ) -> Result<PromiseRaw<'env, Outcome<NativeSyncState>>> {
        self.run(env, |node| async move {
            let (report, peers) = (node.sync_report()?, node.progress()?);
            Ok(NativeSyncState {
                outbox_size: number(report.counts.total()),
                queued_count: number(report.counts.queued),
                in_flight_count: number(report.counts.in_flight),
                acknowledged_count: number(report.counts.acknowledged),
                failed_count: number(report.counts.failed),
                total_retries: number(report.total_retries),
                total_refused: number(report.total_refused),
                last_submitted_version: number(report.last_submitted),
                last_applied_remote_version: number(report.last_applied_remote),
                conflict_count: number(node.conflict_count()?),
                conflicts_seen: number(node.conflicts_seen()),
                versions_dropped: number(node.versions_dropped()),
                peers: peers.into_iter().map(NativePeerProgress::from).collect(),
            })
        })
    }

    #[napi(catch_unwind)]
    pub fn tick<'env>(
        &self,
        env: &'env Env,
        prune: bool,
    ) -> Result<PromiseRaw<'env, Outcome<NativeTick>>> {
        self.run(env, move |node| async move {
            let report = node.tick(prune).await?;
            Ok(NativeTick {
                retried_count: number(report.retried),
                pruned_count: number(report.pruned),
                batch_size: number(report.batch),
                sent_count: number(report.sent),
                connected_peers: number(report.connected),
            })
        })
    }

    #[napi(catch_unwind)]
    pub fn start_transport<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move { node.start_transport().await })
    }

    #[napi(catch_unwind)]
    pub fn stop_transport<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move {
            node.stop_transport().await;
            Ok(())
        })
    }

    #[napi(catch_unwind)]
    pub fn connect<'env>(
        &self,
        env: &'env Env,
        node_id: String,
        host: String,
        port: u16,
        prefixes: Option<Vec<String>>,
    ) -> Result<PromiseRaw<'env, Outcome<()>>> {
        let scope = scope_of(prefixes);
        self.run(env, move |node| async move {
            node.connect_within(&node_id, &host, port, scope).await
        })
    }

    #[napi(catch_unwind)]
    pub fn disconnect<'env>(
        &self,
        env: &'env Env,
        node_id: String,
        host: String,
        port: u16,
    ) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, move |node| async move {
            node.disconnect(&node_id, &host, port);
            Ok(())
        })
    }

    #[napi(catch_unwind)]
    pub fn start_discovery<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move {
            Err(if node.options().enable_discovery {
                Failure::new(
                    ErrorCode::Discovery,
                    ErrorKind::DiscoveryUnsupported,
                    "discovery is not part of this version yet: connect to peers by their address",
                )
            } else {
                Failure::new(
                    ErrorCode::Discovery,
                    ErrorKind::DiscoveryDisabled,
                    "discovery is disabled",
                )
            })
        })
    }

    #[napi(catch_unwind)]
    pub fn stop_discovery<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |_| async move { Ok(()) })
    }

    #[napi(catch_unwind)]
    pub fn peers<'env>(
        &self,
        env: &'env Env,
    ) -> Result<PromiseRaw<'env, Outcome<Vec<NativePeer>>>> {
        self.run(env, |node| async move {
            Ok(node.peers().into_iter().map(NativePeer::from).collect())
        })
    }

    #[napi(catch_unwind)]
    pub fn node_info<'env>(
        &self,
        env: &'env Env,
    ) -> Result<PromiseRaw<'env, Outcome<NativeNodeInfo>>> {
        self.run(env, |node| async move {
            let info = node.info();
            Ok(NativeNodeInfo {
                node_id: info.node_id,
                display_name: info.display_name,
                hostname: info.hostname,
                os_name: info.os_name.to_owned(),
                version: info.version,
                capabilities: info
                    .capabilities
                    .into_iter()
                    .map(|one| one.as_str().to_owned())
                    .collect(),
                started_at_ms: number(info.started_at.0),
                uptime_ms: number(info.uptime_ms),
            })
        })
    }

    #[napi(catch_unwind)]
    pub fn retry_failed<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<f64>>> {
        self.run(env, |node| async move { Ok(number(node.retry_failed()?)) })
    }

    #[napi(catch_unwind)]
    pub fn start_sync<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move {
            node.set_automatic_sync(true);
            Ok(())
        })
    }

    #[napi(catch_unwind)]
    pub fn stop_sync<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move {
            node.set_automatic_sync(false);
            Ok(())
        })
    }

    /// Failure because of which every write is refused; null if there is none.
    #[napi(catch_unwind)]
    pub fn refusal(&self) -> Option<NativeFailure> {
        self.hot.node()?.refusal().map(NativeFailure::from)
    }

    /// Failure of the last read that failed; null if none did.
    #[napi(catch_unwind)]
    pub fn read_failure(&self) -> Option<NativeFailure> {
        self.hot.unreadable.lock().clone().map(NativeFailure::from)
    }

    #[napi(catch_unwind)]
    pub fn transport_running(&self) -> bool {
        self.hot.node().is_some_and(|node| node.transport_running())
    }

    #[napi(catch_unwind)]
    pub fn transport_port(&self) -> Option<u16> {
        self.hot.node()?.transport_port()
    }

    #[allow(
        clippy::unused_self,
        reason = "a method for JavaScript, where the node is asked"
    )]
    #[napi(catch_unwind)]
    pub fn discovery_running(&self) -> bool {
        false
    }

    /// Turns `change` events on or off.
    #[napi(catch_unwind)]
    pub fn set_change_interest(&self, wanted: bool) {
        if let Some(node) = self.hot.node() {
            node.tell_changes(wanted);
        }
    }

    /// Begins a scan over a consistent snapshot.
    #[napi(catch_unwind)]
    pub fn scan(&self, prefix: String, after: Option<String>) -> Option<NativeScan> {
        Some(NativeScan::new(&self.hot, &self.hot.node()?, prefix, after))
    }

    /// Keeps the process alive until `release` was called as often.
    #[napi(catch_unwind)]
    pub fn hold(&self, env: &Env) {
        if self.hot.holds.fetch_add(1, Ordering::Relaxed) == 0 {
            // SAFETY: this is JavaScript's thread, in the environment of the node.
            unsafe { self.hot.events.hold(env.raw()) };
        }
    }

    /// Undoes one call of `hold`.
    #[napi(catch_unwind)]
    pub fn release(&self, env: &Env) {
        let before = self.hot.holds.load(Ordering::Relaxed);
        self.hot
            .holds
            .store(before.saturating_sub(1), Ordering::Relaxed);
        if before == 1 {
            // SAFETY: this is JavaScript's thread, in the environment of the node.
            unsafe { self.hot.events.release(env.raw()) };
        }
    }
}
