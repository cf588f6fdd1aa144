//! Checkpoints: the whole state in one immutable file, sorted by key, and read in place.
//!
//! A row is a key, a number in one of two feeds (or in none), what it adds to a sum, and a body; nothing here
//! knows what any of them mean. The file answers where a key is, what follows it, what comes behind a number in
//! a feed, and what a range of keys sums up to, each by reading a few blocks. Every block carries a checksum
//! that is verified whenever it comes from the disk; what was verified is kept in a cache of bounded size. The
//! bytes are drawn in `docs/format.md`.
//!
//! Blocks are read, not mapped: a file that is cut off or cannot be read under a map ends the whole process
//! with a signal, and a read ends in an error.

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
