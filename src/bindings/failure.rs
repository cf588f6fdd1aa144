//! Failures and outcomes as plain data: an async call of Node-API cannot carry a code of its own.

use std::future::Future;

use napi::bindgen_prelude::{Object, Result, ToNapiValue};
use napi::{Env, sys};
use napi_derive::napi;

use super::reports::number;
use crate::node::Failure;

/// A failure as data, from which JavaScript makes its error.
#[napi(object)]
#[derive(Debug, Clone)]
pub struct NativeFailure {
    pub code: String,
    pub kind: String,
    pub message: String,
    pub context: Option<String>,
    pub cause: Option<String>,
    pub offset: Option<f64>,
    pub still_valid: Option<String>,
    pub what_to_do: Option<String>,
    pub retryable: bool,
    pub local_state_valid: bool,
}

impl From<Failure> for NativeFailure {
    fn from(failure: Failure) -> Self {
        let advice = failure.advice();
        Self {
            code: failure.code.as_str().to_owned(),
            kind: failure.kind.as_str().to_owned(),
            message: failure.message,
            context: failure.context,
            cause: failure.cause,
            offset: failure.offset.map(number),
            still_valid: advice.map(|advice| advice.still_valid.to_owned()),
            what_to_do: advice.map(|advice| advice.what_to_do.to_owned()),
            retryable: failure.retryable,
            local_state_valid: failure.local_state_valid,
        }
    }
}

/// Result of a call as data: `{ ok: true, value }` or `{ ok: false, error }`.
#[derive(Debug)]
pub struct Outcome<T>(pub std::result::Result<T, Failure>);

impl<T: ToNapiValue> ToNapiValue for Outcome<T> {
    unsafe fn to_napi_value(env: sys::napi_env, outcome: Self) -> Result<sys::napi_value> {
        let mut object = Object::new(&Env::from_raw(env))?;
        match outcome.0 {
            Ok(value) => {
                object.set("ok", true)?;
                object.set("value", value)?;
            }
            Err(failure) => {
                object.set("ok", false)?;
                object.set("error", NativeFailure::from(failure))?;
            }
        }
        // SAFETY: `env` is the environment of the call; the caller upholds this.
        unsafe { ToNapiValue::to_napi_value(env, object) }
    }
}

/// Runs a call, and turns a panic in it into a failure.
pub(super) async fn guarded<T: Send + 'static>(
    call: impl Future<Output = std::result::Result<T, Failure>> + Send + 'static,
) -> std::result::Result<T, Failure> {
    match tokio::spawn(call).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Failure::internal("a call failed inside").because(error.to_string())),
    }
}
