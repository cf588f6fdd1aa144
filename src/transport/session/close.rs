//! Why a connection ended.

use std::io;
use thiserror::Error;

use super::chunks::AssemblyError;
use crate::core::bytes::DecodeError;
use crate::transport::wire::frame::FrameError;

/// Why a connection ended, in words for a log. None of it touches local data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// This side asked for it.
    #[error("closed here")]
    Requested,
    /// The peer closed its side.
    #[error("closed by the peer")]
    PeerClosed,
    /// A message was not accepted by whoever received it here.
    #[error("a message was not accepted")]
    NotAccepted,
    /// The peer did not say who it is in time.
    #[error("the peer did not greet in time")]
    HelloTimeout,
    /// A frame came too slowly.
    #[error("a frame came too slowly")]
    Trickled,
    /// The peer took nothing for too long.
    #[error("the peer reads nothing")]
    Stalled,
    /// More waits to be sent than may wait.
    #[error("too much waits for a peer that reads slowly")]
    QueueFull,
    /// The stream is not one of frames.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A frame is not a message.
    #[error("a message of kind {kind} cannot be read: {error}")]
    Message {
        /// The kind that the frame names.
        kind: u8,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The chunks of a large value do not fit together.
    #[error("{0}")]
    Assembly(#[from] AssemblyError),
    /// The system lost the connection.
    #[error("connection lost: {0}")]
    Lost(io::ErrorKind),
}

impl CloseReason {
    /// Whether the peer broke a rule, so that it deserves to be told.
    pub fn is_violation(self) -> bool {
        match self {
            Self::Frame(_) | Self::Message { .. } => true,
            Self::Assembly(error) => error != AssemblyError::Interrupted,
            _ => false,
        }
    }
}
