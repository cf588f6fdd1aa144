//! Scopes of a node and of a peer's address on a connection, and calls with another scope.

use super::pipes::{Pipes, name};
use crate::store::scope::Scope;

fn scope(prefixes: &[&str]) -> Scope {
    Scope::of(prefixes.iter().map(|prefix| prefix.as_bytes()))
}

impl Pipes {
    /// Calls with these prefixes, unless the wanted scope is connected already.
    fn call(&mut self, from: usize, to: usize, wanted: Scope) {
        let target = self.target(from, &name(to), to);
        let mut is_met = false;
        self.drive(from, |machine, now, map| {
            let both = machine.scope.intersection(&wanted);
            machine.directory.exchange(target, wanted);
            is_met = machine.is_met(&name(to), &both, now, map);
        });
        if !is_met {
            self.dial_target(from, target, to);
        }
        self.settle();
        self.wait(1_000);
    }
}

#[test]
fn a_call_carries_what_the_node_the_address_and_the_peer_want() {
    for seed in 0..20 {
        let mut net = Pipes::new(seed, &[1, 2]);
        net.members[0].machine.scope = scope(&["a", "b", "c"]);
        net.members[1].machine.scope = scope(&["b", "c", "d"]);
        for key in ["a", "b", "c"] {
            net.put(0, key);
        }
        net.put(1, "d");
        net.call(0, 1, scope(&["a", "b", "d"]));
        assert!(net.has(1, "b"));
        assert!(!net.has(1, "a") && !net.has(1, "c") && !net.has(0, "d"));
        // An existing connection is not made anew.
        let conversations = net.conversations(0);
        net.call(0, 1, scope(&["b", "a"]));
        assert_eq!(net.conversations(0), conversations);
        net.call(0, 1, scope(&["b"]));
        assert_ne!(net.conversations(0), conversations, "another is wanted");
        net.call(0, 1, Scope::ALL);
        assert_eq!(net.conversations(0).len(), 1);
        assert!(net.has(1, "c") && !net.has(1, "a"));
    }
}

#[test]
fn what_is_wanted_of_a_peer_holds_whoever_calls() {
    for seed in 0..20 {
        let mut net = Pipes::new(seed, &[1, 2]);
        net.put(0, "a");
        net.put(0, "b");
        net.put(1, "a1");
        net.put(1, "b1");
        net.call(0, 1, scope(&["a"]));
        assert!(net.has(1, "a") && !net.has(1, "b") && net.has(0, "a1") && !net.has(0, "b1"));
        // The peer calls in turn: whichever connection lives, its scope is no larger.
        let target = net.target(1, &name(0), 0);
        net.dial_target(1, target, 0);
        net.settle();
        net.wait(20_000);
        assert!(net.has(1, "a") && !net.has(1, "b") && !net.has(0, "b1"));
        net.call(0, 1, Scope::ALL);
        net.wait(20_000);
        assert!(net.has(1, "b") && net.has(0, "b1"));
    }
}
