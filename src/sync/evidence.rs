//! What others hold under this node's name, and whether the node can have written it. If not, then a copy of its files
//! is alive somewhere, or they went back in time; and nobody needs to have met both to see it (PROTOCOL section 2).
//!
//! A node holds each of its writes, or what has replaced it, before anybody is sent it, and for ever. So what comes back
//! to it is known, and what is not known is not its own. That says nothing of a write that was replaced here by a greater
//! one: it may have been its own or not. And it takes a write: a copy that has written nothing can only be met.
//!
//! Entries and lists are looked at as they come, also those that are not taken in because something greater is held.
//! Hints are not: they may be wrong.

use super::doubt::DoubtReason;
use super::link::Link;
use super::message::{Claim, Listed, Ranges};
use super::replica::Replica;
use crate::core::clock::Now;
use crate::core::identity::{Dot, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::store::conflict::kept_user_key;
use crate::store::entry::{Entry, Namespace};
use crate::store::map::EntryMap;

impl Replica {
    /// Entries came from a peer, and are not taken in yet.
    pub(super) fn heed_entries(
        &mut self,
        link: &Link,
        entries: &[Entry],
        now: Now,
        map: &EntryMap,
    ) {
        for entry in entries {
            if newest_of(self.origin, entry.dot, entry.vector()).is_some() {
                self.heed(link, Listed::of(entry), now, map);
            }
        }
    }

    /// A peer lists what it holds.
    pub(super) fn heed_lists(&mut self, link: &Link, ranges: &Ranges, now: Now, map: &EntryMap) {
        for part in &ranges.parts {
            let Claim::List(listed) = &part.claim else {
                continue;
            };
            for listed in listed {
                if newest_of(self.origin, listed.dot, &listed.vector).is_some() {
                    self.heed(link, listed.clone(), now, map);
                }
            }
        }
    }

    fn heed(&mut self, link: &Link, mut listed: Listed, now: Now, map: &EntryMap) {
        if self.is_in_doubt() || is_broken(Rule::TwinWritesUnheeded) {
            return;
        }
        if let Some(key) = kept_user_key(&listed.key, listed.dot) {
            // A loser is kept as the write that it is, by whoever keeps it.
            listed.key = [&[Namespace::User as u8], key].concat();
        }
        let Ok(held) = map.entry(&listed.key) else {
            // What cannot be read shows nothing.
            return;
        };
        if is_unaccounted(&listed, self.origin, self.last_sequence, held.as_deref()) {
            // Only a guess for whoever reads it: clocks may be wrong.
            let is_of_this_life = self.renewals.had_met(listed.stamp.wall());
            let is_shared = listed.dot.origin == self.origin && is_of_this_life;
            let reason = if is_shared {
                DoubtReason::Shared
            } else {
                DoubtReason::WentBack
            };
            self.doubt(reason, &link.node_id, now.monotonic);
        }
    }
}

/// The newest write of an author that an entry is, or that its author knew.
fn newest_of(origin: Origin, dot: Dot, vector: &[Dot]) -> Option<u64> {
    let of_origin = |seen: &&Dot| seen.origin == origin;
    let newest = std::iter::once(&dot).chain(vector).find(of_origin);
    newest.map(|seen| seen.sequence)
}

/// Whether what somebody holds of a key names a write under `origin` which that node has not made, or does not know any
/// more. It has given numbers up to `last`, and holds `held` of the key.
fn is_unaccounted(listed: &Listed, origin: Origin, last: u64, held: Option<&Entry>) -> bool {
    let Some(sequence) = newest_of(origin, listed.dot, &listed.vector) else {
        return false;
    };
    if sequence > last {
        return true;
    }
    if listed.dot.origin == origin {
        return held.is_none_or(|held| {
            let order = listed.order(held);
            order.is_gt() || (listed.dot == held.dot && order.is_ne())
        });
    }
    // What removes a kept loser names that, which whose write it is need not have kept.
    let is_of_user = listed.key.first() == Some(&(Namespace::User as u8));
    is_of_user && held.is_none_or(|held| held.dot.origin == origin && held.dot.sequence < sequence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::stamp::Stamp;
    use crate::store::conflict::kept_key;
    use crate::store::entry::{EntryFlags, Extra};

    const OWN: Origin = Origin([1; 16]);
    const OTHER: Origin = Origin([2; 16]);
    const LAST: u64 = 9;

    fn entry(
        origin: Origin,
        sequence: u64,
        stamp: u64,
        value: &str,
        seen: &[(Origin, u64)],
    ) -> Entry {
        let key = b"\0key";
        let vector = seen.iter().map(|(origin, sequence)| Dot {
            origin: *origin,
            sequence: *sequence,
        });
        let extra = Extra {
            vector: vector.collect(),
            extension: Vec::new(),
        };
        let payload = [key, value.as_bytes()].concat();
        let dot = Dot { origin, sequence };
        let flags = EntryFlags::default();
        Entry::new(
            payload.into(),
            key.len(),
            flags,
            dot,
            Stamp(stamp),
            1,
            extra,
        )
        .unwrap()
    }

    fn shows(told: &Entry, held: Option<&Entry>) -> bool {
        is_unaccounted(&Listed::of(told), OWN, LAST, held)
    }

    #[test]
    fn what_a_node_holds_or_has_replaced_shows_nothing() {
        let own = entry(OWN, 5, 100, "a", &[]);
        assert!(!shows(&own, Some(&own)));
        assert!(!shows(&own, Some(&entry(OWN, 7, 110, "b", &[]))));
        assert!(!shows(&own, Some(&entry(OTHER, 70, 110, "b", &[]))));
        let follower = entry(OTHER, 70, 110, "b", &[(OWN, 5)]);
        assert!(!shows(&follower, Some(&own)));
        assert!(!shows(&follower, Some(&entry(OWN, 7, 120, "c", &[]))));
        // That one may have replaced it without having known it.
        assert!(!shows(&follower, Some(&entry(OTHER, 71, 120, "c", &[]))));
    }

    #[test]
    fn what_others_wrote_by_themselves_shows_nothing() {
        for held in [None, Some(&entry(OWN, 5, 100, "a", &[]))] {
            assert!(!shows(&entry(OTHER, 70, 110, "b", &[]), held));
            assert!(!shows(
                &entry(OTHER, 70, 90, "b", &[(Origin([3; 16]), 80)]),
                held
            ));
        }
    }

    #[test]
    fn a_number_that_was_never_given_shows_a_copy_whatever_is_held() {
        let greater = entry(OTHER, 70, 900, "c", &[]);
        for held in [None, Some(&greater)] {
            assert!(shows(&entry(OWN, LAST + 1, 100, "b", &[]), held));
            assert!(shows(&entry(OTHER, 71, 110, "b", &[(OWN, LAST + 1)]), held));
        }
    }

    #[test]
    fn a_number_that_was_given_shows_a_copy_where_it_is_another_write() {
        let own = entry(OWN, 5, 100, "a", &[]);
        // Nothing of it is here, as where numbers were reserved and not given.
        assert!(shows(&own, None));
        // It would replace what is here.
        assert!(shows(&entry(OWN, 6, 101, "b", &[]), Some(&own)));
        assert!(shows(&entry(OWN, 4, 101, "b", &[]), Some(&own)));
        // The same number with another stamp, or another value.
        assert!(shows(&entry(OWN, 5, 99, "a", &[]), Some(&own)));
        assert!(shows(&entry(OWN, 5, 100, "b", &[]), Some(&own)));
        assert!(shows(&entry(OWN, 5, 100, "c", &[]), Some(&own)));
        // Somebody knew of a later write of this key than there is.
        assert!(shows(&entry(OTHER, 70, 110, "b", &[(OWN, 6)]), Some(&own)));
        assert!(shows(&entry(OTHER, 70, 110, "b", &[(OWN, 6)]), None));
    }

    #[test]
    fn what_removes_a_kept_loser_names_a_write_that_its_author_need_not_have_kept() {
        let loser = Dot {
            origin: OWN,
            sequence: 5,
        };
        let removal = Listed {
            key: kept_key(b"\0key", loser),
            stamp: Stamp(200),
            dot: Dot {
                origin: OTHER,
                sequence: 70,
            },
            value_hash: None,
            vector: vec![loser],
        };
        assert!(!is_unaccounted(&removal, OWN, LAST, None));
        let later = Listed {
            vector: vec![Dot {
                sequence: LAST + 1,
                ..loser
            }],
            ..removal
        };
        assert!(is_unaccounted(&later, OWN, LAST, None));
    }
}
