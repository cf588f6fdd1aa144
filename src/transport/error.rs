//! Failures of the transport, in words for people. None of them affects local data.

use std::io;

use crate::core::error_kind::ErrorKind;
use thiserror::Error;

/// Failure of a call of the transport. The system's own error is the `source`.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The transport is switched off in the options.
    #[error("transport is disabled: set enableTransport to true before the client is opened")]
    Disabled,
    /// The transport was stopped meanwhile.
    #[error("transport is stopped")]
    Stopped,
    /// Another process or node listens at the address.
    #[error("failed to start transport: port already in use ({address})")]
    AddressInUse {
        /// Host and port to listen at.
        address: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Listening failed for another reason, given in `reason`.
    #[error("failed to start transport: {reason} ({address})")]
    Listen {
        /// The reason in a few words.
        reason: String,
        /// Host and port to listen at.
        address: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Nothing listens at the address.
    #[error("connection refused ({address})")]
    ConnectionRefused {
        /// Host and port that were called.
        address: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// No answer came in time.
    #[error("connection timed out ({address})")]
    TimedOut {
        /// Host and port that were called.
        address: String,
    },
    /// Calling failed for another reason, given in `reason`.
    #[error("connection failed: {reason} ({address})")]
    Connect {
        /// The reason in a few words.
        reason: String,
        /// Host and port that were called.
        address: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The name of a host has no address.
    #[error("unknown host: {host}")]
    UnknownHost {
        /// The name of the host.
        host: String,
        /// The system's error, if there is one.
        #[source]
        source: Option<io::Error>,
    },
    /// The host is not this machine, and nothing protects the connection.
    #[error(
        "host {host} is not this machine, and connections are not encrypted in this version: set allowInsecure to \
         true if all that can reach it may read and write everything, or go through a tunnel"
    )]
    InsecureHost {
        /// The host that was given.
        host: String,
    },
    /// The text is not an address.
    #[error("invalid address \"{text}\": {reason}")]
    InvalidAddress {
        /// The text that was given.
        text: String,
        /// The fault in the text.
        reason: &'static str,
    },
}

impl TransportError {
    /// The address or the host of the error; `None` if it has none.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Disabled | Self::Stopped => None,
            Self::AddressInUse { address, .. }
            | Self::Listen { address, .. }
            | Self::ConnectionRefused { address, .. }
            | Self::TimedOut { address }
            | Self::Connect { address, .. } => Some(address),
            Self::UnknownHost { host, .. } | Self::InsecureHost { host } => Some(host),
            Self::InvalidAddress { text, .. } => Some(text),
        }
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disabled => ErrorKind::TransportDisabled,
            Self::Stopped => ErrorKind::Stopped,
            Self::AddressInUse { .. } => ErrorKind::AddressInUse,
            Self::Listen { .. } => ErrorKind::ListenFailed,
            Self::ConnectionRefused { .. } => ErrorKind::ConnectionRefused,
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            Self::Connect { .. } => ErrorKind::ConnectFailed,
            Self::UnknownHost { .. } => ErrorKind::UnknownHost,
            Self::InsecureHost { .. } => ErrorKind::InsecureHost,
            Self::InvalidAddress { .. } => ErrorKind::InvalidAddress,
        }
    }

    /// True if the same call may succeed later without a change of options.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::AddressInUse { .. }
            | Self::Listen { .. }
            | Self::ConnectionRefused { .. }
            | Self::TimedOut { .. }
            | Self::Connect { .. }
            | Self::UnknownHost { .. } => true,
            Self::Disabled
            | Self::Stopped
            | Self::InsecureHost { .. }
            | Self::InvalidAddress { .. } => false,
        }
    }

    /// The error of listening at `address`, in the documented words.
    pub fn of_listen(address: String, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::AddrInUse {
            return Self::AddressInUse { address, source };
        }
        Self::Listen {
            reason: reason_of(&source),
            address,
            source,
        }
    }

    /// The error of calling `address`, in the documented words.
    pub fn of_connect(address: String, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::ConnectionRefused => Self::ConnectionRefused { address, source },
            io::ErrorKind::TimedOut => Self::TimedOut { address },
            _ => Self::Connect {
                reason: reason_of(&source),
                address,
                source,
            },
        }
    }
}

/// A short text for common errors of systems; the system's own text for others.
fn reason_of(error: &io::Error) -> String {
    let known = match error.kind() {
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::AddrNotAvailable => "address not available",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::NetworkDown => "network down",
        io::ErrorKind::ConnectionReset => "connection reset",
        _ => return error.to_string(),
    };
    known.to_owned()
}
