//! The write-ahead log: the durable history of a node, as numbered frames with opaque bodies. It knows nothing of
//! keys, of entries or of peers.
//!
//! Frames and files are laid out in [`mod@format`] and drawn in `docs/format.md`. The meaning of a log's end after a
//! crash is a pure verdict in [`recover::recovery`]; only [`log`] and the opening change files. The disk is a handful
//! of methods, [`crate::disk::storage`], with a real one in [`crate::disk::file`] and one that forgets, tears and
//! fails on command in `crate::disk::memory`.

pub mod error;
pub mod files;
pub mod format;
pub mod frame_buffer;
pub mod log;
pub mod recover;

#[cfg(test)]
mod tests;
