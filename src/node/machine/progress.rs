//! State and progress of each peer, for users.

use std::collections::BTreeMap;

use super::Machine;
use super::conversation::{Conversation, ConversationId};
use super::peer_state::PeerState;
use crate::core::clock::{Now, WallMs};
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::sync::peer::progress::{Lag, PeerStatus, lag_behind};
use crate::sync::peer::registry::PEERS_MAX;

/// Last state of a disconnected peer.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct LastMet {
    state: PeerState,
    seen: Option<WallMs>,
    skew_ms: Option<i64>,
}

/// Progress of one peer, for users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRow {
    /// Label of the peer.
    pub node_id: String,
    /// Present state of the peer; `unknown` if it has given no sign of life since the node was opened.
    pub state: PeerState,
    /// Positions of the peer; `None` if it was never met.
    pub status: Option<PeerStatus>,
    /// Rows and bytes that the peer lacks.
    pub lag: Lag,
    /// Time of the last sign of life; `None`: none since the node was opened.
    pub last_seen: Option<WallMs>,
    /// Milliseconds by which its clock is ahead of this node's, as last measured; negative: behind.
    pub skew_ms: Option<i64>,
}

impl Conversation {
    /// Time of the peer's last sign of life.
    fn heard(&self, now: Now) -> Option<WallMs> {
        let heard = self.session.heard()?;
        let ago_ms = now.monotonic.since(heard);
        Some(WallMs(now.wall.0.saturating_sub(ago_ms)))
    }

    /// Milliseconds by which the peer's clock is ahead; `None`: not measured.
    pub(in crate::node) fn skew_ms(&self) -> Option<i64> {
        self.session.clock_sample().map(|sample| sample.ahead_ms)
    }
}

impl Machine {
    /// Remembers the state of a peer whose conversation ends.
    pub(in crate::node) fn remember(
        &mut self,
        conversation: &Conversation,
        state: PeerState,
        now: Now,
    ) {
        let peer = conversation.peer.as_ref();
        if let Some(peer) = peer.filter(|peer| self.replica.is_known(peer.origin)) {
            let before = self.last_met.get(&peer.origin);
            let met = LastMet {
                state,
                seen: conversation.heard(now),
                skew_ms: conversation
                    .skew_ms()
                    .or(before.and_then(|before| before.skew_ms)),
            };
            self.last_met.insert(peer.origin, met);
            if self.last_met.len() > PEERS_MAX {
                let replica = &self.replica;
                self.last_met.retain(|origin, _| replica.is_known(*origin));
            }
        }
    }

    /// Progress of each peer; those that were ever met come first.
    pub(in crate::node) fn progress(
        &self,
        now: Now,
        map: &EntryMap,
    ) -> Result<Vec<PeerRow>, StoreError> {
        let with: BTreeMap<Origin, ConversationId> = self
            .conversations
            .iter()
            .filter_map(|(id, conversation)| Some((conversation.peer.as_ref()?.origin, *id)))
            .collect();
        let mut rows = Vec::new();
        for status in self.replica.peer_status(map)? {
            let conversation = with
                .get(&status.origin)
                .and_then(|id| self.conversations.get(id));
            let last = self.last_met.get(&status.origin);
            let by_address = self
                .directory
                .iter()
                .find(|(_, target)| target.node_id == status.node_id)
                .map(|(_, target)| target.state);
            let state = match (conversation, by_address, last) {
                (Some(_), ..) => PeerState::Connected,
                // Another peer has that label and that address.
                (None, Some(PeerState::Connected), _) => PeerState::Available,
                (None, Some(state), _) => state,
                (None, None, Some(last)) => last.state,
                (None, None, None) => PeerState::Unknown,
            };
            rows.push(PeerRow {
                node_id: status.node_id.clone(),
                state,
                lag: status.lag,
                last_seen: conversation
                    .and_then(|conversation| conversation.heard(now))
                    .or(last.and_then(|last| last.seen)),
                skew_ms: conversation
                    .and_then(Conversation::skew_ms)
                    .or(last.and_then(|last| last.skew_ms))
                    .filter(|_| !is_broken(Rule::SkewNotShown)),
                status: Some(status),
            });
        }
        for (_, target) in self.directory.iter() {
            if !rows.iter().any(|row| row.node_id == target.node_id) {
                rows.push(PeerRow {
                    node_id: target.node_id.clone(),
                    state: target.state,
                    status: None,
                    lag: lag_behind(0, map)?,
                    last_seen: target.last_seen,
                    skew_ms: None,
                });
            }
        }
        Ok(rows)
    }
}
