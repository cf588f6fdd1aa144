//! Reasons why a connection ended.

use std::io;
use thiserror::Error;

use super::chunks::AssemblyError;
use crate::core::bytes::DecodeError;
use crate::core::error_kind::ErrorKind;
use crate::transport::wire::frame::FrameError;

/// Why a connection ended, in words for a log. None of the reasons affects local data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CloseReason {
    /// This side asked for the end.
    #[error("closed here")]
    Requested,
    /// The peer closed its side.
    #[error("closed by the peer")]
    PeerClosed,
    /// The owner of the connection did not accept a message.
    #[error("a message was not accepted")]
    NotAccepted,
    /// The peer sent no HELLO in time.
    #[error("the peer did not greet in time")]
    HelloTimeout,
    /// A frame came too slowly.
    #[error("a frame came too slowly")]
    Trickled,
    /// The peer read nothing for too long.
    #[error("the peer reads nothing")]
    Stalled,
    /// More bytes wait to be sent than may wait.
    #[error("too much waits for a peer that reads slowly")]
    QueueFull,
    /// The stream does not consist of frames.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A frame is not a message.
    #[error("a message of kind {kind} cannot be read: {error}")]
    Message {
        /// The kind that the frame names.
        kind: u8,
        /// The fault in the message.
        error: DecodeError,
    },
    /// The chunks of a large value do not fit together.
    #[error("{0}")]
    Assembly(#[from] AssemblyError),
    /// The system lost the connection.
    #[error("{0}")]
    Lost(io::ErrorKind),
}

impl CloseReason {
    /// The kind of error that a caller gets who waited for the connection.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::HelloTimeout => ErrorKind::TimedOut,
            reason if reason.is_violation() => ErrorKind::Protocol,
            _ => ErrorKind::ConnectionLost,
        }
    }

    /// True if the peer broke a rule and should be told so.
    pub fn is_violation(self) -> bool {
        match self {
            Self::Frame(_) | Self::Message { .. } => true,
            Self::Assembly(error) => error != AssemblyError::Interrupted,
            _ => false,
        }
    }
}
