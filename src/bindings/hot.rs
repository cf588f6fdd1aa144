//! Hot calls: those that programs make a million times a second, as raw Node-API callbacks with the node behind a data
//! pointer. A derived method costs about ten times as much before it does anything (docs/internals/commit.md, "The
//! crossing").
//!
//! They return numbers and strings, and throw no exceptions: a negative number is one of [`Refused`].

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use napi::sys;
use parking_lot::{Mutex, RwLock};

use super::arguments::put_operation;
use super::channel::Channel;
use super::listener::{Event, Pending, Settled, numbers_of};
use super::refusal::Refused;
use super::text::{value_of, with_stored_key, with_text};
use crate::node::{Failure, Node, Operation};

/// Values up to this size are copied out of the store before JavaScript's memory is asked for, so that its
/// garbage collector never runs under the store's lock.
const COPIED_BYTES_MAX: usize = 64 << 10;

thread_local! {
    static COPY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// State that the callbacks of one open node share.
pub(super) struct Hot {
    /// The node; `None` once it is closed, so that its memory is freed before JavaScript collects its garbage.
    node: RwLock<Option<Arc<Node>>>,
    /// The node, for aborting a close that is under way when the environment goes away.
    closing: Weak<Node>,
    pub(super) commits: Arc<Channel<Settled>>,
    pub(super) events: Arc<Channel<Event>>,
    pub(super) pending: Arc<Pending>,
    pub(super) holds: std::sync::atomic::AtomicU32,
    hooked: AtomicBool,
    /// Failure of the last read that failed.
    pub(super) unreadable: Mutex<Option<Failure>>,
    /// Bytes held for open scans.
    kept_bytes: Arc<AtomicUsize>,
    /// The part of these bytes that was reported to JavaScript's garbage collector. Only JavaScript's thread changes
    /// it.
    reported_bytes: AtomicI64,
}

/// Change of the bytes held by scans that is reported to the garbage collector, in bytes: it collects from some 32 MiB
/// on.
const TOLD_STEP_BYTES: i64 = 1 << 20;

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

impl Hot {
    pub(super) fn new(
        node: Arc<Node>,
        commits: Arc<Channel<Settled>>,
        events: Arc<Channel<Event>>,
        pending: Arc<Pending>,
    ) -> Arc<Self> {
        Arc::new(Self {
            kept_bytes: node.kept_bytes(),
            reported_bytes: AtomicI64::new(0),
            closing: Arc::downgrade(&node),
            node: RwLock::new(Some(node)),
            commits,
            events,
            pending,
            holds: std::sync::atomic::AtomicU32::new(0),
            hooked: AtomicBool::new(false),
            unreadable: Mutex::new(None),
        })
    }

    /// The node; `None` once it is closed.
    pub(super) fn node(&self) -> Option<Arc<Node>> {
        self.node.read().clone()
    }

    /// Reports the bytes held by scans to JavaScript's garbage collector, so that it looks for forgotten ones: their
    /// objects are small, and the replaced values that they keep in memory need not be.
    ///
    /// # Safety
    /// `env` belongs to the call that is under way.
    pub(super) unsafe fn tell_weight(&self, env: sys::napi_env) {
        let kept = self.kept_bytes.load(Ordering::Relaxed);
        let kept = i64::try_from(kept).unwrap_or(i64::MAX);
        let more = kept - self.reported_bytes.load(Ordering::Relaxed);
        if more.abs() >= TOLD_STEP_BYTES {
            // SAFETY: the caller upholds this function's contract.
            unsafe { self.tell_more(env, more) };
        }
    }

    unsafe fn tell_more(&self, env: sys::napi_env, more: i64) {
        self.reported_bytes.fetch_add(more, Ordering::Relaxed);
        let mut reported = 0;
        // SAFETY: the out-pointer is valid.
        unsafe { sys::napi_adjust_external_memory(env, more, &raw mut reported) };
    }

    /// Takes the node from all later calls. Its memory is freed when the last reference is dropped.
    pub(super) fn take_node(&self) -> Option<Arc<Node>> {
        self.node.write().take()
    }

    /// Creates an object with the callbacks, which find the node until it is closed.
    ///
    /// # Safety
    /// `env` belongs to the call that is under way.
    pub(super) unsafe fn functions(self: &Arc<Self>, env: sys::napi_env) -> sys::napi_value {
        let mut object = ptr::null_mut();
        // SAFETY: the out-pointer is valid.
        unsafe { sys::napi_create_object(env, &raw mut object) };
        let callbacks: [(&std::ffi::CStr, Callback); 8] = [
            (c"put", put),
            (c"remove", remove),
            (c"batch", batch),
            (c"get", get),
            (c"contains", contains),
            (c"size", size),
            (c"wake", wake),
            (c"commit", commit),
        ];
        for (name, callback) in callbacks {
            let data = Arc::into_raw(Arc::clone(self)).cast::<c_void>().cast_mut();
            let mut function = ptr::null_mut();
            // SAFETY: the data is a reference of its own, given back by the finalizer.
            unsafe {
                let length = isize::try_from(name.count_bytes()).unwrap_or(0);
                sys::napi_create_function(
                    env,
                    name.as_ptr(),
                    length,
                    Some(callback),
                    data,
                    &raw mut function,
                );
                sys::napi_add_finalizer(
                    env,
                    function,
                    data,
                    Some(forget),
                    ptr::null_mut(),
                    ptr::null_mut(),
                );
                sys::napi_set_named_property(env, object, name.as_ptr(), function);
            }
        }
        object
    }

    /// Adds a cleanup hook that ends the node with its environment: a terminated worker must not be called any more.
    ///
    /// # Safety
    /// `env` belongs to the call that is under way.
    pub(super) unsafe fn hook(self: &Arc<Self>, env: sys::napi_env) {
        self.hooked.store(true, Ordering::Release);
        let data = Arc::into_raw(Arc::clone(self)).cast::<c_void>().cast_mut();
        // SAFETY: the data is a reference of its own, given back by the hook or by `unhook`.
        unsafe { sys::napi_add_env_cleanup_hook(env, Some(end), data) };
    }

    /// Removes the cleanup hook, because the node ended before its environment.
    ///
    /// # Safety
    /// `env` is the environment that was given to [`Self::hook`], and this is its thread.
    pub(super) unsafe fn unhook(self: &Arc<Self>, env: sys::napi_env) {
        let reported = self.reported_bytes.load(Ordering::Relaxed);
        if reported != 0 {
            // SAFETY: the caller upholds this function's contract. The memory of scans is freed with the node.
            unsafe { self.tell_more(env, -reported) };
        }
        if self.hooked.swap(false, Ordering::AcqRel) {
            let data = Arc::as_ptr(self).cast::<c_void>().cast_mut();
            // SAFETY: the hook was added with this pointer and did not run; its reference is given back.
            unsafe {
                sys::napi_remove_env_cleanup_hook(env, Some(end), data);
                drop(Arc::from_raw(data.cast::<Self>().cast_const()));
            }
        }
    }

    /// Ends the node because JavaScript's object was collected. Does nothing for a node that has ended.
    ///
    /// # Safety
    /// `env` is the environment that was given to [`Self::hook`], and this is its thread.
    pub(super) unsafe fn forgotten(self: &Arc<Self>, env: sys::napi_env) {
        if self.hooked.load(Ordering::Acquire) {
            // SAFETY: the caller upholds this function's contract.
            unsafe { self.unhook(env) };
            self.end();
        }
    }

    /// Closes both channels and releases the log, also from a close that is under way.
    fn end(&self) {
        self.commits.close();
        self.events.close();
        drop(self.take_node());
        if let Some(node) = self.closing.upgrade() {
            node.abandon();
        }
    }

    /// Notes a ticket that was given to JavaScript: the process stays alive until it is settled.
    unsafe fn issued(&self, env: sys::napi_env, ticket: u64) {
        let before = self.pending.issued.swap(ticket, Ordering::Relaxed);
        if before <= self.pending.settled.load(Ordering::Relaxed) {
            // SAFETY: this is JavaScript's thread, in its call.
            unsafe { self.commits.hold(env) };
        }
    }
}

/// Cleanup hook, called when the environment goes away: closes the channels and releases the log.
unsafe extern "C" fn end(data: *mut c_void) {
    // SAFETY: the pointer is the reference that `hook` gave away; the hook runs once.
    let hot = unsafe { Arc::from_raw(data.cast::<Hot>().cast_const()) };
    hot.hooked.store(false, Ordering::Release);
    hot.end();
}

unsafe extern "C" fn forget(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: each function got a reference of its own, and is finalized once.
    drop(unsafe { Arc::from_raw(data.cast::<Hot>().cast_const()) });
}

fn check_write(node: &Node) -> Result<(), Refused> {
    if node.refusal().is_some() {
        Err(Refused::Poisoned)
    } else {
        Ok(())
    }
}

/// Reads the arguments and the node of a call, runs it, and turns a refusal or a panic into its number.
unsafe fn call<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    run: impl FnOnce(&Hot, &Node, [sys::napi_value; N]) -> Result<sys::napi_value, Refused>,
) -> sys::napi_value {
    let mut arguments = [ptr::null_mut(); N];
    let mut count = N;
    let mut data = ptr::null_mut();
    // SAFETY: there is room for as many arguments as are asked for; missing ones become `undefined`.
    unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            arguments.as_mut_ptr(),
            ptr::null_mut(),
            &raw mut data,
        );
    }
    // SAFETY: the called function holds the reference that its data points to.
    let hot = unsafe { &*data.cast::<Hot>() };
    // SAFETY: this is a call in that environment, and no lock is held.
    unsafe { hot.tell_weight(env) };
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| match &*hot.node.read() {
        Some(node) => run(hot, node, arguments),
        None => Err(Refused::NotOpen),
    }));
    match outcome.unwrap_or(Err(Refused::Internal)) {
        Ok(value) => value,
        Err(refused) => {
            let mut value = ptr::null_mut();
            // SAFETY: the out-pointer is valid.
            unsafe { sys::napi_create_int32(env, refused as i32, &raw mut value) };
            value
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "tickets and sizes stay far below 2^53"
)]
unsafe fn number(env: sys::napi_env, number: u64) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the out-pointer is valid.
    unsafe { sys::napi_create_double(env, number as f64, &raw mut value) };
    value
}

