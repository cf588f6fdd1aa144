//! Scopes of nodes (`docs/internals/replication.md`, rule 5.9): for all connections, and for those with a single peer,
//! whichever of the two calls. Drawing and changing them, and the scope of a connection that follows.

use super::schedule::{NodePlan, Stop};
use super::world::World;
use crate::node::machine::conversation::ConversationId;
use crate::store::scope::Scope;
use crate::sync::tests::dice::Dice;
use crate::transport::wire::message::Hello;

/// Prefixes of some of the keys that a run writes, or all keys.
pub(super) fn some_keys(dice: &mut Dice, keys: u64) -> Scope {
    if dice.one_in(4) {
        return Scope::ALL;
    }
    let prefixes = (0..=dice.below(4)).map(|_| {
        let mut prefix = format!("key-{}", dice.below(keys));
        match dice.below(4) {
            // All keys that begin with the same digit, and now and then all that are written.
            0 => prefix.truncate(5),
            1 if dice.one_in(6) => prefix.truncate(2),
            _ => {}
        }
        prefix.into_bytes()
    });
    Scope::of(prefixes)
}

/// Gives nodes scopes for single peers; in half of the runs no node has a scope of its own.
pub(super) fn name_some(
    dice: &mut Dice,
    nodes: &mut [NodePlan],
    edges: &[(usize, usize)],
    keys: u64,
) {
    if dice.one_in(2) {
        for node in &mut *nodes {
            node.scope = Scope::ALL;
        }
    }
    for (node, peer) in edges.iter().flat_map(|(a, b)| [(*a, *b), (*b, *a)]) {
        if dice.one_in(2) {
            nodes[node].name(peer, some_keys(dice, keys));
        }
    }
}

impl NodePlan {
    /// Sets the scope for a peer. Refused if nothing would be exchanged, as by `node::net::network`.
    fn name(&mut self, peer: usize, scope: Scope) -> bool {
        let is_something = !self.scope.intersection(&scope).is_nothing();
        if is_something {
            self.named.insert(peer, scope);
        }
        is_something
    }

    /// The scope wanted of a peer.
    fn wanted_of(&self, peer: usize) -> Scope {
        let named = self.named.get(&peer);
        named.map_or_else(
            || self.scope.clone(),
            |named| self.scope.intersection(named),
        )
    }
}

impl World<'_> {
    /// Opens a node anew with another scope.
    pub(super) fn rescope(&mut self, node: usize, scope: &Scope, seed: u64) {
        let how = match seed % 3 {
            0 => Stop::Cleanly,
            1 => Stop::Killed,
            _ => Stop::PowerCut,
        };
        let was_up = self.nodes[node].running.is_some();
        self.stop(node, how, seed);
        let plan = &mut self.nodes[node].plan;
        plan.scope = scope.clone();
        // A change of the node's scope also drops scopes for peers that would be left empty by it.
        plan.named
            .retain(|_, named| !scope.intersection(named).is_nothing());
        if was_up {
            self.open(node);
        }
    }

    /// Connects a node to a peer with another scope for it.
    pub(super) fn name_scope(&mut self, node: usize, peer: usize, scope: &Scope) {
        if self.nodes[node].plan.name(peer, scope.clone()) {
            self.call(node, peer, false);
        }
    }

    /// True if some node has a scope for a single peer: then each has to call, or the other does not know.
    pub(super) fn names_peers(&self) -> bool {
        self.nodes.iter().any(|node| !node.plan.named.is_empty())
    }

    /// The scope of the connection of two nodes once each has called the other.
    pub(super) fn carried(&self, a: usize, b: usize) -> Scope {
        let [mine, theirs] = [(a, b), (b, a)].map(|(a, b)| self.nodes[a].plan.wanted_of(b));
        mine.intersection(&theirs)
    }

    /// Tells a machine the scope wanted of a peer that it is about to call. Returns true if it is connected with that
    /// scope already; a connection with another scope is left.
    pub(super) fn is_met(&mut self, node: usize, peer: usize) -> bool {
        let name = self.nodes[peer].name.clone();
        let named = self.nodes[node].plan.named.get(&peer).cloned();
        let wanted = self.nodes[node].plan.wanted_of(peer);
        let target = self.target(node, peer);
        let Some(running) = &mut self.nodes[node].running else {
            return false;
        };
        if let Some(named) = named {
            running.named.insert(peer, named.clone());
            running.machine.directory.exchange(target, named);
        }
        let is_met = self.drive(node, |machine, now, map| {
            machine.is_met(&name, &wanted, now, map)
        });
        is_met.unwrap_or(false)
    }

    /// Rule 9: a node greets with the scope for its peer, as far as its program has set one.
    pub(super) fn check_greeting(&mut self, node: usize, id: ConversationId, hello: &Hello) {
        let (line, side) = self.ends[&id];
        let peer = self.lines[&line].ends[1 - side].node;
        let (plan, running) = (&self.nodes[node].plan, self.nodes[node].up());
        let named = running.named.get(&peer);
        let wanted = named.map_or_else(
            || plan.scope.clone(),
            |named| plan.scope.intersection(named),
        );
        let told = &hello.greeting.scope;
        // A peer whose greeting cannot be read gets the scope for anybody.
        let is_anonymous = self.excuses.damaged && *told == plan.scope;
        assert!(
            *told == wanted || is_anonymous,
            "rule 9: {node} tells {peer} on {id} that it wants {told:?}, but that is {wanted:?}"
        );
        let told = told.clone();
        if let Some(end) = self.end_mut(id) {
            end.seen.wanted = Some(told);
        }
    }
}
