//! Handle of a comparison with a peer, for JavaScript.

use napi::Env;
use napi::bindgen_prelude::{PromiseRaw, Result};
use napi_derive::napi;

use super::failure::{Outcome, guarded};
use super::hand_over::HandOver;
use super::node::NativeNode;
use super::reports::number;
use crate::node::{Comparison, Difference, Failure};

/// Result of a comparison.
#[napi(object)]
pub struct NativeDifference {
    pub equal: bool,
    pub compared: f64,
    pub sent: f64,
    pub received: f64,
    pub held_back: f64,
    pub refused: f64,
    pub keys: Vec<String>,
    pub more_keys: bool,
}

/// Handle of a comparison. It begins with `finished`.
#[napi]
pub struct NativeComparison {
    comparison: Option<HandOver<Comparison>>,
}

impl From<Difference> for NativeDifference {
    fn from(difference: Difference) -> Self {
        let text = |key: &Vec<u8>| String::from_utf8_lossy(key).into_owned();
        Self {
            equal: difference.is_equal(),
            compared: number(difference.compared),
            sent: number(difference.sent),
            received: number(difference.received),
            held_back: number(difference.held_back),
            refused: number(difference.refused),
            keys: difference.keys.iter().map(text).collect(),
            more_keys: difference.has_more_keys,
        }
    }
}

#[napi]
impl NativeNode {
    /// Prepares a comparison with the connected peer with that node id.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "an argument from JavaScript belongs to the call"
    )]
    #[napi(catch_unwind)]
    pub fn compare(&self, node_id: String) -> NativeComparison {
        NativeComparison {
            comparison: self
                .hot
                .node()
                .map(|node| HandOver::new(node.compare(&node_id))),
        }
    }
}

#[napi]
impl NativeComparison {
    /// Compares. Resolves when the comparison is over.
    #[napi(catch_unwind)]
    pub fn finished<'env>(
        &self,
        env: &'env Env,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDifference>>> {
        let comparison = self.comparison.as_ref().and_then(HandOver::take);
        let call = async move {
            let comparison = comparison.ok_or_else(Failure::not_open)?;
            comparison.finished().await.map(NativeDifference::from)
        };
        env.spawn_future(async move { Ok(Outcome(guarded(call).await)) })
    }

    /// Cancels the comparison.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        if let Some(comparison) = self.comparison.as_ref().and_then(HandOver::get) {
            comparison.cancel();
        }
    }
}
