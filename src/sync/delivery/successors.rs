//! Successors of replaced own writes: a bounded table that remembers the newest replacements, so that a wait for a
//! write that was replaced a moment ago finds its successor. Written once per replaced row.

use crate::core::identity::Dot;

/// Replacements that are remembered: some milliseconds' worth at full speed, in 160 KiB, allocated with the first. A
/// forgotten replacement only makes a wait longer than necessary.
const REMEMBERED: usize = 4096;

/// The write that replaced another, with its place in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sync) struct Successor {
    pub(in crate::sync) dot: Dot,
    pub(in crate::sync) lseq: u64,
}

/// The newest replacements, direct-mapped: each lies in the slot that the replaced write's sequence gives.
#[derive(Debug, Default)]
pub(in crate::sync) struct Replacements {
    places: Vec<(u64, Successor)>,
}

impl Replacements {
    /// Records that `successor` replaced the own write `sequence`.
    pub(in crate::sync) fn note(&mut self, sequence: u64, successor: Successor) {
        if self.places.is_empty() {
            self.places.resize(REMEMBERED, Default::default());
        }
        if let Some(place) = self.places.get_mut(place_of(sequence)) {
            *place = (sequence, successor);
        }
    }

    /// The last known successor of the own write `sequence`, found by following replacements; `None` if none is known.
    pub(in crate::sync) fn newest(
        &self,
        sequence: u64,
        own: crate::core::identity::Origin,
    ) -> Option<Successor> {
        let mut newest = None;
        let mut sequence = sequence;
        // Successors have higher sequences, and each is looked up once: the table bounds the chain.
        while let Some((replaced, successor)) = self.places.get(place_of(sequence))
            && *replaced == sequence
        {
            newest = Some(*successor);
            if successor.dot.origin != own || successor.dot.sequence <= sequence {
                break;
            }
            sequence = successor.dot.sequence;
        }
        newest
    }
}

fn place_of(sequence: u64) -> usize {
    usize::try_from(sequence % REMEMBERED as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::identity::Origin;

    const OWN: Origin = Origin([1; 16]);

    fn successor(sequence: u64) -> Successor {
        let dot = Dot {
            origin: OWN,
            sequence,
        };
        Successor {
            dot,
            lseq: sequence + 100,
        }
    }

    #[test]
    fn a_chain_is_followed_to_its_end_and_the_oldest_is_forgotten() {
        let mut replacements = Replacements::default();
        assert_eq!(replacements.newest(0, OWN), None);
        for sequence in [3, 7, 20] {
            replacements.note(
                sequence,
                successor(if sequence == 3 { 7 } else { sequence + 13 }),
            );
        }
        assert_eq!(replacements.newest(3, OWN), Some(successor(33)));
        assert_eq!(replacements.newest(33, OWN), None);
        replacements.note(3 + REMEMBERED as u64, successor(5_000));
        assert_eq!(replacements.newest(3, OWN), None);
        assert_eq!(replacements.newest(7, OWN), Some(successor(33)));
    }

    #[test]
    fn a_write_of_another_node_ends_the_chain() {
        let mut replacements = Replacements::default();
        let foreign = Successor {
            dot: Dot {
                origin: Origin([2; 16]),
                sequence: 9,
            },
            lseq: 50,
        };
        replacements.note(4, foreign);
        replacements.note(9, successor(12));
        assert_eq!(replacements.newest(4, OWN), Some(foreign));
    }
}
