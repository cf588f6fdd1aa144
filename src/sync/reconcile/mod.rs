//! Range-based set reconciliation (Meyer 2022; `docs/internals/replication.md`, rule 4): two nodes find out which
//! entries the other lacks or holds older, and send them, both ways in one go. `exchange` is the conversation as a
//! machine of its own, `view` the state that it sees, `driving` the replica's part.

pub mod comparing;
pub mod ranges;
pub mod requested;

mod answering;
mod driving;
mod exchange;
mod gathering;
mod openings;
pub(crate) mod outcome;
mod removals;
mod reply;
mod trailing;
mod view;

#[cfg(test)]
mod tests;

pub(super) use exchange::Exchange;
pub(super) use openings::Openings;
pub use outcome::Outcome;

/// Stage of a link's reconciliation.
#[derive(Debug, Clone, Default)]
pub(super) enum Reconciling {
    /// No reconciliation is due.
    #[default]
    Idle,
    /// This side is to open one.
    Due,
    /// The peer is to open one.
    Awaited,
    /// An exchange is under way.
    Active(Box<Exchange>),
    /// Something that came could not be stored here: a new exchange begins later.
    Failed,
}
