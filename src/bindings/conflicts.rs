//! Conflicts and their resolution, for JavaScript.

use napi::bindgen_prelude::{Either, PromiseRaw, Result, ToNapiValue, Uint8Array};
use napi::{Env, sys};
use napi_derive::napi;

use super::failure::Outcome;
use super::node::NativeNode;
use super::reports::number;
use super::text::value_of;
use crate::node::{Conflict, Dot, Operation, Version};

/// A value for JavaScript: a string if it is UTF-8, else a copy in a `Buffer`; see [`value_of`].
pub struct Content {
    bytes: Vec<u8>,
    ascii: bool,
}

impl ToNapiValue for Content {
    unsafe fn to_napi_value(env: sys::napi_env, content: Self) -> Result<sys::napi_value> {
        // SAFETY: `env` is the environment of the call; the caller upholds this.
        Ok(unsafe { value_of(env, &content.bytes, content.ascii) })
    }
}

/// One of the versions of a key in conflict; without a value: a removal.
#[napi(object, object_from_js = false)]
pub struct NativeVersion {
    pub node_id: String,
    pub value: Option<Content>,
    pub timestamp_ms: f64,
    pub current: bool,
}

/// A key in conflict, with its versions.
#[napi(object, object_from_js = false)]
pub struct NativeConflict {
    pub key: String,
    pub versions: Vec<NativeVersion>,
}

/// Receipt of the write that resolved a conflict.
#[napi(object)]
pub struct NativePut {
    pub status: u32,
    pub version: f64,
    pub operation: String,
}

impl From<Version> for NativeVersion {
    fn from(version: Version) -> Self {
        let Version {
            node_id,
            value,
            ascii,
            at,
            is_current,
        } = version;
        Self {
            node_id,
            value: value.map(|bytes| Content { bytes, ascii }),
            timestamp_ms: number(at.0),
            current: is_current,
        }
    }
}

impl From<Conflict> for NativeConflict {
    fn from(conflict: Conflict) -> Self {
        Self {
            key: String::from_utf8_lossy(&conflict.key).into_owned(),
            versions: conflict.versions.into_iter().map(Into::into).collect(),
        }
    }
}

#[napi]
impl NativeNode {
    /// The open conflicts of keys that begin with a prefix.
    #[napi(catch_unwind)]
    pub fn conflicts<'env>(
        &self,
        env: &'env Env,
        prefix: String,
    ) -> Result<PromiseRaw<'env, Outcome<Vec<NativeConflict>>>> {
        self.run(env, |node| async move {
            let conflicts = node.conflicts(prefix.as_bytes())?;
            Ok(conflicts.into_iter().map(NativeConflict::from).collect())
        })
    }

    /// The open conflict of a key.
    #[napi(catch_unwind)]
    pub fn conflict<'env>(
        &self,
        env: &'env Env,
        key: String,
    ) -> Result<PromiseRaw<'env, Outcome<NativeConflict>>> {
        self.run(env, |node| async move {
            node.conflict(key.as_bytes()).map(NativeConflict::from)
        })
    }

    /// Writes a value that resolves the conflict of a key.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "what a derived call takes from JavaScript it owns"
    )]
    #[napi(catch_unwind)]
    pub fn resolve<'env>(
        &self,
        env: &'env Env,
        key: String,
        value: Either<String, Uint8Array>,
    ) -> Result<PromiseRaw<'env, Outcome<NativePut>>> {
        // JavaScript owns the bytes: they are copied before it runs again.
        let operation = match value {
            Either::A(text) => Operation::put(key.as_bytes(), text.as_bytes(), text.is_ascii()),
            Either::B(bytes) => Operation::put(key.as_bytes(), &bytes, false),
        };
        self.run(env, |node| async move {
            let receipt = node.resolve(operation?).await?;
            let dot = Dot {
                origin: node.author(),
                sequence: receipt.sequence,
            };
            Ok(NativePut {
                operation: dot.to_string(),
                status: u32::from(receipt.status as u8),
                version: number(receipt.version),
            })
        })
    }

    /// Turns `conflict` events on or off.
    #[napi(catch_unwind)]
    pub fn set_conflict_interest(&self, wanted: bool) {
        if let Some(node) = self.hot.node() {
            node.tell_conflicts(wanted);
        }
    }
}
