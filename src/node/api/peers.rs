//! The list of peers for users: those known by address, and those that connected by themselves.

use std::collections::BTreeSet;

use crate::core::clock::WallMs;
use crate::metadata::{Capability, decode_label};
use crate::node::machine::Machine;
use crate::node::machine::peer_state::PeerState;
use crate::store::scope::Scope;

/// A peer, for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Label of the peer.
    pub node_id: String,
    /// Host to which it is called, or from which it called.
    pub host: String,
    /// Port to which it is called, or from which it called.
    pub port: u16,
    /// `connected`, `available` or `faulted`.
    pub state: PeerState,
    /// Time of the last sign of life; `None`: never.
    pub last_seen: Option<WallMs>,
    /// True if both sides were shown to hold equal data, with no change since.
    pub in_sync: bool,
    /// Keys for which it is called; for a peer that connected by itself: all. The peer's own scope may narrow them
    /// further.
    pub scope: Scope,
    /// Capabilities that it declares; empty while it is not connected.
    pub capabilities: Vec<Capability>,
}

/// All peers, those known by address first.
pub(in crate::node) fn list(machine: &Machine, now: WallMs) -> Vec<PeerView> {
    let mut peers = Vec::new();
    let mut shown = BTreeSet::new();
    for (id, target) in machine.directory.iter() {
        let acquaintance = machine
            .acquaintances()
            .find(|(_, with, ..)| *with == Some(id));
        if let Some((conversation, ..)) = acquaintance {
            shown.insert(conversation);
        }
        peers.push(PeerView {
            node_id: target.node_id.clone(),
            host: target.host.clone(),
            port: target.port,
            state: if acquaintance.is_some() {
                PeerState::Connected
            } else {
                target.state
            },
            in_sync: acquaintance.is_some_and(|(id, ..)| machine.replica.is_in_sync(id)),
            last_seen: acquaintance.map(|_| now).or(target.last_seen),
            scope: target.scope.clone(),
            capabilities: acquaintance
                .map(|(.., info)| capabilities(info))
                .unwrap_or_default(),
        });
    }
    for (conversation, _, node_id, (host, port), info) in machine.acquaintances() {
        if !shown.contains(&conversation) {
            peers.push(PeerView {
                node_id: node_id.to_owned(),
                host: host.clone(),
                port: *port,
                state: PeerState::Connected,
                in_sync: machine.replica.is_in_sync(conversation),
                last_seen: Some(now),
                scope: Scope::ALL,
                capabilities: capabilities(info),
            });
        }
    }
    peers
}

fn capabilities(info: &[u8]) -> Vec<Capability> {
    decode_label(info)
        .map(|(_, _, capabilities)| capabilities)
        .unwrap_or_default()
}
