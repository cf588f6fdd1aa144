//! Requests that wait for the committer, and the choice of those in its next group. Local requests are kept apart from
//! those of peers, and the peers from each other, so that no peer's bytes delay a local write and no peer delays
//! another (weighted fair queueing with two classes). Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::core::clock::MonotonicMs;
use crate::core::identity::Origin;
use crate::core::limits::GROUP_BYTES_TARGET;
use crate::store::commit::operation::{Request, group_length};

/// Most received bytes that share a group with local requests, or precede one: one and a half batches of a peer. That
/// much is planned, written and installed in about the time of a fast disk's sync.
pub(crate) const RECEIVED_BESIDE_LOCAL_BYTES: usize = 192 << 10;

/// Time after a local write for which another one is expected, in milliseconds: until then peers get small groups, and
/// afterwards whole ones, several of which may be synced in the time of many small ones.
const LOCAL_EXPECTED_MS: u64 = 250;

/// Most received bytes that wait, if memory allows, before the sockets of their senders are not read any more: the
/// credit of four peers. Enough to keep the committer busy, and a bound however many peers send at once.
pub(crate) const RECEIVED_WAITING_BYTES_MAX: usize = 16 << 20;

/// The waiting requests.
#[derive(Debug)]
pub(crate) struct Backlog {
    local: VecDeque<Request>,
    local_bytes: usize,
    /// Requests of each peer, in the order of their arrival.
    received: BTreeMap<Origin, VecDeque<Request>>,
    /// The peers with waiting requests, in the order of their turns.
    turns: VecDeque<Origin>,
    received_bytes: usize,
    /// Received bytes beyond which peers must stop sending.
    received_bytes_max: usize,
    /// True if the last group had no room for peers' requests: the next group is theirs.
    owes_peers: bool,
    /// Time of the last group with a local write.
    local_at: Option<MonotonicMs>,
    /// True if a local write was committed inline since the last group.
    is_fresh: bool,
}

fn peer_of(request: &Request) -> Option<Origin> {
    match request {
        Request::Received(received) => Some(received.peer),
        // Ordered after the entries that came from that peer before, and before the request that makes it durable.
        Request::Peer { peer, .. } => Some(*peer),
        _ => None,
    }
}

/// True if a request is a write of a program of this node, after which more may follow.
fn is_write(request: &Request) -> bool {
    matches!(
        request,
        Request::Write { .. } | Request::Batch { .. } | Request::Resolve(_)
    )
}

impl Backlog {
    /// An empty backlog, with a limit of received bytes.
    pub(crate) fn new(received_bytes_max: usize) -> Self {
        Self {
            local: VecDeque::new(),
            local_bytes: 0,
            received: BTreeMap::new(),
            turns: VecDeque::new(),
            received_bytes: 0,
            received_bytes_max,
            owes_peers: false,
            local_at: None,
            is_fresh: false,
        }
    }

    /// Adds a request after the others of its class.
    pub(crate) fn push(&mut self, request: Request) {
        let bytes = request.bytes();
        let Some(peer) = peer_of(&request) else {
            self.local_bytes += bytes;
            self.local.push_back(request);
            return;
        };
        self.received_bytes += bytes;
        let waiting = self.received.entry(peer).or_default();
        if waiting.is_empty() {
            self.turns.push_back(peer);
        }
        waiting.push_back(request);
    }

    /// True if no request waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.local.is_empty() && self.turns.is_empty()
    }

    /// Bytes of the waiting local requests.
    pub(crate) fn local_bytes(&self) -> usize {
        self.local_bytes
    }

    /// Number of waiting local requests.
    pub(crate) fn local_len(&self) -> usize {
        self.local.len()
    }

    /// True if a peer must stop sending for now: too many bytes wait already, and some of them are its own. So the
    /// waiting bytes are bounded by the limit and one message for each peer.
    pub(crate) fn is_crowded_by(&self, peer: Origin) -> bool {
        self.received_bytes > self.received_bytes_max && self.received.contains_key(&peer)
    }

    /// Takes the only waiting request, if it is a local one for which `is_wanted` returns true.
    pub(crate) fn take_lone(&mut self, is_wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        let is_lone = self.local.len() == 1 && self.turns.is_empty();
        if !is_lone || !self.local.front().is_some_and(is_wanted) {
            return None;
        }
        self.is_fresh = true;
        let request = self.local.pop_front()?;
        self.local_bytes = self.local_bytes.saturating_sub(request.bytes());
        Some(request)
    }

    /// Takes the requests of the next group: at least one if any waits. Local ones come first, in their order; peers
    /// share the rest, by turns. If there is no room for any of the peers' requests, the group after is theirs, with at
    /// least one request.
    pub(crate) fn take_group(&mut self, now: MonotonicMs) -> Vec<Request> {
        let is_owed = std::mem::take(&mut self.owes_peers) && !self.turns.is_empty();
        let mut group = Vec::new();
        if !is_owed && !self.local.is_empty() {
            group.extend(self.local.drain(..group_length(self.local.iter())));
            self.local_bytes = self.local_bytes.saturating_sub(bytes_of(&group));
        }
        let has_local = !group.is_empty();
        if std::mem::take(&mut self.is_fresh) || group.iter().any(is_write) {
            self.local_at = Some(now);
        }
        let is_expected = self
            .local_at
            .is_some_and(|at| now < at.after(LOCAL_EXPECTED_MS));
        let is_calm = !is_expected && self.local.is_empty();
        let room = if is_calm && !has_local {
            GROUP_BYTES_TARGET
        } else {
            let free = GROUP_BYTES_TARGET.saturating_sub(bytes_of(&group));
            RECEIVED_BESIDE_LOCAL_BYTES.min(free)
        };
        let taken = self.take_received(room, !has_local, &mut group);
        self.owes_peers = !taken && !self.turns.is_empty();
        group
    }

    /// Moves peers' requests into a group, one of each peer by turns, while it has room; at least one if
    /// `some_at_least`. Returns true if any was moved.
    fn take_received(
        &mut self,
        room: usize,
        some_at_least: bool,
        group: &mut Vec<Request>,
    ) -> bool {
        let (mut taken_bytes, mut is_any) = (0, false);
        while let Some(peer) = self.turns.front().copied() {
            let Some(waiting) = self.received.get_mut(&peer) else {
                self.turns.pop_front();
                continue;
            };
            let bytes = waiting.front().map_or(0, Request::bytes);
            let fits = taken_bytes + bytes <= room || (some_at_least && !is_any);
            if !fits {
                break;
            }
            group.extend(waiting.pop_front());
            (taken_bytes, is_any) = (taken_bytes + bytes, true);
            self.turns.pop_front();
            if waiting.is_empty() {
                self.received.remove(&peer);
            } else {
                self.turns.push_back(peer);
            }
        }
        self.received_bytes = self.received_bytes.saturating_sub(taken_bytes);
        is_any
    }
}

fn bytes_of(group: &[Request]) -> usize {
    group.iter().map(Request::bytes).sum()
}
