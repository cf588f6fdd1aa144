//! Detects identity conflicts: a peer holds a write attributed to this node that it never made. Then either a copy of
//! its files is running somewhere, or its files went back in time; and nobody needs to have met both to see it
//! (`docs/internals/replication.md`, section 2).
//!
//! A node holds each of its writes, or what has replaced it, for ever, and before it sends it to anybody. So a write
//! that comes back to it is known, and an unknown one is not its own. This proves nothing about a write that a greater
//! one has replaced here: it may have been its own or not. And it takes a write: a copy that has written nothing can
//! only be met.
//!
//! Entries and lists are checked as they come, also those that are not taken in because something greater is held.
//! Hints are not checked: they may be wrong.

use super::identity_conflict::IdentityConflictReason;
use crate::core::clock::Now;
use crate::core::identity::{Dot, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::Stamp;
use crate::store::conflict::policy::sibling_user_key;
use crate::store::entry::{Entry, Namespace};
use crate::store::lineage::{Lineage, identity_in};
use crate::store::state::map::EntryMap;
use crate::sync::message::{Claim, Listed, Ranges};
use crate::sync::peer::link::Link;
use crate::sync::replica::Replica;

impl Replica {
    /// Checks entries of a peer for writes attributed to this node, before they are taken in.
    pub(in crate::sync) fn heed_entries(
        &mut self,
        link: &Link,
        entries: &[Entry],
        now: Now,
        map: &EntryMap,
    ) {
        let own = Own::of(self, map);
        // The author of the last entry that has nothing to do with this node: most of a feed is by one author.
        let mut foreign = None;
        for entry in entries {
            let is_foreign = foreign == Some(entry.dot.origin) && entry.vector().is_empty();
            if is_foreign_lineage(entry, &own) && !is_broken(Rule::TwinWritesUnheeded) {
                let reason = self.reason_of(entry.stamp, true);
                self.identity_conflict(reason, &link.node_id, now.monotonic);
            } else if !is_foreign && own.named_in(entry.dot, entry.vector()) {
                self.heed(link, Listed::of(entry), now, map);
            } else {
                foreign = Some(entry.dot.origin);
            }
        }
    }

    /// Checks the lists of a peer for writes attributed to this node.
    pub(in crate::sync) fn heed_lists(
        &mut self,
        link: &Link,
        ranges: &Ranges,
        now: Now,
        map: &EntryMap,
    ) {
        let own = Own::of(self, map);
        for part in &ranges.parts {
            let Claim::List(listed) = &part.claim else {
                continue;
            };
            for listed in listed {
                if own.named_in(listed.dot, &listed.vector) {
                    self.heed(link, listed.clone(), now, map);
                }
            }
        }
    }

    fn heed(&mut self, link: &Link, mut listed: Listed, now: Now, map: &EntryMap) {
        if self.has_identity_conflict() || is_broken(Rule::TwinWritesUnheeded) {
            return;
        }
        if let Some(key) = sibling_user_key(&listed.key, listed.dot) {
            // A sibling is stored as the write that it keeps, by every node that keeps it.
            listed.key = [&[Namespace::User as u8], key].concat();
        }
        let Ok(held) = map.entry(&listed.key) else {
            // An unreadable key proves nothing.
            return;
        };
        let own = Own::of(self, map);
        if is_unaccounted(&listed, &own, held.as_deref()) {
            let is_author = own.limit_of(listed.dot.origin).is_some();
            let reason = self.reason_of(listed.stamp, is_author);
            self.identity_conflict(reason, &link.node_id, now.monotonic);
        }
    }

    /// The likely reason for the conflict, from the write's stamp. Only a guess for people: clocks may be wrong.
    fn reason_of(&self, stamp: Stamp, is_author: bool) -> IdentityConflictReason {
        if is_author && self.renewals.had_met(stamp.wall()) {
            IdentityConflictReason::Shared
        } else {
            IdentityConflictReason::WentBack
        }
    }
}

/// The authors under which this node writes or has written.
struct Own<'a> {
    identity: Origin,
    author: Origin,
    /// The last sequence number given under the present author.
    last: u64,
    lineage: &'a Lineage,
}

