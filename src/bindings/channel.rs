//! Channel from the node's threads to JavaScript's thread, over a thread-safe function.
//!
//! The function does not keep the process alive by itself: it is held only while something is pending. It is closed
//! before its environment goes away, under the lock that calls take, so that no call comes late: a thread that called
//! into an environment that is gone would end the process.

use std::ffi::c_void;
use std::ptr;

use napi::sys;
use parking_lot::Mutex;

/// Converts a value into the arguments of a call, on JavaScript's thread.
pub(super) trait Arguments: Send + 'static {
    /// The arguments of the call; empty: there is no call.
    ///
    /// # Safety
    /// `env` belongs to the call that is under way.
    unsafe fn arguments(self, env: sys::napi_env) -> Vec<sys::napi_value>;
}

struct Raw(sys::napi_threadsafe_function);

// SAFETY: a thread-safe function is made to be called from any thread; the lock around it keeps it open
// while it is called.
unsafe impl Send for Raw {}

/// One JavaScript function that other threads may call.
pub(super) struct Channel<T> {
    open: Mutex<Option<Raw>>,
    carries: std::marker::PhantomData<fn(T)>,
}

impl<T: Arguments> Channel<T> {
    /// A channel to `function`. It does not keep the process alive until [`Self::hold`].
    ///
    /// # Safety
    /// `env` and `function` belong to the call that is under way.
    pub(super) unsafe fn new(env: sys::napi_env, function: sys::napi_value) -> Option<Self> {
        let mut name = ptr::null_mut();
        let mut raw = ptr::null_mut();
        // SAFETY: names and out-pointers are valid; the callback takes values of this channel's type.
        let status = unsafe {
            sys::napi_create_string_utf8(env, c"softadastra".as_ptr(), 11, &raw mut name);
            sys::napi_create_threadsafe_function(
                env,
                function,
                ptr::null_mut(),
                name,
                0,
                1,
                ptr::null_mut(),
                None,
                ptr::null_mut(),
                Some(deliver::<T>),
                &raw mut raw,
            )
        };
        if status != sys::Status::napi_ok {
            return None;
        }
        // SAFETY: the function was created above, on this thread.
        unsafe { sys::napi_unref_threadsafe_function(env, raw) };
        Some(Self {
            open: Mutex::new(Some(Raw(raw))),
            carries: std::marker::PhantomData,
        })
    }

    /// Calls the function with `value` on JavaScript's thread, some time later. Does nothing after the close.
    pub(super) fn send(&self, value: T) {
        let open = self.open.lock();
        let Some(raw) = open.as_ref() else { return };
        let data = Box::into_raw(Box::new(value));
        let mode = sys::ThreadsafeFunctionCallMode::nonblocking;
        // SAFETY: the lock keeps the function open; with status ok it owns the box.
        let status = unsafe { sys::napi_call_threadsafe_function(raw.0, data.cast(), mode) };
        if status != sys::Status::napi_ok {
            // SAFETY: the call failed, so the box is still owned here.
            drop(unsafe { Box::from_raw(data) });
        }
    }

    /// Keeps the process alive until [`Self::release`].
    ///
    /// # Safety
    /// `env` is the channel's environment, and this is its thread.
    pub(super) unsafe fn hold(&self, env: sys::napi_env) {
        if let Some(raw) = self.open.lock().as_ref() {
            // SAFETY: the lock keeps the function open.
            unsafe { sys::napi_ref_threadsafe_function(env, raw.0) };
        }
    }

    /// Stops keeping the process alive; undoes [`Self::hold`].
    ///
    /// # Safety
    /// `env` is the channel's environment, and this is its thread.
    pub(super) unsafe fn release(&self, env: sys::napi_env) {
        if let Some(raw) = self.open.lock().as_ref() {
            // SAFETY: the lock keeps the function open.
            unsafe { sys::napi_unref_threadsafe_function(env, raw.0) };
        }
    }

    /// Closes the channel: nothing is sent any more. Values that were sent and not delivered are dropped with the
    /// function.
    pub(super) fn close(&self) {
        if let Some(raw) = self.open.lock().take() {
            let mode = sys::ThreadsafeFunctionReleaseMode::abort;
            // SAFETY: the function was open; no call can reach it any more.
            unsafe { sys::napi_release_threadsafe_function(raw.0, mode) };
        }
    }
}

unsafe extern "C" fn deliver<T: Arguments>(
    env: sys::napi_env,
    function: sys::napi_value,
    _context: *mut c_void,
    data: *mut c_void,
) {
    if data.is_null() {
        return;
    }
    // SAFETY: every value sent is a box of this type, and is delivered once.
    let value = unsafe { Box::from_raw(data.cast::<T>()) };
    if env.is_null() || function.is_null() {
        return;
    }
    let deliver = std::panic::AssertUnwindSafe(|| {
        // SAFETY: Node-API calls this with the environment of the function.
        let arguments = unsafe { value.arguments(env) };
        if arguments.is_empty() {
            return;
        }
        let mut undefined = ptr::null_mut();
        // SAFETY: the arguments were created above, in this environment.
        unsafe {
            sys::napi_get_undefined(env, &raw mut undefined);
            sys::napi_call_function(
                env,
                undefined,
                function,
                arguments.len(),
                arguments.as_ptr(),
                ptr::null_mut(),
            );
        }
    });
    // No panic crosses into Node.js. An error that JavaScript throws becomes an uncaught exception there.
    let _ = std::panic::catch_unwind(deliver);
}
