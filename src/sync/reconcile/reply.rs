//! An answer under construction, within the limits of one message.

use crate::store::entry::REPLICATED_END;
use crate::sync::message::{Claim, Part};

/// Parts after which an answer is full. Everything after them is summed up as one part.
const PARTS_TARGET: usize = 1024;

/// Bytes after which an answer is full.
const BYTES_TARGET: usize = 96 << 10;

/// Approximate bytes of a part besides its keys, and of a listed entry besides its key.
const PART_BYTES: usize = 24;

/// Parts of an answer, in key order.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    parts: Vec<Part>,
    bytes: usize,
    /// End of the last part.
    end: Vec<u8>,
}

impl Reply {
    /// Adds a claim about `[from, to)`, which must lie after all earlier parts.
    pub(super) fn say(&mut self, from: &[u8], to: &[u8], claim: Claim) {
        if from > &self.end[..] {
            self.push(from, Claim::Settled);
        }
        self.push(to, claim);
    }

    fn push(&mut self, to: &[u8], claim: Claim) {
        self.bytes += to.len() + PART_BYTES;
        self.bytes += match &claim {
            Claim::Settled | Claim::Sum(_) | Claim::All => 0,
            Claim::List(list) => {
                let bytes = list
                    .iter()
                    .map(|listed| listed.key.len() + (1 + listed.vector.len()) * PART_BYTES);
                bytes.sum()
            }
            Claim::These(keys) => keys.iter().map(|key| key.len() + 2).sum(),
        };
        to.clone_into(&mut self.end);
        let to = if to == REPLICATED_END {
            Vec::new()
        } else {
            to.to_vec()
        };
        self.parts.push(Part { to, claim });
    }

    /// True if only one more part should be added, for all the rest.
    pub(super) fn is_full(&self) -> bool {
        self.parts.len() >= PARTS_TARGET || self.bytes >= BYTES_TARGET
    }

    /// Number of parts.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// True if the answer has no parts.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Removes and returns all parts.
    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(self).parts
    }
}
