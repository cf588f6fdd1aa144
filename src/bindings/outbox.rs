//! The outbox and waits for delivery, for JavaScript.

use napi::Env;
use napi::bindgen_prelude::{PromiseRaw, Result};
use napi_derive::napi;

use super::failure::{Outcome, guarded};
use super::hand_over::HandOver;
use super::node::NativeNode;
use super::reports::number;
use crate::core::error_kind::ErrorKind;
use crate::node::{
    Delivered, ErrorCode, Failure, Holders, OutboxRow, PeerTrouble, RowState, Subject, Wait,
};

/// A peer that does not hold a row, and the reason.
#[napi(object)]
pub struct NativeRefusal {
    pub node_id: String,
    pub reason: String,
    pub message: String,
}

/// A row of the outbox.
#[napi(object)]
pub struct NativeOutboxEntry {
    pub key: String,
    pub kind: String,
    pub version: f64,
    pub operation: String,
    pub position: f64,
    pub state: String,
    pub attempts: f64,
    pub next_retry_ms: Option<f64>,
    pub refusals: Vec<NativeRefusal>,
}

/// Result of a wait that was fulfilled.
#[napi(object)]
pub struct NativeDelivered {
    pub peers: Vec<String>,
    pub replaced: bool,
    pub replaced_by: Option<String>,
}

/// Handle of a wait for delivery. It begins with `delivered`.
#[napi]
pub struct NativeWait {
    wait: std::result::Result<HandOver<Wait>, Failure>,
}

const STATES: [(&str, RowState); 4] = [
    ("queued", RowState::Queued),
    ("inFlight", RowState::InFlight),
    ("acknowledged", RowState::Acknowledged),
    ("failed", RowState::Failed),
];

fn state_name(state: RowState) -> &'static str {
    let found = STATES.iter().find(|(_, known)| *known == state);
    found.map_or("", |(name, _)| name)
}

impl From<PeerTrouble> for NativeRefusal {
    fn from(PeerTrouble { node_id, trouble }: PeerTrouble) -> Self {
        Self {
            node_id,
            reason: trouble.as_str().to_owned(),
            message: trouble.to_string(),
        }
    }
}

impl From<OutboxRow> for NativeOutboxEntry {
    fn from(row: OutboxRow) -> Self {
        let kind = if row.is_removal { "remove" } else { "put" };
        Self {
            key: String::from_utf8_lossy(&row.key).into_owned(),
            kind: kind.to_owned(),
            version: number(row.version),
            operation: row.dot.to_string(),
            position: number(row.lseq),
            state: state_name(row.state).to_owned(),
            attempts: number(row.attempts),
            next_retry_ms: row.next_retry_in_ms.map(number),
            refusals: row.troubles.into_iter().map(NativeRefusal::from).collect(),
        }
    }
}

impl From<Delivered> for NativeDelivered {
    fn from(delivered: Delivered) -> Self {
        Self {
            peers: delivered.peers,
            replaced: delivered.is_replaced,
            replaced_by: delivered.successor.map(|dot| dot.to_string()),
        }
    }
}

fn subject(operation: &str) -> std::result::Result<Subject, Failure> {
    if operation == "all" {
        return Ok(Subject::All);
    }
    let dot = operation.parse().map_err(|_| {
        Failure::new(
            ErrorCode::InvalidArgument,
            ErrorKind::InvalidOperation,
            "operation must be \"all\", or the operation of a write as its result names it",
        )
        .about("operation")
    })?;
    Ok(Subject::Operation(dot))
}

#[napi]
impl NativeNode {
    /// The author of this node's operations: the first part of their names.
    #[napi(catch_unwind)]
    pub fn author(&self) -> String {
        let node = self.hot.node();
        node.map_or_else(String::new, |node| node.author().to_string())
    }

    /// Prepares a wait for one peer, for a number of peers, or, with neither, for all.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "an argument from JavaScript belongs to the call"
    )]
    #[napi(catch_unwind)]
    pub fn wait_for(
        &self,
        operation: String,
        peer: Option<String>,
        count: Option<u32>,
    ) -> NativeWait {
        let holders = match (peer, count) {
            (Some(peer), _) => Holders::Peer(peer),
            (None, Some(count)) => Holders::Count(usize::try_from(count).unwrap_or(usize::MAX)),
            (None, None) => Holders::All,
        };
        NativeWait {
            wait: subject(&operation).and_then(|subject| {
                let node = self.hot.node().ok_or_else(Failure::not_open)?;
                Ok(HandOver::new(node.wait(subject, holders)))
            }),
        }
    }

    /// Rows of the outbox after a position: all, or those in one state.
    #[napi(catch_unwind)]
    pub fn outbox<'env>(
        &self,
        env: &'env Env,
        state: Option<String>,
        after: f64,
        limit: u32,
    ) -> Result<PromiseRaw<'env, Outcome<Vec<NativeOutboxEntry>>>> {
        let wanted = state.and_then(|state| {
            let found = STATES.iter().find(|(name, _)| *name == state);
            found.map(|(_, state)| *state)
        });
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number that JavaScript holds exactly; others saturate"
        )]
        let after = after as u64;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.run(env, move |node| async move {
            let rows = node.outbox(wanted, after, limit)?;
            Ok(rows.into_iter().map(NativeOutboxEntry::from).collect())
        })
    }
}

#[napi]
impl NativeWait {
    /// Waits. Resolves when the wait is fulfilled, fails or is cancelled.
    #[napi(catch_unwind)]
    pub fn delivered<'env>(
        &self,
        env: &'env Env,
    ) -> Result<PromiseRaw<'env, Outcome<NativeDelivered>>> {
        let wait = self.wait.as_ref().map(HandOver::take);
        let wait = wait.map_err(Clone::clone);
        let call = async move {
            let wait = wait?.ok_or_else(Failure::not_open)?;
            wait.delivered().await.map(NativeDelivered::from)
        };
        env.spawn_future(async move { Ok(Outcome(guarded(call).await)) })
    }

    /// Cancels the wait.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        if let Some(wait) = self.wait.as_ref().ok().and_then(HandOver::get) {
            wait.cancel();
        }
    }
}
