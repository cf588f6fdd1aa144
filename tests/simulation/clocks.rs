//! Clock skew between nodes: it is measured, shown and reported (`docs/internals/replication.md`, section 3).

use super::world::World;
use crate::node::machine::conversation::PeerEvent;
use crate::node::machine::peer_state::PeerState;

/// Skew from which on it is reported, in milliseconds.
const TOLD_MS: u64 = 60_000;

/// Time for which the best sample stands, and then the longest time until there is another one, in milliseconds.
const SAMPLES_MS: u64 = 600_000 + 120_000;

/// Greatest error of a clock sample taken while all is well, in milliseconds.
const OFF_MS: i64 = 1_000;

impl World<'_> {
    /// Sets the clock of a node by `ms`.
    pub(super) fn set_clock(&mut self, node: usize, ms: i64) {
        let at = self.at;
        let node = &mut self.nodes[node];
        node.skews.push((at, node.skew_ms));
        node.skew_ms += ms;
    }

    /// Records an event about a peer.
    pub(super) fn see_peer_event(&mut self, node: usize, event: &PeerEvent) {
        let is_far_off = event.skew_ms.is_some_and(|ms| ms.unsigned_abs() >= TOLD_MS);
        let running = self.nodes[node].up_mut();
        if is_far_off && event.state == PeerState::Connected {
            running.skews_told.insert(event.node_id.clone());
        }
    }

    /// Skews of the node's clock since the oldest sample that may still stand.
    fn skews_of(&self, node: usize) -> Vec<i64> {
        let node = &self.nodes[node];
        let since = self.at.saturating_sub(SAMPLES_MS);
        let mut skews = vec![node.skew_ms];
        // Earlier skews that lasted into that time.
        let before = node.skews.iter().filter(|(until, _)| *until >= since);
        skews.extend(before.map(|(_, skew_ms)| *skew_ms));
        skews
    }

    /// Checks that every node shows the clock skew of its peers, and has reported the large ones.
    pub(super) fn check_clocks(&self) {
        for (a, b) in &self.edges {
            for (node, other) in [(*a, *b), (*b, *a)] {
                let running = self.nodes[node].up();
                let origin = self.nodes[other].up().machine.replica.origin();
                let rows = running.machine.progress(self.now(node), &running.store.map);
                let rows = rows.unwrap();
                let is_met =
                    |status: &crate::sync::peer::progress::PeerStatus| status.origin == origin;
                let row = rows
                    .iter()
                    .find(|row| row.status.as_ref().is_some_and(is_met));
                let Some(row) = row.filter(|row| row.state == PeerState::Connected) else {
                    continue;
                };
                let theirs = self.skews_of(other);
                let mine = self.skews_of(node);
                let is_true = |shown: i64| {
                    let mut pairs = mine
                        .iter()
                        .flat_map(|mine| theirs.iter().map(move |theirs| theirs - mine));
                    pairs.any(|skew| (shown - skew).abs() <= OFF_MS)
                };
                assert!(
                    row.skew_ms.is_some_and(is_true),
                    "{node} shows that the clock of {other} is {:?} ms ahead, which was off by {theirs:?}, and its own by \
                     {mine:?}",
                    row.skew_ms
                );
                let is_far_off = row.skew_ms.is_some_and(|ms| ms.unsigned_abs() >= TOLD_MS);
                assert!(
                    !is_far_off || running.skews_told.contains(&row.node_id),
                    "{node} does not tell that the clock of {other} is {:?} ms ahead",
                    row.skew_ms
                );
            }
        }
    }
}
