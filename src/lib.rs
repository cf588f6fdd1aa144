//! Softadastra: a local-first key-value store that never waits for the network, loses no accepted write, and converges
//! with its peers when it can reach them.
//!
//! The layers, lowest first; a layer uses only those before it in this list (checked by `tests/tidy.rs`): [`core`],
//! [`disk`], [`wal`], [`table`], [`store`], [`sync`], [`transport`], [`metadata`], [`node`] and, behind the feature
//! `node-api`, the bindings to JavaScript. A Rust program uses [`node`] as its SDK.

pub mod disk;
pub mod table;

pub mod core;
pub mod metadata;
pub mod node;
pub mod store;
pub mod sync;
pub mod transport;
pub mod wal;

// A test binary has no host to export to.
#[cfg(all(feature = "node-api", not(test)))]
mod bindings;
