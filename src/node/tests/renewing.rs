//! Copies of one folder in a network of machines.

use super::pipes::{Pipes, member, seeds};
use crate::core::identity::Incarnation;
use crate::node::machine::conversation::ConversationId;
use crate::sync::identity::identity_conflict::IdentityConflict;

impl Pipes {
    /// Takes another identity, as the committer does between two groups.
    pub(super) fn renew(&mut self, node: usize, identity_conflict: IdentityConflict) {
        let now = self.now(node);
        self.renewals += 1;
        let byte = 100 + self.renewals;
        let member = &mut self.members[node];
        member.committer.renew(&seeds(byte, byte)).unwrap();
        let ledger = member.committer.ledger();
        member.map.know_authorship(ledger);
        member.machine.renewed(ledger, now, &member.map);
        member.identity_conflicts.push(identity_conflict);
    }

    /// Calls the targets that are due after a while. Returns the callers, with their conversations.
    pub(super) fn call_again(&mut self) -> Vec<(usize, ConversationId)> {
        let mut calls = Vec::new();
        self.wait(2_000);
        for node in 0..self.members.len() {
            for target in std::mem::take(&mut self.members[node].dials) {
                let label = self.members[node].machine.directory.node_id(target);
                let to = label.unwrap().strip_prefix("node-").unwrap().parse();
                calls.push((node, self.dial_target(node, target, to.unwrap())));
            }
        }
        self.settle();
        self.wait(2_000);
        calls
    }

    /// Opens two nodes with the files of one: each continues in an epoch of its own.
    pub(super) fn part_twins(&mut self, twins: [usize; 2]) {
        for (node, open) in twins.into_iter().zip([1, 2]) {
            let mut twin = member(node, self.members[node].machine.replica.origin().0[0], 1);
            let mut ledger = twin.committer.ledger().clone();
            ledger.begin_epoch(Incarnation([0xf0 + open; 16]));
            twin.machine.renewed(&ledger, self.now(node), &twin.map);
            self.members[node] = twin;
        }
    }
}
