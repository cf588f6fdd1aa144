//! One peer: its link, its handshake, its cursor, and its record.

pub(super) mod cursor;
pub(super) mod handshake;
pub(super) mod link;
pub mod progress;
pub mod registry;
pub(super) mod scope_sums;
pub(super) mod succession;
