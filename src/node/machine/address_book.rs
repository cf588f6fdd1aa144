//! The peers that are known by address: which of them this node wants to be connected to, and when to call
//! again one that was lost.

use std::collections::BTreeMap;

use crate::core::clock::{MonotonicMs, WallMs};
use crate::node::machine::peer_state::PeerState;
use crate::store::scope::Scope;
use crate::transport::session::backoff::Backoff;

/// How long a peer is left alone that cannot be sent what the disk here does not give, in milliseconds.
pub const UNREADABLE_MS: u64 = 300_000;

/// Names a peer that is known by address, in this process.
pub type TargetId = u32;

/// A peer that is known by address.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its label.
    pub node_id: String,
    /// Where it listens.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    /// `available`, `connected` or `faulted`.
    pub state: PeerState,
    /// When it was last heard of by greeting; `None`: never.
    pub last_seen: Option<WallMs>,
    /// What is sent to it and received from it, when it is called from here.
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
    /// Nobody is known to `node_id` yet.
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

    /// The target of a peer, if it is known.
    pub fn find(&self, node_id: &str, host: &str, port: u16) -> Option<TargetId> {
        let same = |target: &Target| {
            target.node_id == node_id && target.host == host && target.port == port
        };
        self.targets
            .iter()
            .find(|(_, target)| same(target))
            .map(|(id, _)| *id)
    }

    /// What is known of a target.
    pub fn get(&self, target: TargetId) -> Option<&Target> {
        self.targets.get(&target)
    }

    /// A target's label.
    pub fn node_id(&self, target: TargetId) -> Option<&str> {
        self.get(target).map(|target| target.node_id.as_str())
    }

    /// What is exchanged with a node, as its newest address says; `None`: none is known.
    pub fn scope_of(&self, node_id: &str) -> Option<&Scope> {
        let mut newest_first = self.targets.values().rev();
        let named = newest_first.find(|target| target.node_id == node_id)?;
        Some(&named.scope)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        self.targets.iter().map(|(id, target)| (*id, target))
    }

    /// What is exchanged with a target from the next call on.
    pub fn exchange(&mut self, target: TargetId, scope: Scope) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.scope = scope;
        }
    }

    /// A target has greeted.
    pub fn connected(&mut self, target: TargetId, conversation: u64, now: WallMs) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.state = PeerState::Connected;
            target.conversation = Some(conversation);
            target.last_seen = Some(now);
            target.call_at = None;
        }
    }

    /// A conversation with a target is ready: from now on it is called again whenever it is lost.
    pub fn wanted(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.wanted = true;
        }
    }

    /// A conversation with a target came to something: the next call is not put off for what went wrong before.
    pub fn succeeded(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.backoff.reached();
        }
    }

    /// A target is called again though no conversation with it was ready yet: what was in the way is being mended.
    pub fn keep_calling(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.wanted = true;
        }
    }

    /// What a target should be sent cannot be read here: soon it would not be otherwise.
    pub fn hold_off(&mut self, target: TargetId, now: MonotonicMs) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.state = PeerState::Faulted;
            target.call_at = target.call_at.map(|_| now.after(UNREADABLE_MS));
        }
    }

    /// A conversation with a target ended. `come_back` says whether calling again makes sense; `was_ready`,
    /// whether the conversation got so far that it can be called lost.
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

    /// Calling a target failed.
    pub fn unreachable(&mut self, target: TargetId, now: MonotonicMs) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.state = PeerState::Faulted;
            if target.wanted {
                target.call_at = Some(now.after(target.backoff.failed()));
            }
        }
    }

    /// A target is not to be called again by itself.
    pub fn unwanted(&mut self, target: TargetId) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.wanted = false;
            target.call_at = None;
            target.state = PeerState::Available;
        }
    }

    /// No target is to be called again by itself.
    pub fn forget_wishes(&mut self) {
        for target in self.targets.keys().copied().collect::<Vec<_>>() {
            self.unwanted(target);
        }
    }

    /// The targets whose call is due; each is told once.
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

    /// When the next call is due.
    pub fn deadline(&self) -> Option<MonotonicMs> {
        self.targets
            .values()
            .filter_map(|target| target.call_at)
            .min()
    }
}
