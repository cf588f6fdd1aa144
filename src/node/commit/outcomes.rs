//! Outcomes of requests that failed, as their callers are told them.

use crate::node::failure::Failure;
use crate::node::shared::Shared;
use crate::store::commit::operation::{NOT_A_WRITE, Ticket};

/// The message of a caught panic; `unknown` if it has none.
pub(in crate::node) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Tells the callers of failed requests, in the order of their tickets.
pub(in crate::node) fn tell_failures(shared: &Shared, mut failures: Vec<(Ticket, Failure)>) {
    shared.waiters.settle(&[], &failures);
    failures.retain(|(ticket, _)| *ticket < NOT_A_WRITE);
    if let Some((highest, _)) = failures.last() {
        shared.events.committed(*highest, &[], &failures);
    }
}

/// The failure of a write that was under way when the log failed: it may be on disk or not, and only the next opening
/// can tell.
pub(in crate::node) fn outcome_unknown(failure: Failure) -> Failure {
    let message = format!(
        "{}; whether this write is on disk is unknown until the log is opened again, earlier writes are safe",
        failure.message
    );
    Failure { message, ..failure }
}
