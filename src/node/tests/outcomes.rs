//! Answers that callers got.

use super::pipes::Pipes;
use crate::node::machine::conversation::{ConversationId, Refusal};

impl Pipes {
    pub(super) fn outcome(&self, node: usize, id: ConversationId) -> Option<&Result<(), Refusal>> {
        let mut settled = self.members[node].settled.iter();
        settled
            .find(|(other, _)| *other == id)
            .map(|(_, outcome)| outcome)
    }

    pub(super) fn refusal(&self, node: usize, id: ConversationId) -> &Refusal {
        self.outcome(node, id)
            .expect("it is settled")
            .as_ref()
            .expect_err("it is refused")
    }
}
