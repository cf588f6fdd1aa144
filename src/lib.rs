//! A local-first key-value store: it never waits for the network, loses nothing that it accepted, and converges with its
//! peers when it can.
//!
//! A [`Node`](node::Node) is opened on a log, is written and read, and exchanges what it holds with other nodes over TCP.
//! A write is durable on this machine when [`write`](node::Node::write) returns; it leaves when a peer is there.
//!
//! ```
//! use std::sync::Arc;
//! use softadastra::node::{Failure, Node, Operation, Options, Silent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Failure> {
//! # let folder = tempfile::tempdir().map_err(|error| Failure::internal(error.to_string()))?;
//! # let wal_path = folder.path().join("notes.wal").display().to_string();
//! let node = Node::open(Options::persistent("my-laptop", wal_path), Arc::new(Silent))?;
//! node.write(Operation::put(b"note/1", b"buy milk", true)?).await?;
//! assert_eq!(node.get(b"note/1")?.as_deref(), Some(&b"buy milk"[..]));
//! node.close().await
//! # }
//! ```
//!
//! Layers, lowest first; each uses only those before it (`tests/tidy.rs` checks that): `core` (identifiers, time,
//! checksums), `disk` (files and what survives a crash), `wal` (the write-ahead log), `table` (the immutable sorted table
//! of a checkpoint), `store` (entries and conflicts), `sync` (replication), `transport` (frames and sockets), `metadata`,
//! and [`node`], which joins them. The feature `node-api` adds the bindings to JavaScript.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests make files, threads and connections"
    )
)]

pub(crate) mod core;
pub(crate) mod disk;
pub(crate) mod metadata;
pub mod node;
pub(crate) mod store;
pub(crate) mod sync;
pub(crate) mod table;
pub(crate) mod transport;
pub(crate) mod wal;

// A test binary has no host to export to.
#[cfg(all(feature = "node-api", not(test)))]
mod bindings;

#[cfg(fuzzing)]
pub mod fuzzing;

/// Parts of the engine that the programs of `benches/` measure by themselves. Not an interface: it changes with them.
#[doc(hidden)]
pub mod measured {
    pub use crate::core::clock::SystemClock;
    pub use crate::core::identity::{Dot, Origin};
    pub use crate::core::stamp::Stamp;
    pub use crate::store::entry::{Entry, EntryFlags, Extra, Summary};
}
