//! States of a peer, for users.

/// State of the connection to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerState {
    /// The peer has given no sign of life since the node was opened.
    Unknown,
    /// The peer is known by address, or was connected before, and is not connected now.
    Available,
    /// The peer has greeted, and its connection has not ended.
    Connected,
    /// The last connection or call failed in a way that another call alone does not mend.
    Faulted,
}

impl PeerState {
    /// Name of the state for users.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Available => "available",
            Self::Connected => "connected",
            Self::Faulted => "faulted",
        }
    }
}
