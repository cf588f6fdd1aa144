//! Clocks that are a day off: reported, and harmless.

use super::pipes::{Pipes, name};
use crate::node::machine::peer_state::PeerState;

const DAY_MS: i64 = 86_400_000;

impl Pipes {
    fn value(&self, node: usize, key: &str) -> String {
        let stored = [b"\0", key.as_bytes()].concat();
        let entry = self.members[node].map.entry(&stored).unwrap();
        let entry = entry.expect("it is there").into_owned();
        String::from_utf8(entry.value().expect("it has a value").to_vec()).unwrap()
    }
}

/// One node is a day ahead, one a day behind, and all are connected.
fn a_day_off(seed: u64) -> Pipes {
    let mut net = Pipes::new(seed, &[1, 2, 3]);
    net.members[1].skew_ms = DAY_MS;
    net.members[2].skew_ms = -DAY_MS;
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        net.dial(from, to);
    }
    net.settle();
    net.wait(1_000);
    net
}

#[test]
fn the_skew_is_measured_shown_and_told_once() {
    let mut net = a_day_off(1);
    net.wait(600_000);
    for (node, other, skew_ms) in [(0, 1, DAY_MS), (0, 2, -DAY_MS), (1, 2, -2 * DAY_MS)] {
        let reported: Vec<_> = net.members[node]
            .events
            .iter()
            .filter(|event| event.node_id == name(other))
            .map(|event| (event.state, event.skew_ms))
            .collect();
        assert_eq!(
            reported,
            [
                (PeerState::Connected, None),
                (PeerState::Connected, Some(skew_ms))
            ]
        );
        let member = &net.members[node];
        let rows = member.machine.progress(net.now(node), &member.map).unwrap();
        let row = rows.iter().find(|row| row.node_id == name(other)).unwrap();
        assert_eq!(
            (row.state, row.skew_ms),
            (PeerState::Connected, Some(skew_ms))
        );
        // In the time of this node's own clock.
        let seen = i128::from(row.last_seen.unwrap().0);
        assert!((seen - i128::from(net.now(node).wall.0)).abs() < 60_000);
    }
    // The skew is remembered once the peer is gone.
    let id = net.conversations(0)[0];
    net.cut(0, id);
    let member = &net.members[0];
    let rows = member.machine.progress(net.now(0), &member.map).unwrap();
    let gone = rows
        .iter()
        .find(|row| row.state != PeerState::Connected)
        .unwrap();
    assert_eq!(gone.skew_ms.map(i64::abs), Some(DAY_MS));
}

#[test]
fn a_node_that_is_a_day_off_neither_blocks_nor_poisons_anyone() {
    for seed in 0..20 {
        let mut net = a_day_off(seed);
        // The last writer wins, whatever its clock says, because it has seen the value that it overwrites.
        for (round, writer) in [1, 2, 0, 2, 1, 0].into_iter().enumerate() {
            let value = format!("{round} by {writer}");
            net.put_value(writer, "key", &value);
            net.wait(5_000);
            for node in 0..3 {
                assert_eq!(net.value(node, "key"), value, "seed {seed}");
            }
        }
        // Its own clock is not dragged along: writes to other keys have its own time.
        net.put_value(0, "other", "by 0");
        net.wait(5_000);
        net.put_value(2, "other", "by 2");
        net.put_value(0, "fresh", "by 0");
        net.wait(5_000);
        for node in 0..3 {
            assert_eq!(net.value(node, "other"), "by 2", "seed {seed}");
            assert_eq!(net.value(node, "fresh"), "by 0", "seed {seed}");
            let member = &net.members[node];
            let rows = member.machine.progress(net.now(node), &member.map).unwrap();
            assert!(rows.iter().all(|row| row.status.as_ref().unwrap().in_sync));
        }
        let stored = [b"\0", b"fresh".as_slice()].concat();
        let fresh = net.members[1].map.entry(&stored).unwrap().unwrap();
        assert!(fresh.stamp.wall() <= net.now(0).wall, "seed {seed}");
    }
}
