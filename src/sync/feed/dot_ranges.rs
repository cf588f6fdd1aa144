//! A bounded set of dots, kept as ranges. It holds hints: a forgotten dot costs a duplicate and nothing else.

use std::collections::BTreeMap;

use crate::core::identity::{Dot, Origin};
use crate::sync::message::DotRange;

/// Most ranges that are held, so that a peer cannot make hints grow without end. A busy mesh needs a few for
/// each origin, because sequences arrive nearly in order.
pub const RANGES_MAX: usize = 4096;

/// A bounded set of dots.
#[derive(Debug, Clone, Default)]
pub struct DotSet {
    by_origin: BTreeMap<Origin, BTreeMap<u64, u64>>,
    ranges: usize,
}

impl DotSet {
    /// True if the set holds no dot.
    pub fn is_empty(&self) -> bool {
        self.ranges == 0
    }

    /// True if the set holds `dot`.
    pub fn contains(&self, dot: Dot) -> bool {
        self.by_origin
            .get(&dot.origin)
            .and_then(|ranges| ranges.range(..=dot.sequence).next_back())
            .is_some_and(|(_, last)| *last >= dot.sequence)
    }

    /// Inserts a range. A malformed one is ignored. If the set is full it is emptied first: hints are useful for a
    /// moment only, and the old ones have had theirs.
    pub fn insert(&mut self, range: DotRange) {
        if range.first > range.last {
            return;
        }
        if self.ranges >= RANGES_MAX {
            self.clear();
        }
        let ranges = self.by_origin.entry(range.origin).or_default();
        let (mut first, mut last) = (range.first, range.last);
        let touching: Vec<u64> = ranges
            .range(..=last.saturating_add(1))
            .rev()
            .take_while(|(_, end)| end.saturating_add(1) >= first)
            .map(|(begin, _)| *begin)
            .collect();
        for begin in touching {
            if let Some(end) = ranges.remove(&begin) {
                self.ranges -= 1;
                first = first.min(begin);
                last = last.max(end);
            }
        }
        ranges.insert(first, last);
        self.ranges += 1;
    }

    /// Inserts one dot.
    pub fn insert_dot(&mut self, dot: Dot) {
        self.insert(DotRange {
            origin: dot.origin,
            first: dot.sequence,
            last: dot.sequence,
        });
    }

    /// Removes and returns all ranges.
    pub fn take(&mut self) -> Vec<DotRange> {
        self.ranges = 0;
        std::mem::take(&mut self.by_origin)
            .into_iter()
            .flat_map(|(origin, ranges)| {
                ranges.into_iter().map(move |(first, last)| DotRange {
                    origin,
                    first,
                    last,
                })
            })
            .collect()
    }

    /// Removes all dots.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn new_hints_go_in_when_old_ones_fill_it() {
        let origin = Origin([7; 16]);
        let dot = |sequence| Dot { origin, sequence };
        let mut set = DotSet::default();
        for sequence in (0..100_000).step_by(2) {
            set.insert_dot(dot(sequence));
            assert!(set.contains(dot(sequence)));
        }
        assert!(set.take().len() <= RANGES_MAX);
    }

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_in_as_few_ranges_as_possible(
            inserted in proptest::collection::vec((1_u64..60, 0_u64..6), 0..40)
        ) {
            let origin = Origin([7; 16]);
            let mut set = DotSet::default();
            let mut model = BTreeSet::new();
            for (first, length) in inserted {
                set.insert(DotRange { origin, first, last: first + length });
                model.extend(first..=first + length);
            }
            for sequence in 0..80 {
                prop_assert_eq!(set.contains(Dot { origin, sequence }), model.contains(&sequence));
            }
            let begins = model.iter().filter(|sequence| !model.contains(&(**sequence - 1))).count();
            prop_assert_eq!(set.take().len(), begins);
            prop_assert!(set.is_empty());
        }
    }
}
