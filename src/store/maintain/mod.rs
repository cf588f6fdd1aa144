//! Opening, checkpoints, verification and salvage of a store.

pub mod checkpoint;
pub(super) mod migration;
mod pieces;
pub(super) mod recover_origins;
pub mod recovery;
pub mod replay;
pub mod salvage;
pub mod verify;
