//! The current local state: entries, their order, and how they become durable. Never the network.

pub mod commit;
pub mod entry;
pub mod error;
pub mod group;
mod key_index;
mod lane;
pub mod ledger;
mod lost_origins;
pub mod map;
pub mod operation;
mod ordered_key;
pub mod origin_dictionary;
pub mod record;
pub mod recovery;
pub mod salvage;
mod slots;
pub mod verify;
pub mod view;

#[cfg(test)]
mod tests;
