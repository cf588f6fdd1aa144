//! How nodes talk: frames, messages and the session of a connection (all pure), and the sockets that carry
//! them (`tcp`). Never what an operation means, never which value wins.

pub mod error;
pub mod session;
pub mod tcp;
pub mod wire;

#[cfg(test)]
mod tests;
