//! How nodes talk: frames, messages and the session of a connection (all pure), and the sockets that carry
//! them (`tcp`). Never what an operation means, never which value wins.

pub mod address;
pub mod assembly;
pub mod backoff;
pub mod close;
pub mod codec;
pub mod codec_entry;
pub mod codec_have;
pub mod codec_hello;
mod codec_nack;
mod codec_ranges;
mod dictionary;
pub mod error;
mod fields;
pub mod frame;
pub mod half_open;
pub mod liveness;
pub mod message;
pub mod pace;
pub mod session;
pub mod tcp;
pub mod ties;
pub mod unfinished;
pub mod work;

#[cfg(test)]
mod tests;
