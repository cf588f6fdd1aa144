//! The write-ahead log: the durable history of a node, as numbered frames with opaque bodies. It knows
//! nothing of keys, of entries or of peers.
//!
//! Beside it, [`checkpoint`]: all rows of a state in one file, sorted, as opaque as frames.
//!
//! What a frame and the file look like is in [`mod@format`] and drawn in `docs/format.md`. What the end of a log
//! means after a crash is a pure verdict in [`recovery`]; only [`log`] changes the file. The disk is a handful
//! of methods, [`storage`], with a real one in [`storage_file`] and one that forgets, tears and fails on
//! command in [`storage_memory`].

mod chain;
pub mod checkpoint;
pub mod directory;
pub mod error;
pub mod following;
pub mod format;
pub mod frame_buffer;
pub mod inspect;
pub mod lease;
mod leftovers;
pub mod lock;
pub mod log;
mod lost_header;
mod open;
mod part;
pub mod path;
pub mod readable;
mod reader;
pub mod recovery;
pub mod released;
pub mod removal;
mod repair;
mod rereading;
pub mod scan;
pub mod sealed;
pub mod storage;
pub mod storage_file;
pub mod storage_held;
pub mod storage_memory;
mod storage_through;

#[cfg(test)]
mod tests;
