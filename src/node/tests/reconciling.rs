//! Cost of a first meeting of two nodes that hold equal data through a third, in bytes on the wire.

use super::pipes::Pipes;
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::commit::ledger::FeedPosition;
use crate::store::commit::operation::{Received, Request};
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::transport::wire::codec::encode;
use crate::transport::wire::message::Message;

const THIRD: Origin = Origin([9; 16]);

/// Keys that both nodes hold.
const SHARED: u64 = 300_000;

impl Pipes {
    pub(super) fn has(&self, node: usize, key: &str) -> bool {
        let stored = [b"\0", key.as_bytes()].concat();
        self.members[node].map.entry(&stored).unwrap().is_some()
    }
}

/// Length of a message, in bytes.
pub(super) fn bytes_of(message: &Message) -> usize {
    let mut frame = Vec::new();
    encode(message, &mut frame).unwrap();
    frame.len()
}

/// An entry of the third node, in no order of the stamps.
fn shared(number: u64) -> Entry {
    let payload = [
        &b"\0key-"[..],
        format!("{number:016}").as_bytes(),
        &[7; 100],
    ]
    .concat();
    let sequence = number.wrapping_mul(7_919) % SHARED + 1;
    let dot = Dot {
        origin: THIRD,
        sequence,
    };
    let stamp = Stamp((1_700_000_000_000 + sequence / 7) << 16);
    let flags = EntryFlags::default();
    Entry::new(payload.into(), 21, flags, dot, stamp, 1, Extra::default()).unwrap()
}

fn apart() -> Pipes {
    let mut net = Pipes::new(5, &[1, 2]);
    for node in [0, 1] {
        for first in (0..SHARED).step_by(5_000) {
            let entries = (first..first + 5_000).map(shared).collect();
            let received = Received {
                peer: THIRD,
                token: 0,
                from: FeedPosition::default(),
                position: FeedPosition::default(),
                scope: crate::store::scope::Scope::ALL,
                entries,
            };
            net.commit(node, Request::Received(received));
        }
    }
    net
}

fn meet(net: &mut Pipes) {
    net.sent_bytes = vec![0, 0];
    net.dial(0, 1);
    net.wait(2_000);
    let summaries = [0, 1].map(|node: usize| net.members[node].map.summary());
    assert_eq!(summaries[0], summaries[1]);
}

#[test]
fn who_holds_the_same_needs_less_than_a_kilobyte() {
    let mut net = apart();
    meet(&mut net);
    assert!(
        net.sent_bytes.iter().all(|bytes| *bytes <= 1_024),
        "{:?}",
        net.sent_bytes
    );
}

#[test]
fn a_hundred_differences_need_less_than_256_kilobytes() {
    let mut net = apart();
    for number in 0..100 {
        let node = usize::try_from(number % 2).unwrap();
        let key = format!("key-{:016}", number * 2_971);
        net.put(node, &key);
    }
    meet(&mut net);
    assert!(
        net.sent_bytes.iter().all(|bytes| *bytes <= 256 << 10),
        "{:?}",
        net.sent_bytes
    );
}
