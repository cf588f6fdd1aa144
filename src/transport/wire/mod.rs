//! Messages as bytes: frames, fields and one codec for each message.

pub mod codec;
pub(super) mod dictionary;
pub mod encode;
pub mod entry;
pub(super) mod fields;
pub mod frame;
pub mod have;
pub mod hello;
pub mod message;
pub(super) mod nack;
pub(super) mod ranges;
