//! Classes of keys, where some peers take only a part of the keys: all keys that the same registered peers take are
//! one class.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::identity::Origin;
use crate::store::entry::Namespace;
use crate::store::scope::Scope;

/// Index of a class of keys.
pub(in crate::sync) type ClassId = usize;

/// The keys of users divided into classes, with the peers that take each class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sync) struct KeyClasses {
    /// The key at which each range of keys begins, in order, and the class of the range.
    begins: Vec<(Vec<u8>, ClassId)>,
    /// The peers that take the keys of each class but not all keys.
    takers: Vec<Vec<Origin>>,
    /// The peers that take all keys.
    everywhere: Vec<Origin>,
}

impl KeyClasses {
    /// The classes that the scopes of these peers make. `None` if every peer takes all keys.
    pub(in crate::sync) fn of<'a>(
        peers: impl Iterator<Item = (Origin, &'a Scope)>,
    ) -> Option<Self> {
        let mut key_classes = Self::default();
        let mut edges: BTreeMap<Vec<u8>, Vec<(Origin, bool)>> = BTreeMap::new();
        for (peer, scope) in peers {
            if scope.is_all() {
                key_classes.everywhere.push(peer);
                continue;
            }
            edges.entry(vec![Namespace::User as u8]).or_default();
            let is_of_user = |from: &[u8]| from.first() == Some(&(Namespace::User as u8));
            for (from, to) in scope.ranges() {
                if is_of_user(&from) {
                    edges.entry(from).or_default().push((peer, true));
                    edges.entry(to).or_default().push((peer, false));
                }
            }
        }
        let mut classes: BTreeMap<Vec<Origin>, ClassId> = BTreeMap::new();
        let mut takers: BTreeSet<Origin> = BTreeSet::new();
        for (begin, changes) in edges {
            // Ranges that end at a key are closed before those that begin there: a peer may have two adjacent ranges.
            for (peer, _) in changes.iter().filter(|(_, enters)| !enters) {
                takers.remove(peer);
            }
            let entering = changes.iter().filter(|(_, enters)| *enters);
            takers.extend(entering.map(|(peer, _)| *peer));
            let takers: Vec<Origin> = takers.iter().copied().collect();
            let next = classes.len();
            let class = *classes.entry(takers.clone()).or_insert(next);
            if class == next {
                key_classes.takers.push(takers);
            }
            key_classes.begins.push((begin, class));
        }
        (!key_classes.begins.is_empty()).then_some(key_classes)
    }

    /// True if both divide the keys alike, whichever peers take them.
    pub(in crate::sync) fn are_parted_like(&self, other: &Self) -> bool {
        self.begins == other.begins
    }

    /// Number of classes.
    pub(in crate::sync) fn len(&self) -> usize {
        self.takers.len()
    }

    /// The class of a stored key of a user.
    pub(in crate::sync) fn class_of(&self, key: &[u8]) -> ClassId {
        let behind = self.begins.partition_point(|(begin, _)| &begin[..] <= key);
        let zone = behind.checked_sub(1).and_then(|at| self.begins.get(at));
        zone.map_or(0, |(_, class)| *class)
    }

    /// The peers that take the keys of a class.
    pub(in crate::sync) fn takers(&self, class: ClassId) -> impl Iterator<Item = Origin> {
        let some = self.takers.get(class).map(Vec::as_slice);
        let all = self.everywhere.iter().chain(some.unwrap_or_default());
        all.copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes() -> impl Strategy<Value = Scope> {
        let prefix = "[ab]{0,3}".prop_map(String::into_bytes);
        let some = prop::collection::vec(prefix, 0..4).prop_map(Scope::of);
        prop_oneof![4 => some, 1 => Just(Scope::ALL)]
    }

    proptest! {
        #[test]
        fn the_takers_of_a_key_are_those_whose_scope_holds_it(
            scopes in prop::collection::vec(scopes(), 0..6),
            key in "[abc]{0,4}",
        ) {
            let peers = || scopes.iter().zip(0u8..).map(|(scope, at)| (Origin([at; 16]), scope));
            let mut expected: Vec<Origin> = peers()
                .filter(|(_, scope)| scope.holds(key.as_bytes()))
                .map(|(peer, _)| peer)
                .collect();
            let Some(key_classes) = KeyClasses::of(peers()) else {
                prop_assert!(scopes.iter().all(Scope::is_all));
                return Ok(());
            };
            let class = key_classes.class_of(&[b"\0", key.as_bytes()].concat());
            prop_assert!(class < key_classes.len());
            let mut found: Vec<Origin> = key_classes.takers(class).collect();
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
