//! Checkpoints: the whole state in one immutable sorted table (SSTable), read in place.
//!
//! A row is a key, a local sequence in one of two streams (or in none), a share of a sum, and a body, all opaque here.
//! The file finds a key, the rows after it, the rows after a local sequence of a stream, and the sum of a range of
//! keys, each with a few block reads. Every block carries a checksum that is verified whenever the block comes from the
//! disk; verified blocks are kept in a cache of bounded size. The bytes are drawn in `docs/format.md`.
//!
//! Blocks are read, not mapped: a mapped file that is cut off or cannot be read ends the whole process with a signal,
//! and a read ends in an error.

mod block;
mod cache;
mod error;
mod footer;
mod format;
mod header;
mod read;
mod readable;
mod row;
mod verify;
mod write;

pub use block::gone_rows::{BlockOf, GoneRows};
pub use error::CheckpointError;
pub use format::WORK_BYTES_MAX;
pub use read::feed::FeedCursor;
pub use read::open::Checkpoint;
pub use read::range::RangeCursor;
pub use row::{Row, RowRef};
pub use verify::Verified;
pub use write::writer::CheckpointWriter;

#[cfg(test)]
mod tests;
