//! An answer that is being put together, within what one message may hold.

use crate::store::state::range_sums::REPLICATED_END;
use crate::sync::message::{Claim, Part};

/// Parts after which an answer is full. What is behind them is summed up as one.
const PARTS_TARGET: usize = 1024;

/// Bytes after which it is.
const BYTES_TARGET: usize = 96 << 10;

/// About what a part takes besides keys, in bytes, and a listed entry.
const PART_BYTES: usize = 24;

/// Parts of an answer, in key order.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    parts: Vec<Part>,
    bytes: usize,
    /// Where the last part ends.
    end: Vec<u8>,
}

impl Reply {
    /// Says something of `[from, to)`, which must lie behind everything that was said.
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

    /// Whether no more should be said than of the rest as one.
    pub(super) fn is_full(&self) -> bool {
        self.parts.len() >= PARTS_TARGET || self.bytes >= BYTES_TARGET
    }

    /// Parts that were said.
    pub(super) fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether nothing was said.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// What was said; nothing is left.
    pub(super) fn take(&mut self) -> Vec<Part> {
        std::mem::take(self).parts
    }
}