unsafe extern "C" fn put(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, [key, value]| {
            check_write(node)?;
            let ticket = node.submit(put_operation(env, node, key, value)?)?;
            hot.issued(env, ticket);
            Ok(number(env, ticket))
        })
    }
}

unsafe extern "C" fn remove(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, [key]| {
            check_write(node)?;
            let operation = with_text(env, key, Operation::remove)??;
            let ticket = node.submit(operation)?;
            hot.issued(env, ticket);
            Ok(number(env, ticket))
        })
    }
}

unsafe extern "C" fn batch(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, [keys, values]| {
            check_write(node)?;
            let mut length = 0;
            if sys::napi_get_array_length(env, keys, &raw mut length) != sys::Status::napi_ok {
                return Err(Refused::WrongType);
            }
            let mut operations = Vec::new();
            for place in 0..length {
                let (mut key, mut value, mut kind) = (ptr::null_mut(), ptr::null_mut(), 0);
                sys::napi_get_element(env, keys, place, &raw mut key);
                if sys::napi_get_element(env, values, place, &raw mut value) != sys::Status::napi_ok
                {
                    return Err(Refused::WrongType);
                }
                sys::napi_typeof(env, value, &raw mut kind);
                operations.push(if kind == sys::ValueType::napi_null {
                    with_text(env, key, Operation::remove)??
                } else {
                    put_operation(env, node, key, value)?
                });
            }
            Node::check_batch(&operations)?;
            let ticket = node.submit_batch(operations)?;
            hot.issued(env, ticket);
            Ok(number(env, ticket))
        })
    }
}

