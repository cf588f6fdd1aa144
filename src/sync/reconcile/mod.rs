//! Reconciliation (PROTOCOL rule 4): two nodes find out what the other lacks or holds smaller, and send it, both ways in
//! one go. `exchange` is the conversation as a machine of its own, `view` what it looks at, `driving` what a replica does
//! with it.

pub mod ranges;
pub mod requested;

mod answering;
mod driving;
mod exchange;
mod gathering;
mod openings;
mod outcome;
mod removals;
mod reply;
mod trailing;
mod view;

#[cfg(test)]
mod tests;

pub(super) use exchange::Exchange;
pub(super) use openings::Openings;
pub use outcome::{DIFFERING_KEYS_MAX, Outcome};

/// How far a link is with it.
#[derive(Debug, Clone, Default)]
pub(super) enum Reconciling {
    /// There is nothing to do.
    #[default]
    Idle,
    /// To be opened from here.
    Due,
    /// To be opened by the peer.
    Awaited,
    /// Under way.
    Active(Box<Exchange>),
    /// Something of it could not be stored here: again, later.
    Failed,
}
