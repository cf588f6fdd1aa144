//! The description of a node, and the part of it that is sent to peers.

use crate::core::byte_enum::byte_enum;
use crate::core::bytes::{ByteReader, ByteWriter, DecodeError};
use crate::core::clock::WallMs;
use crate::core::limits::LABEL_BYTES_MAX;

byte_enum! {
    /// Capabilities of a node, in the order in which they are listed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Capability {
        /// The node has the primitives that every layer shares.
        Core = 0,
        /// The node observes directories.
        Fs = 1,
        /// The node keeps a log.
        Wal = 2,
        /// The node has a store.
        Store = 3,
        /// The node replicates.
        Sync = 4,
        /// The node makes and accepts connections.
        Transport = 5,
        /// The node finds peers.
        Discovery = 6,
        /// The node has this description.
        Metadata = 7,
    }
}

impl Capability {
    /// The name of the capability.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Fs => "fs",
            Self::Wal => "wal",
            Self::Store => "store",
            Self::Sync => "sync",
            Self::Transport => "transport",
            Self::Discovery => "discovery",
            Self::Metadata => "metadata",
        }
    }
}

/// The description of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The label of the node.
    pub node_id: String,
    /// The name of the node for people.
    pub display_name: String,
    /// The name of the machine.
    pub hostname: String,
    /// The operating system of the machine.
    pub os_name: &'static str,
    /// The version of the application.
    pub version: String,
    /// When the node was opened.
    pub started_at: WallMs,
    /// Time since it was opened, in milliseconds.
    pub uptime_ms: u64,
    /// Capabilities of the node.
    pub capabilities: Vec<Capability>,
}

impl NodeInfo {
    /// The part for peers, as bytes: display name, version, and capabilities as one byte each.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.put_prefixed(self.display_name.as_bytes());
        bytes.put_prefixed(self.version.as_bytes());
        bytes.put_length(self.capabilities.len());
        bytes.extend(self.capabilities.iter().map(|capability| *capability as u8));
        bytes
    }
}

/// The display name, version and capabilities that a peer has sent. Capabilities of a newer version are left out.
pub fn decode_label(bytes: &[u8]) -> Result<(String, String, Vec<Capability>), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let display_name = reader.text(LABEL_BYTES_MAX, "display name")?.to_owned();
    let version = reader.text(LABEL_BYTES_MAX, "version")?.to_owned();
    let capabilities = reader.prefixed(LABEL_BYTES_MAX, "capabilities")?;
    let capabilities = capabilities
        .iter()
        .filter_map(|byte| Capability::from_byte(*byte))
        .collect();
    Ok((display_name, version, capabilities))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_peers_are_told_reads_back(display_name in "\\PC{0,40}", version in "\\PC{0,20}") {
            let info = NodeInfo {
                node_id: "n".into(),
                display_name: display_name.clone(),
                hostname: "h".into(),
                os_name: "linux",
                version: version.clone(),
                started_at: WallMs(0),
                uptime_ms: 0,
                capabilities: vec![Capability::Core, Capability::Store],
            };
            let read = decode_label(&info.encode());
            prop_assert_eq!(read, Ok((display_name, version, info.capabilities)));
        }

        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            let _ = decode_label(&bytes);
        }
    }
}
