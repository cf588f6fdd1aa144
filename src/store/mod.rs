//! The current local state: entries, their order, and how they become durable. Never the network.

pub mod appended;
mod arrival;
pub mod base;
mod basis;
mod beneath;
mod changes_view;
pub mod checkpoint;
mod closing;
pub mod commit;
pub mod conflict;
pub mod conflicts;
pub mod entry;
pub mod error;
pub mod feed;
pub mod group;
mod hash_index;
pub mod install;
mod key_index;
mod lane;
pub mod ledger;
mod lost_origins;
pub mod map;
pub mod operation;
pub mod order;
mod ordered_key;
pub mod origin_dictionary;
mod overtaken;
mod peer_record;
pub mod range_sums;
pub mod rebase;
mod recent_dots;
pub mod record;
pub mod recovery;
pub mod replay;
mod resolution;
mod row;
pub mod salvage;
pub mod scope;
pub mod siblings;
mod slots;
pub mod totals;
pub mod verify;
pub mod view;

#[cfg(test)]
pub(crate) mod tests;
