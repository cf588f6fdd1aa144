//! Strings between JavaScript and bytes. JavaScript's strings are UTF-16 and may hold lone surrogates, which UTF-8
//! cannot encode: writing such a string is refused, because reading it back would give another one.

use std::mem::MaybeUninit;
use std::ptr;

use napi::sys;

use crate::core::limits::KEY_BYTES_MAX;
use crate::store::commit::operation::check_key;
use crate::store::entry::Namespace;
use crate::store::error::StoreError;

/// Strings up to this many bytes are read with one call, into a buffer on the stack.
pub(super) const STACK_BYTES: usize = 2048;

/// The reason why a string was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextError {
    /// The value is not a string.
    NotText,
    /// The string holds a lone surrogate.
    Malformed,
}

/// U+FFFD in UTF-8, which Node-API writes in place of a lone surrogate.
const REPLACEMENT: [u8; 3] = [0xef, 0xbf, 0xbd];

/// Reads a string as UTF-8 and hands it to `read`.
///
/// # Safety
/// `env` and `value` belong to the call that is under way.
pub(super) unsafe fn with_text<R>(
    env: sys::napi_env,
    value: sys::napi_value,
    read: impl FnOnce(&[u8]) -> R,
) -> Result<R, TextError> {
    let mut stack = MaybeUninit::<[u8; STACK_BYTES]>::uninit();
    let mut length = 0_usize;
    // SAFETY: the buffer has the given length; the text's length is written before the call returns.
    let status = unsafe {
        sys::napi_get_value_string_utf8(
            env,
            value,
            stack.as_mut_ptr().cast(),
            STACK_BYTES,
            &raw mut length,
        )
    };
    if status != sys::Status::napi_ok {
        return Err(TextError::NotText);
    }
    // A character takes at most four bytes, so a text that ends earlier was not cut off.
    if length < STACK_BYTES - 4 {
        // SAFETY: the call has written `length` bytes.
        let text = unsafe { std::slice::from_raw_parts(stack.as_ptr().cast::<u8>(), length) };
        // SAFETY: the caller upholds this function's contract.
        unsafe { check(env, value, text)? };
        return Ok(read(text));
    }
    // SAFETY: without a buffer only the length is written.
    unsafe { sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &raw mut length) };
    let mut heap = vec![0_u8; length + 1];
    // SAFETY: the buffer has room for the text and the zero after it.
    unsafe {
        sys::napi_get_value_string_utf8(
            env,
            value,
            heap.as_mut_ptr().cast(),
            heap.len(),
            &raw mut length,
        )
    };
    heap.truncate(length);
    // SAFETY: the caller upholds this function's contract.
    unsafe { check(env, value, &heap)? };
    Ok(read(&heap))
}

/// Reads a key in its stored form, after its namespace, and hands it to `read`.
///
/// # Safety
/// `env` and `value` belong to the call that is under way.
pub(super) unsafe fn with_stored_key<R>(
    env: sys::napi_env,
    value: sys::napi_value,
    read: impl FnOnce(&[u8]) -> R,
) -> Result<Result<R, StoreError>, TextError> {
    const ROOM: usize = KEY_BYTES_MAX + 8;
    let mut stack = MaybeUninit::<[u8; 1 + ROOM]>::uninit();
    let start = stack.as_mut_ptr().cast::<u8>();
    let mut length = 0_usize;
    // SAFETY: there is room for the namespace and, after it, for the given number of bytes.
    let status = unsafe {
        start.write(Namespace::User as u8);
        sys::napi_get_value_string_utf8(env, value, start.add(1).cast(), ROOM, &raw mut length)
    };
    if status != sys::Status::napi_ok {
        return Err(TextError::NotText);
    }
    // SAFETY: the namespace and `length` bytes after it were written.
    let stored = unsafe { std::slice::from_raw_parts(start, 1 + length) };
    let key = stored.get(1..).unwrap_or_default();
    if let Err(error) = check_key(key) {
        return Ok(Err(error));
    }
    // SAFETY: the caller upholds this function's contract.
    unsafe { check(env, value, key)? };
    Ok(Ok(read(stored)))
}

/// Checks that the text is JavaScript's string: a replacement character may stand for a lone surrogate.
unsafe fn check(env: sys::napi_env, value: sys::napi_value, text: &[u8]) -> Result<(), TextError> {
    if text.is_ascii()
        || !text
            .windows(REPLACEMENT.len())
            .any(|window| window == REPLACEMENT)
    {
        return Ok(());
    }
    let mut length = 0_usize;
    // SAFETY: without a buffer only the length is written.
    unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &raw mut length) };
    let mut units = vec![0_u16; length + 1];
    // SAFETY: the buffer has room for the text and the zero after it.
    unsafe {
        sys::napi_get_value_string_utf16(
            env,
            value,
            units.as_mut_ptr(),
            units.len(),
            &raw mut length,
        )
    };
    units.truncate(length);
    if char::decode_utf16(units).any(|unit| unit.is_err()) {
        Err(TextError::Malformed)
    } else {
        Ok(())
    }
}

/// The bytes of a `Uint8Array` or `Buffer`; `None` for any other value. Valid until JavaScript runs again.
///
/// # Safety
/// `env` and `value` belong to the call that is under way, and no JavaScript runs while the bytes are used.
pub(super) unsafe fn bytes_of<'a>(env: sys::napi_env, value: sys::napi_value) -> Option<&'a [u8]> {
    let (mut kind, mut length, mut data) = (0, 0_usize, ptr::null_mut());
    // SAFETY: all out-pointers are valid, or null where that is allowed.
    let status = unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut kind,
            &raw mut length,
            &raw mut data,
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
        return None;
    }
    if length == 0 {
        return Some(&[]);
    }
    // SAFETY: Node-API promises `length` bytes at `data`, which stay valid until JavaScript runs again.
    Some(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), length) })
}

/// A JavaScript value of stored bytes: a string if they are UTF-8, however they were written, else a copy in a
/// `Buffer`. Equal bytes are equal values. Null if there is no memory for it.
///
/// # Safety
/// `env` belongs to the call that is under way.
pub(super) unsafe fn value_of(env: sys::napi_env, bytes: &[u8], ascii: bool) -> sys::napi_value {
    let mut value = ptr::null_mut();
    let length = bytes.len();
    // SAFETY: the bytes are valid for their length, and are copied.
    unsafe {
        if ascii {
            let length = isize::try_from(length).unwrap_or(isize::MAX);
            sys::napi_create_string_latin1(env, bytes.as_ptr().cast(), length, &raw mut value);
        } else if std::str::from_utf8(bytes).is_ok() {
            let length = isize::try_from(length).unwrap_or(isize::MAX);
            sys::napi_create_string_utf8(env, bytes.as_ptr().cast(), length, &raw mut value);
        } else {
            sys::napi_create_buffer_copy(
                env,
                length,
                bytes.as_ptr().cast(),
                ptr::null_mut(),
                &raw mut value,
            );
        }
    }
    value
}

/// A JavaScript string of a key, which is UTF-8 because it was written as text; null if there is no memory for it.
///
/// # Safety
/// `env` belongs to the call that is under way.
pub(super) unsafe fn key_of(env: sys::napi_env, key: &[u8]) -> sys::napi_value {
    let mut value = ptr::null_mut();
    let length = isize::try_from(key.len()).unwrap_or(isize::MAX);
    // SAFETY: the bytes are valid for their length, and are copied.
    unsafe { sys::napi_create_string_utf8(env, key.as_ptr().cast(), length, &raw mut value) };
    value
}
