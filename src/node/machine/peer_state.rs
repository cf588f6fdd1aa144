//! States of a peer, as users see them.

/// State of the connection to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerState {
    /// The peer was not heard of since the node was opened.
    Unknown,
    /// The peer is known by address, or was connected before, and is not connected now.
    Available,
    /// The peer has greeted, and its connection has not ended.
    Connected,
    /// The last connection or call failed in a way that calling again does not mend by itself.
    Faulted,
}

impl PeerState {
    /// The state's name at the surface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Available => "available",
            Self::Connected => "connected",
            Self::Faulted => "faulted",
        }
    }
}
