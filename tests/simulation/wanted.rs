//! What nodes want of connections (PROTOCOL rule 5.9): of all of them, and of those with a single peer, whichever of the
//! two calls. Drawing it, changing it, and what follows for what a connection carries.

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
            // All that begin with the same digit, and now and then all that are written.
            0 => prefix.truncate(5),
            1 if dice.one_in(6) => prefix.truncate(2),
            _ => {}
        }
        prefix.into_bytes()
    });
    Scope::of(prefixes)
}

/// Has nodes want something of single peers, in half of the runs of nobody else.
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
    /// Wants this of a peer from now on. What nothing would come of is refused, as by `node::network`.
    fn name(&mut self, peer: usize, scope: Scope) -> bool {
        let is_something = !self.scope.intersection(&scope).is_nothing();
        if is_something {
            self.named.insert(peer, scope);
        }
        is_something
    }

    /// What is wanted of a peer.
    fn wanted_of(&self, peer: usize) -> Scope {
        let named = self.named.get(&peer);
        named.map_or_else(
            || self.scope.clone(),
            |named| self.scope.intersection(named),
        )
    }
}

impl World<'_> {
    /// A node opens anew, and wants other keys.
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
        // Whoever changes the one so that nothing would be left changes the other too.
        plan.named
            .retain(|_, named| !scope.intersection(named).is_nothing());
        if was_up {
            self.open(node);
        }
    }

    /// A node connects to a peer to exchange something else from then on.
    pub(super) fn name_scope(&mut self, node: usize, peer: usize, scope: &Scope) {
        if self.nodes[node].plan.name(peer, scope.clone()) {
            self.call(node, peer, false);
        }
    }

    /// Whether some node wants something of a single peer: then each has to call, or the other does not know.
    pub(super) fn names_peers(&self) -> bool {
        self.nodes.iter().any(|node| !node.plan.named.is_empty())
    }

    /// What two nodes exchange once each has called the other.
    pub(super) fn carried(&self, a: usize, b: usize) -> Scope {
        let [mine, theirs] = [(a, b), (b, a)].map(|(a, b)| self.nodes[a].plan.wanted_of(b));
        mine.intersection(&theirs)
    }

    /// Tells a machine what is wanted of a peer that it is about to call. Whether it is connected for that already; what
    /// carries something else is left.
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

    /// Rule 9: a node tells what it wants of whom it greets, as far as it has been told by whom it runs for.
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
        // Whose greeting cannot be read is told what anybody would be.
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
