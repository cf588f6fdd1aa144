//! Peers that are known by address: the wish to be connected to each, and the time of the next call to a lost one.

use std::collections::BTreeMap;

use crate::core::clock::{MonotonicMs, WallMs};
use crate::node::machine::peer_state::PeerState;
use crate::store::scope::Scope;
use crate::transport::session::backoff::Backoff;

/// Pause before a peer is called again that could not be sent rows because this node's disk could not read them, in
/// milliseconds.
pub const UNREADABLE_MS: u64 = 300_000;

/// Number of a peer that is known by address, within this process.
pub type TargetId = u32;

/// A peer that is known by address.
#[derive(Debug, Clone)]
pub struct Target {
    /// Label of the peer.
    pub node_id: String,
    /// Host on which it listens.
    pub host: String,
    /// Port on which it listens.
    pub port: u16,
    /// `available`, `connected` or `faulted`.
    pub state: PeerState,
    /// Time of its last HELLO; `None`: never.
    pub last_seen: Option<WallMs>,
    /// Scope of connections to it that are made from here.
    pub scope: Scope,
    conversation: Option<u64>,
    wanted: bool,
    call_at: Option<MonotonicMs>,
    backoff: Backoff,
}

/// All peers that are known by address.
#[derive(Debug)]
pub struct Directory {
    node_id: String,
    last: TargetId,
    targets: BTreeMap<TargetId, Target>,
}

impl Directory {
    /// An empty directory of the node `node_id`.
    pub fn new(node_id: &str) -> Self {
        Self {
            node_id: node_id.to_owned(),
            last: 0,
            targets: BTreeMap::new(),
        }
    }

    /// The target of a peer, made if it is not known.
    pub fn target(&mut self, node_id: &str, host: &str, port: u16) -> TargetId {
        if let Some(known) = self.find(node_id, host, port) {
            return known;
        }
        self.last += 1;
        let target = Target {
            node_id: node_id.to_owned(),
            host: host.to_owned(),
            port,
            state: PeerState::Available,
            last_seen: None,
            scope: Scope::ALL,
            conversation: None,
            wanted: false,
            call_at: None,
            backoff: Backoff::new(&self.node_id, node_id),
        };
        self.targets.insert(self.last, target);
        self.last
    }

    /// The target of a peer; `None` if it is not known.
    pub fn find(&self, node_id: &str, host: &str, port: u16) -> Option<TargetId> {
        let same = |target: &Target| {
            target.node_id == node_id && target.host == host && target.port == port
        };
        self.targets
            .iter()
            .find(|(_, target)| same(target))
            .map(|(id, _)| *id)
    }

    /// The entry of a target.
    pub fn get(&self, target: TargetId) -> Option<&Target> {
        self.targets.get(&target)
    }

    /// Label of a target.
    pub fn node_id(&self, target: TargetId) -> Option<&str> {
        self.get(target).map(|target| target.node_id.as_str())
    }

    /// Scope of connections with a node, by its newest address; `None`: no address of it is known.
    pub fn scope_of(&self, node_id: &str) -> Option<&Scope> {
        let mut newest_first = self.targets.values().rev();
        let named = newest_first.find(|target| target.node_id == node_id)?;
        Some(&named.scope)
    }

