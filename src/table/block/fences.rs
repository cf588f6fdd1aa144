//! Fences: every eighth separator of an index node, close together, and the separators between them, one cache line for
//! each eight. They find the child of a key without reading the node, and narrow it down to a few children a moment
//! earlier, so that those can be prefetched meanwhile.

use std::ops::Range;

use super::index::{IndexNode, head_of};

/// Children between two fences: a cache line holds that many heads.
const SPACING: usize = 8;

/// The child of the first fence. In the node, the heads before it fill a cache line together with the bytes in front of
/// them: 32 bytes of the node, and the two counters that precede a shared block in memory.
const FIRST: usize = 2;

/// Heads that the first line lacks, so that each other line begins with a fence.
const MISSING: usize = SPACING - FIRST;

/// The heads of the children between two fences.
#[repr(C, align(64))]
struct Line([u64; SPACING]);

/// The fences of one node.
pub(in crate::table) struct Fences {
    prefix: Box<[u8]>,
    heads: Box<[u64]>,
    /// The heads between the fences; empty if only the fences are kept.
    lines: Box<[Line]>,
    first_number: u32,
    children: usize,
}

/// The few children that can hold a key.
pub(in crate::table) struct Window {
    wanted: u64,
    passed: usize,
}

impl Window {
    /// The places of these children, of which the last may not exist.
    #[inline]
    pub(in crate::table) fn children(&self) -> Range<usize> {
        let end = FIRST + self.passed * SPACING;
        end.saturating_sub(SPACING)..end
    }
}

impl Fences {
    /// The fences of a node; with `is_whole` also the heads between them, which take eight times the memory.
    pub(in crate::table) fn of(node: &IndexNode<'_>, is_whole: bool) -> Self {
        let heads = node.heads().skip(FIRST).step_by(SPACING);
        let missing = std::iter::repeat_n(0, MISSING);
        let mut between = missing.chain(node.heads()).peekable();
        let mut lines = Vec::new();
        while is_whole && between.peek().is_some() {
            lines.push(Line(std::array::from_fn(|_| {
                between.next().unwrap_or(u64::MAX)
            })));
        }
        Self {
            prefix: node.prefix().into(),
            heads: heads.collect(),
            lines: lines.into(),
            first_number: node.number(0).unwrap_or(u32::MAX),
            children: node.len(),
        }
    }

    /// The children that can hold a key; `None` if the fences do not decide.
    #[inline]
    pub(in crate::table) fn window(&self, key: &[u8]) -> Option<Window> {
        let wanted = head_of(key.strip_prefix(&*self.prefix)?);
        let passed = self.heads.partition_point(|fence| *fence < wanted);
        Some(Window { wanted, passed })
    }

    /// The child of a window that holds a key; `None` if only the node can decide: because the heads between the fences
    /// are not kept, or because several separators begin alike.
    #[inline]
    pub(in crate::table) fn child(&self, window: &Window) -> Option<usize> {
        let Line(line) = self.lines.get(window.passed)?;
        let below = line.iter().filter(|head| **head < window.wanted).count();
        // Finds the first child whose separator is above the key. The first child of a node has no separator; its head
        // is 0.
        let above = (window.passed * SPACING + below).saturating_sub(MISSING);
        let next = match line.get(below) {
            Some(head) => Some(head),
            None => self.heads.get(window.passed),
        };
        let decides = above > 0 && next.is_none_or(|head| *head != window.wanted);
        decides.then(|| above.min(self.children) - 1)
    }

    /// The numbers of the children in a window, among all blocks of their level.
    #[inline]
    pub(in crate::table) fn numbers(&self, window: &Window) -> Option<Range<u32>> {
        let Range { start, end } = window.children();
        Some(self.number(start)?..self.number(end)?)
    }

    /// The number of a child, among all blocks of its level.
    #[inline]
    pub(in crate::table) fn number(&self, child: usize) -> Option<u32> {
        self.first_number.checked_add(u32::try_from(child).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::block::index::{Child, IndexNodeBuilder};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn separators() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
        let byte = prop_oneof![Just(0_u8), Just(b'a'), any::<u8>()];
        // Beginnings that differ so little that many separators have equal heads.
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
            let fences = Fences::of(&node, true);
            let sparse = Fences::of(&node, false);
            for key in keys.iter().chain(&separators) {
                let Some(window) = fences.window(key) else { continue };
                let expected = node.search(key).unwrap();
                prop_assert_eq!(node.search_in(key, window.children()), Some(expected));
                // The node is asked only if a separator begins as the key does.
                let begins_alike = node.heads().any(|head| head == window.wanted);
                let found = fences.child(&window);
                prop_assert!(found == Some(expected) || (found.is_none() && begins_alike));
                prop_assert!(sparse.child(&sparse.window(key).unwrap()).is_none());
                let numbers = fences.numbers(&window).unwrap();
                prop_assert_eq!(numbers.start as usize, number as usize + window.children().start);
                prop_assert_eq!(fences.number(3), Some(number + 3));
            }
        }
    }
}
