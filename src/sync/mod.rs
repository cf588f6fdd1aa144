//! Replication: which entries must travel, and which have arrived. Pure: no clock, no socket, no thread; it knows
//! neither addresses nor bytes on a wire.

pub mod delivery;
pub mod feed;
pub mod identity;
pub mod message;
pub mod options;
pub mod outbox;
pub mod peer;
pub mod reconcile;
pub mod replica;
pub mod report;

pub use reconcile::Outcome;

#[cfg(test)]
pub(crate) mod tests;