impl<'a> Own<'a> {
    fn of(replica: &Replica, map: &'a EntryMap) -> Self {
        Self {
            identity: replica.origin,
            author: replica.author,
            last: replica.last_sequence,
            lineage: map.lineage(),
        }
    }

    /// The last sequence number that this node gave under `author`; `None` if the author is not its own, or belongs to
    /// an earlier identity, under which a copy is already known to go on.
    fn limit_of(&self, author: Origin) -> Option<u64> {
        if author == self.author {
            return Some(self.last);
        }
        if self.lineage.identity_of(author) != self.identity {
            return None;
        }
        self.lineage.seen_up_to(self.author, author)
    }

    /// True if the dot or the version vector names a write under one of this node's authors.
    fn named_in(&self, dot: Dot, vector: &[Dot]) -> bool {
        let mut seen = std::iter::once(&dot).chain(vector);
        seen.any(|seen| self.limit_of(seen.origin).is_some())
    }
}

/// True if an entry is a lineage record of this node's identity that none of its authors wrote: a copy of the node
/// writes too.
fn is_foreign_lineage(entry: &Entry, own: &Own<'_>) -> bool {
    identity_in(entry.key()) == Some(own.identity) && own.limit_of(entry.dot.origin).is_none()
}

/// True if a peer's version of a key names a write under one of this node's authors which this node has not made, or
/// has lost. `held`: this node's entry of the key.
fn is_unaccounted(listed: &Listed, own: &Own<'_>, held: Option<&Entry>) -> bool {
    let seen = std::iter::once(&listed.dot).chain(&listed.vector);
    let limits = seen.filter_map(|seen| Some((seen.sequence, own.limit_of(seen.origin)?)));
    let (mut newest, mut is_own) = (0, false);
    for (sequence, limit) in limits {
        if sequence > limit {
            return true;
        }
        (newest, is_own) = (newest.max(sequence), true);
    }
    if !is_own {
        return false;
    }
    if own.limit_of(listed.dot.origin).is_some() {
        return held.is_none_or(|held| {
            let order = listed.order(held);
            order.is_gt() || (listed.dot == held.dot && order.is_ne())
        });
    }
    // The removal of a sibling names the sibling's write in its vector, and the author of that write need not have
    // kept it.
    let is_of_user = listed.key.first() == Some(&(Namespace::User as u8));
    let is_older =
        |held: &Entry| own.limit_of(held.dot.origin).is_some() && held.dot.sequence < newest;
    is_of_user && held.is_none_or(is_older)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conflict::policy::sibling_key;
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

    fn own(lineage: &Lineage) -> Own<'_> {
        Own {
            identity: OWN,
            author: OWN,
            last: LAST,
            lineage,
        }
    }

    fn shows(reported: &Entry, held: Option<&Entry>) -> bool {
        let lineage = Lineage::default();
        is_unaccounted(&Listed::of(reported), &own(&lineage), held)
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
        // The held write may have replaced it without knowing it.
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
        // Nothing of the key is here, as where numbers were reserved and not given.
        assert!(shows(&own, None));
        // The reported write would replace the held one.
        assert!(shows(&entry(OWN, 6, 101, "b", &[]), Some(&own)));
        assert!(shows(&entry(OWN, 4, 101, "b", &[]), Some(&own)));
        // The reported dot is the held one, with another stamp or another value.
        assert!(shows(&entry(OWN, 5, 99, "a", &[]), Some(&own)));
        assert!(shows(&entry(OWN, 5, 100, "b", &[]), Some(&own)));
        assert!(shows(&entry(OWN, 5, 100, "c", &[]), Some(&own)));
        // The author of the reported write knew a later write of this key than there is.
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
            key: sibling_key(b"\0key", loser),
            stamp: Stamp(200),
            dot: Dot {
                origin: OTHER,
                sequence: 70,
            },
            content_hash: None,
            vector: vec![loser],
        };
        let lineage = Lineage::default();
        assert!(!is_unaccounted(&removal, &own(&lineage), None));
        let later = Listed {
            vector: vec![Dot {
                sequence: LAST + 1,
                ..loser
            }],
            ..removal
        };
        assert!(is_unaccounted(&later, &own(&lineage), None));
    }
}
