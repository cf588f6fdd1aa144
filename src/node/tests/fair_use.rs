//! Peers that cause much work with few bytes wait; peers with ordinary traffic never do.

use super::pipes::Pipes;
use crate::core::identity::Origin;
use crate::sync::message::{DotRange, Feed, Have};
use crate::transport::wire::message::Message;

/// Two connected nodes; returns the second one's conversation.
fn met() -> (Pipes, u64) {
    let mut net = Pipes::new(3, &[1, 2]);
    net.dial(0, 1);
    net.wait(1_000);
    let id = net.conversations(1)[0];
    (net, id)
}

fn pause_ms(net: &mut Pipes, id: u64) -> u64 {
    let now = net.now(1);
    net.members[1].machine.pause_ms(id, now)
}

fn hear(net: &mut Pipes, id: u64, message: &Message) {
    let message = message.clone();
    net.drive(1, |machine, now, map| {
        machine.received(id, message, false, now, map);
    });
}

/// Number of copies of a message that an obedient peer can send in one second.
fn heard_in_a_second(message: &Message) -> u64 {
    let (mut net, id) = met();
    let (until, mut heard) = (net.at + 1_000, 0);
    while net.at < until {
        match pause_ms(&mut net, id) {
            0 => {
                hear(&mut net, id, message);
                heard += 1;
            }
            pause => net.at += pause,
        }
        assert!(heard < 1_000_000, "it may go on for ever");
    }
    heard
}

#[test]
fn who_says_much_that_costs_no_credit_waits() {
    let ping = Message::Ping {
        nonce: 1,
        wall_ms: 1,
    };
    let pings = heard_in_a_second(&ping);
    assert!((5_000..=25_000).contains(&pings), "{pings}");
    let ranges = (0..4_096).map(|range| DotRange {
        origin: Origin([9; 16]),
        first: 1 + 3 * range,
        last: 1 + 3 * range,
    });
    let have = Message::Feed(Feed::Have(Have {
        ranges: ranges.collect(),
    }));
    let hints = heard_in_a_second(&have);
    assert!(
        hints * 5 < pings,
        "a long hint costs more: {hints} and {pings}"
    );
}

#[test]
fn who_waited_may_go_on() {
    let (mut net, id) = met();
    let ping = Message::Ping {
        nonce: 1,
        wall_ms: 1,
    };
    for _ in 0..100_000 {
        hear(&mut net, id, &ping);
    }
    let pause = pause_ms(&mut net, id);
    assert!(pause > 1_000, "{pause}");
    net.at += pause;
    assert_eq!(pause_ms(&mut net, id), 0);
}

#[test]
fn peers_that_exchange_writes_and_reconcile_never_wait() {
    let mut net = Pipes::new(7, &[1, 2]);
    for number in 0..3_000 {
        net.put(number % 2, &format!("apart-{number}"));
    }
    net.dial(0, 1);
    for number in 0..6_000 {
        net.put(number % 2, &format!("{number}"));
        net.settle();
        for node in [0, 1] {
            let now = net.now(node);
            for id in net.conversations(node) {
                let pause = net.members[node].machine.pause_ms(id, now);
                assert_eq!(pause, 0, "{node} at write {number}");
            }
        }
    }
    net.wait(2_000);
    assert!(net.has(0, "5999") && net.has(1, "5998"));
    assert!(net.has(0, "apart-2999") && net.has(1, "apart-2998"));
}
