//! The current local state: entries, their order, and how they become durable. Never the network.

pub mod commit;
pub mod conflict;
pub mod entry;
pub mod error;
pub mod lineage;
pub mod maintain;
pub mod memtable;
pub mod record;
pub mod scope;
pub mod state;
pub mod system_keys;

#[cfg(test)]
pub(crate) mod tests;
