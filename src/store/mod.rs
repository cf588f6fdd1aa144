//! The current local state: entries, their order, and how they become durable. Never the network.

pub mod entry;
