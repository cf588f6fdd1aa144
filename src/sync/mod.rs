//! What must travel and what arrived. Pure: no clock, no socket, no thread; it neither knows addresses nor
//! bytes on a wire.

mod admission;
mod ahead;
mod claim;
pub mod comparison;
mod credit;
mod cursor;
pub mod dot_set;
pub mod doubt;
mod evidence;
mod installed;
mod link;
pub mod listing;
mod looking;
mod meeting;
pub mod message;
mod namesake;
pub mod options;
pub mod outbox;
mod parked;
mod picked;
pub mod progress;
mod prove;
pub mod ranges;
mod receive;
mod reconcile;
pub mod registry;
mod replacements;
pub mod replica;
pub mod report;
mod restarts;
mod scoped;
mod send;
mod send_large;
mod standing;
mod tally;
mod timers;
mod wait_queue;
pub mod waiting;
pub mod waits;
pub(crate) mod withheld;
mod zones;

pub use link::LinkId;
pub use reconcile::{DIFFERING_KEYS_MAX, Outcome};
pub use send::chunk_cost;

#[cfg(test)]
pub(crate) mod tests;
