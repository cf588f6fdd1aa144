//! Every eighth separator of a node of the index, close together: they tell which few children of the node a key
//! can be in, so that the search in the node looks at one line of the processor's cache, and those children can be
//! made ready meanwhile.

use std::ops::Range;

use super::index_node::{IndexNode, head_of};

/// How many children lie between two fences: as many heads as a cache line holds.
const SPACING: usize = 8;

/// The child of the first fence. The heads before it fill up a line with what precedes them: 32 bytes of the node,
/// and the two counters that precede a shared block in memory.
const FIRST: usize = 2;

/// The fences of one node.
pub(super) struct Fences {
    prefix: Box<[u8]>,
    heads: Box<[u64]>,
    first_number: u32,
}

impl Fences {
    pub(super) fn of(node: &IndexNode<'_>) -> Self {
        let heads = node.heads().skip(FIRST).step_by(SPACING);
        Self {
            prefix: node.prefix().into(),
            heads: heads.collect(),
            first_number: node.number(0).unwrap_or(u32::MAX),
        }
    }

    /// The children that a key can be in; `None` if the fences cannot tell.
    #[inline]
    pub(super) fn window(&self, key: &[u8]) -> Option<Range<usize>> {
        let head = head_of(key.strip_prefix(&*self.prefix)?);
        let passed = self.heads.partition_point(|fence| *fence < head);
        let end = FIRST + passed * SPACING;
        Some(end.saturating_sub(SPACING)..end)
    }

    /// The numbers of the children in a window, among all that are as deep as they are.
    #[inline]
    pub(super) fn numbers(&self, window: &Range<usize>) -> Option<Range<u32>> {
        let number = |index| self.first_number.checked_add(u32::try_from(index).ok()?);
        Some(number(window.start)?..number(window.end)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::index_node::{Child, IndexNodeBuilder};
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn separators() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        let byte = prop_oneof![Just(0_u8), Just(b'a'), any::<u8>()];
        // Few enough different beginnings that many have the same head.
        let separator = (
            prop::collection::vec(0_u8..3, 0..9),
            prop::collection::vec(byte, 1..3),
        );
        let separator = separator.prop_map(|(head, tail)| [head, tail].concat());
        prop::collection::btree_set(separator, 1..80)
    }

    proptest! {
        #[test]
        fn the_search_between_fences_finds_what_the_whole_one_does(
            separators in separators(), keys: Vec<Vec<u8>>, number in 0..9_u32,
        ) {
            let mut builder = IndexNodeBuilder::default();
            for separator in &separators {
                builder.push(separator, Child::default());
            }
            let mut block = builder.finish(number, 0, 0);
            block.extend([0; 4]);
            let node = IndexNode::parse(&block).unwrap();
            let fences = Fences::of(&node);
            for key in keys.iter().chain(&separators) {
                let Some(window) = fences.window(key) else { continue };
                let found = node.search_in(key, window.clone()).unwrap();
                prop_assert_eq!(Some(found), node.search(key));
                let numbers = fences.numbers(&window).unwrap();
                prop_assert_eq!(numbers.start as usize, number as usize + window.start);
            }
        }
    }
}
