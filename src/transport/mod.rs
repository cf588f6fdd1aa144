//! Transport between nodes: frames, messages and the session of a connection (all pure), and the sockets that carry
//! them (`tcp`). It never knows what an operation means, or which value wins.

pub mod error;
pub mod session;
pub mod tcp;
pub mod wire;

#[cfg(test)]
mod tests;
