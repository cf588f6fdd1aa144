//! A scan over a consistent snapshot, page by page.

use std::ptr;
use std::sync::{Arc, Weak};

use napi::bindgen_prelude::{Object, Result, Unknown};
use napi::{Env, sys};
use napi_derive::napi;
use parking_lot::Mutex;

use super::failure::NativeFailure;
use super::hot::Hot;
use super::text::{key_of, value_of};
use crate::node::Node;
use crate::store::state::snapshot::SnapshotId;

/// Position of a scan.
enum Progress {
    /// The scan is at the start of its prefix.
    Begins,
    /// The scan is past this key.
    Behind(Vec<u8>),
    /// The end: no more entries are returned.
    Ended,
}

/// Handle of a scan. The snapshot ends with it.
#[napi]
pub struct NativeScan {
    node: Weak<Node>,
    hot: Weak<Hot>,
    snapshot: SnapshotId,
    prefix: Vec<u8>,
    state: Mutex<Progress>,
}

impl NativeScan {
    pub(super) fn new(
        hot: &Arc<Hot>,
        node: &Arc<Node>,
        prefix: String,
        after: Option<String>,
    ) -> Self {
        Self {
            hot: Arc::downgrade(hot),
            node: Arc::downgrade(node),
            snapshot: node.open_snapshot(),
            prefix: prefix.into_bytes(),
            state: Mutex::new(after.map_or(Progress::Begins, |after| {
                Progress::Behind(after.into_bytes())
            })),
        }
    }
}

#[napi]
impl NativeScan {
    /// Returns up to `limit` entries: `{ keys, values, versions, more }`. Without keys it is the end, unless `more` is
    /// true: then the caller asks again in another turn of the event loop.
    #[napi(catch_unwind)]
    pub fn next<'env>(&self, env: &'env Env, limit: u32) -> Result<Object<'env>> {
        if let Some(hot) = self.hot.upgrade() {
            // SAFETY: this is a call in that environment.
            unsafe { hot.tell_weight(env.raw()) };
        }
        let mut page = Object::new(env)?;
        let mut state = self.state.lock();
        let after = match &*state {
            Progress::Begins => Some(None),
            Progress::Behind(key) => Some(Some(key.as_slice())),
            Progress::Ended => None,
        };
        let rows = match (self.node.upgrade(), after) {
            (Some(node), Some(after)) => {
                let row = |key: &[u8], value: &[u8], ascii, version| {
                    (key.to_vec(), value.to_vec(), ascii, version)
                };
                node.page(self.snapshot, &self.prefix, after, limit as usize, row)
            }
            _ => Ok((Vec::new(), None)),
        };
        let (rows, next) = match rows {
            Ok(found) => found,
            Err(failure) => {
                self.end(&mut state);
                page.set("failure", NativeFailure::from(failure))?;
                return Ok(page);
            }
        };
        page.set("more", next.is_some())?;
        match next {
            Some(key) => *state = Progress::Behind(key),
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

    /// Ends the scan and its snapshot.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        self.end(&mut self.state.lock());
    }

    fn end(&self, state: &mut Progress) {
        let before = std::mem::replace(state, Progress::Ended);
        if !matches!(before, Progress::Ended)
            && let Some(node) = self.node.upgrade()
        {
            node.close_snapshot(self.snapshot);
        }
    }
}

impl Drop for NativeScan {
    fn drop(&mut self) {
        self.close();
    }
}

unsafe fn unknown(env: &Env, value: sys::napi_value) -> Unknown<'_> {
    let value = if value.is_null() {
        let mut undefined = ptr::null_mut();
        // SAFETY: the out-pointer is valid.
        unsafe { sys::napi_get_undefined(env.raw(), &raw mut undefined) };
        undefined
    } else {
        value
    };
    // SAFETY: the value was made in this environment, in this call.
    unsafe { Unknown::from_raw_unchecked(env.raw(), value) }
}
