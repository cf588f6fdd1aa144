//! The write-ahead log: the durable history of a node, as numbered frames with opaque bodies. It knows
//! nothing of keys, of entries or of peers.
//!
//! Beside it, [`checkpoint`]: all rows of a state in one file, sorted, as opaque as frames.
//!
//! What a frame and the file look like is in [`mod@format`] and drawn in `docs/format.md`. What the end of a log
//! means after a crash is a pure verdict in [`recovery`]; only [`log`] changes the file. The disk is a handful
//! of methods, [`storage`], with a real one in [`storage_file`] and one that forgets, tears and fails on
//! command in [`storage_memory`].

pub mod error;
pub mod files;
pub mod format;
pub mod frame_buffer;
pub mod log;
pub mod recover;

#[cfg(test)]
mod tests;
