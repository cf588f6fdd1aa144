//! Arguments of a write: a key, and text or bytes.

use napi::sys;

use super::refusal::Refused;
use super::text::{bytes_of, with_text};
use crate::node::{Node, Operation};

/// Reads a value to write, as text or bytes, and passes it to `read` with a flag: true if it is ASCII text.
unsafe fn with_value<R>(
    env: sys::napi_env,
    value: sys::napi_value,
    read: impl FnOnce(&[u8], bool) -> R,
) -> Result<R, Refused> {
    let mut kind = 0;
    // SAFETY: the out-pointer is valid.
    unsafe { sys::napi_typeof(env, value, &raw mut kind) };
    if kind == sys::ValueType::napi_string {
        // SAFETY: the caller upholds this function's contract.
        return Ok(unsafe { with_text(env, value, |text| read(text, text.is_ascii())) }?);
    }
    // SAFETY: no JavaScript runs before the bytes were read.
    unsafe { bytes_of(env, value) }
        .map(|bytes| read(bytes, false))
        .ok_or(Refused::WrongType)
}

pub(super) unsafe fn put_operation(
    env: sys::napi_env,
    node: &Node,
    key: sys::napi_value,
    value: sys::napi_value,
) -> Result<Operation, Refused> {
    // SAFETY: the values belong to the call that is under way; the caller upholds this function's contract.
    unsafe {
        with_text(env, key, |key| {
            with_value(env, value, |value, ascii| {
                if value.len() > node.value_bytes_max() {
                    return Err(Refused::ValueTooLarge);
                }
                Operation::put(key, value, ascii).map_err(Refused::from)
            })
        })??
    }
}