/// Keeps the failure of a read, which JavaScript may ask for.
fn unread<T>(hot: &Hot, read: Result<T, Failure>) -> Result<T, Refused> {
    read.map_err(|failure| {
        *hot.unreadable.lock() = Some(failure);
        Refused::Unreadable
    })
}

unsafe extern "C" fn get(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, [key]| {
            let found = with_stored_key(env, key, |key| {
                COPY.with_borrow_mut(|copy| {
                    let found = node.read(key, |value, ascii| {
                        if value.len() > COPIED_BYTES_MAX {
                            return Some(value_of(env, value, ascii));
                        }
                        copy.clear();
                        copy.push(u8::from(ascii));
                        copy.extend_from_slice(value);
                        None
                    });
                    Ok(match (unread(hot, found)?, copy.split_first()) {
                        (Some(Some(value)), _) => value,
                        (Some(None), Some((ascii, value))) => value_of(env, value, *ascii == 1),
                        (None, _) | (Some(None), None) => ptr::null_mut(),
                    })
                })
            });
            found??
        })
    }
}

unsafe extern "C" fn contains(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, [key]| {
            let held = with_stored_key(env, key, |key| unread(hot, node.read(key, |_, _| ())))
                .map_err(Refused::from)
                .and_then(|held| held?);
            let mut value = ptr::null_mut();
            sys::napi_get_boolean(env, matches!(held, Ok(Some(()))), &raw mut value);
            Ok(value)
        })
    }
}

unsafe extern "C" fn size(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |_, node, []| {
            Ok(number(env, node.size_known() as u64))
        })
    }
}

/// Wakes the committer. Returns 1 if the caller should call `commit` at the end of its turn of the event loop instead.
unsafe extern "C" fn wake(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, []| {
            let is_lone = hot.pending.is_one() && node.is_lone();
            if !is_lone {
                node.wake();
            }
            Ok(number(env, u64::from(is_lone)))
        })
    }
}

/// Inline commit: commits the only pending write on this thread and returns its receipt; nothing if the commit thread
/// takes it.
unsafe extern "C" fn commit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: Node-API calls this with a live call, whose values are used in it only.
    unsafe {
        call(env, info, |hot, node, []| {
            let is_one = hot.pending.is_one();
            let Some(receipt) = is_one.then(|| node.commit_inline()).flatten() else {
                node.wake();
                return Ok(ptr::null_mut());
            };
            hot.pending.settle(receipt.ticket);
            hot.commits.release(env);
            Ok(numbers_of(env, &receipt))
        })
    }
}