    /// All targets, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        self.targets.iter().map(|(id, target)| (*id, target))
    }

    /// Sets the scope of connections to a target from the next call on.
    pub fn exchange(&mut self, target: TargetId, scope: Scope) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.scope = scope;
        }
    }

    /// Notes that a target has greeted.
    pub fn connected(&mut self, target: TargetId, conversation: u64, now: WallMs) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.state = PeerState::Connected;
            target.conversation = Some(conversation);
            target.last_seen = Some(now);
            target.call_at = None;
        }
    }

    /// Notes that a conversation with a target is ready: from now on it is called again whenever it is lost. When that
    /// happens first, older addresses at which the node was reached, and is not now, are forgotten: it has moved, and
    /// another program may listen there.
    pub fn wanted(&mut self, target: TargetId) {
        let Some(reached) = self.targets.get_mut(&target) else {
            return;
        };
        if std::mem::replace(&mut reached.wanted, true) {
            return;
        }
        let node_id = reached.node_id.clone();
        let is_left = |other: &Target| {
            other.node_id == node_id && other.wanted && other.conversation.is_none()
        };
        self.targets
            .retain(|id, other| *id == target || !is_left(other));
    }

    /// Notes that a conversation with a target was useful: the delay of the next call begins small again.
    pub fn succeeded(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.backoff.reached();
        }
    }

    /// Keeps calling a target though no conversation with it was ready yet, because the obstacle is being removed.
    pub fn keep_calling(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.wanted = true;
        }
    }

    /// Postpones the calls to a target by [`UNREADABLE_MS`], because its rows cannot be read here, and an early retry
    /// would not help.
    pub fn hold_off(&mut self, target: TargetId, now: MonotonicMs) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.state = PeerState::Faulted;
            target.call_at = target.call_at.map(|_| now.after(UNREADABLE_MS));
        }
    }

    /// Notes that a conversation with a target has ended. `come_back`: a new call makes sense; `was_ready`: the
    /// conversation got so far that it counts as lost.
    pub fn lost(
        &mut self,
        target: TargetId,
        conversation: u64,
        was_ready: bool,
        come_back: bool,
        now: MonotonicMs,
    ) {
        let Some(target) = self.targets.get_mut(&target) else {
            return;
        };
        if target
            .conversation
            .is_some_and(|current| current != conversation)
        {
            return;
        }
        target.conversation = None;
        target.state = if was_ready && come_back {
            PeerState::Available
        } else {
            PeerState::Faulted
        };
        target.wanted = target.wanted && come_back;
        if target.wanted {
            target.call_at = Some(now.after(target.backoff.failed()));
        }
    }

    /// Notes that a call to a target has failed.
    pub fn unreachable(&mut self, target: TargetId, now: MonotonicMs) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.state = PeerState::Faulted;
            if target.wanted {
                target.call_at = Some(now.after(target.backoff.failed()));
            }
        }
    }

    /// Stops calling a target again.
    pub fn unwanted(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.wanted = false;
            target.call_at = None;
            target.state = PeerState::Available;
        }
    }

    /// Stops calling any target again.
    pub fn forget_wishes(&mut self) {
        for target in self.targets.keys().copied().collect::<Vec<_>>() {
            self.unwanted(target);
        }
    }

    /// The targets whose call is due; each is returned once.
    pub fn due(&mut self, now: MonotonicMs) -> Vec<TargetId> {
        let mut due = Vec::new();
        for (id, target) in &mut self.targets {
            if target.call_at.is_some_and(|at| at <= now) {
                target.call_at = None;
                due.push(*id);
            }
        }
        due
    }

    /// Time of the next due call.
    pub fn deadline(&self) -> Option<MonotonicMs> {
        self.targets
            .values()
            .filter_map(|target| target.call_at)
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: MonotonicMs = MonotonicMs(1);

    /// A book of a laptop that reached "phone" at each of these ports in turn and lost it again.
    fn reached_at(ports: &[u16]) -> (Directory, Vec<TargetId>) {
        let mut book = Directory::new("laptop");
        let targets = ports.iter().map(|port| {
            let target = book.target("phone", "192.0.2.1", *port);
            book.connected(target, u64::from(*port), WallMs(1));
            book.wanted(target);
            target
        });
        let targets = targets.collect();
        (book, targets)
    }

    #[test]
    fn a_node_that_moved_is_called_at_its_new_address_only() {
        let (mut book, targets) = reached_at(&[1]);
        let desk = book.target("desk", "192.0.2.1", 9);
        book.connected(desk, 90, WallMs(1));
        book.wanted(desk);
        for (target, conversation) in [(targets[0], 1), (desk, 90)] {
            book.lost(target, conversation, true, true, NOW);
        }
        // A call that was not answered yet changes nothing.
        let new = book.target("phone", "192.0.2.1", 2);
        book.connected(new, 2, WallMs(1));
        assert_eq!(book.iter().count(), 3);
        book.wanted(new);
        assert!(book.get(targets[0]).is_none());
        let later = NOW.after(1 << 40);
        assert_eq!(book.due(later), [desk], "other nodes are called as before");
        // After a lost connection, the newest address is the one that is called.
        book.lost(new, 2, true, true, NOW);
        assert_eq!(book.due(later), [new]);
    }

    #[test]
    fn two_addresses_that_are_reached_at_a_time_are_both_kept() {
        let (mut book, targets) = reached_at(&[1, 2]);
        assert_eq!(book.iter().count(), 2);
        // One of them that is lost and reached again has not moved.
        for lost in [1, 2] {
            book.lost(targets[lost - 1], lost as u64, true, true, NOW);
        }
        book.connected(targets[1], 3, WallMs(1));
        book.wanted(targets[1]);
        assert_eq!(book.due(NOW.after(1 << 40)), [targets[0]]);
    }

    #[test]
    fn an_address_that_is_only_just_called_is_kept() {
        let mut book = Directory::new("laptop");
        let both = [1, 2].map(|port| book.target("phone", "192.0.2.1", port));
        book.connected(both[0], 1, WallMs(1));
        book.wanted(both[0]);
        assert!(book.get(both[1]).is_some(), "its caller waits");
    }
}
