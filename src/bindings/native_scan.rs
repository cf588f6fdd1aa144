//! A scan over a consistent view, page by page.

use std::ptr;
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{Object, Result, Unknown};
use napi::{Env, sys};
use napi_derive::napi;
use parking_lot::Mutex;

use super::text::{key_of, value_of};
use crate::node::Node;
use crate::store::view::ViewId;

/// A scan. The view ends with it.
#[napi]
pub struct NativeScan {
    node: Weak<Node>,
    view: ViewId,
    prefix: Vec<u8>,
    /// The last key that was given; `None` once the scan has ended.
    after: Mutex<Option<Option<Vec<u8>>>>,
}

impl NativeScan {
    pub(super) fn new(node: &Arc<Node>, prefix: String, after: Option<String>) -> Self {
        Self {
            node: Arc::downgrade(node),
            view: node.open_view(),
            prefix: prefix.into_bytes(),
            after: Mutex::new(Some(after.map(String::into_bytes))),
        }
    }
}

#[napi]
impl NativeScan {
    /// Up to `limit` entries: `{ keys, values, versions }`; no keys: the end.
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env, limit: u32) -> Result<Object<'env>> {
        let mut page = Object::new(env)?;
        let mut state = self.after.lock();
        let rows = match (self.node.upgrade(), state.as_ref()) {
            (Some(node), Some(after)) => {
                let row = |key: &[u8], value: &[u8], ascii, version| {
                    (key.to_vec(), value.to_vec(), ascii, version)
                };
                node.page(
                    self.view,
                    &self.prefix,
                    after.as_deref(),
                    limit as usize,
                    row,
                )
            }
            _ => Vec::new(),
        };
        match rows.last() {
            Some((key, ..)) => *state = Some(Some(key.clone())),
            None => self.end(&mut state),
        }
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut keys = env.create_array(count)?;
        let mut values = env.create_array(count)?;
        let mut versions = env.create_array(count)?;
        for (place, (key, value, ascii, version)) in (0_u32..).zip(rows) {
            // SAFETY: `env` is the environment of this call, and the values were made in it.
            unsafe {
                keys.set(place, unknown(env, key_of(env.raw(), &key)))?;
                values.set(place, unknown(env, value_of(env.raw(), &value, ascii)))?;
            }
            #[allow(clippy::cast_precision_loss, reason = "versions stay far below 2^53")]
            versions.set(place, version as f64)?;
        }
        page.set("keys", keys)?;
        page.set("values", values)?;
        page.set("versions", versions)?;
        Ok(page)
    }

    /// Ends the scan and its view.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.end(&mut self.after.lock());
    }

    fn end(&self, state: &mut Option<Option<Vec<u8>>>) {
        if state.take().is_some()
            && let Some(node) = self.node.upgrade()
        {
            node.close_view(self.view);
        }
    }
}

impl Drop for NativeScan {
    fn drop(&mut self) {
        let mut state = self.after.lock().take();
        self.end(&mut state);
    }
}

unsafe fn unknown(env: &Env, value: sys::napi_value) -> Unknown<'_> {
    let value = if value == ptr::null_mut() {
        let mut undefined = ptr::null_mut();
        // SAFETY: the out-pointer is valid.
        unsafe { sys::napi_get_undefined(env.raw(), &mut undefined) };
        undefined
    } else {
        value
    };
    // SAFETY: the value was made in this environment, in this call.
    unsafe { Unknown::from_raw_unchecked(env.raw(), value) }
}
