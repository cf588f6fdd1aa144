//! Primitives that every layer shares: ids, time, bounded bytes, checksums, and the only places that ask the operating
//! system for the time or for randomness. Never files, never sockets.

pub(crate) mod byte_enum;
pub mod bytes;
pub mod checksum;
pub mod clock;
pub mod entropy;
pub mod error_kind;
pub mod give_back;
pub mod identity;
pub mod limits;
pub(crate) mod rules;
pub mod stamp;
pub mod token_bucket;
