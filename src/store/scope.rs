//! Scopes: a part of the data, given by prefixes of users' keys.
//!
//! A scope is decided by the bytes of the stored key. A sibling lies under the user's key followed by the dot of the
//! write, so it is in the scope of its user's key. Where a prefix is longer than the whole key, the bytes of the dot
//! may happen to match the rest of the prefix, and the sibling is in a scope in which its key is not. Both sides of a
//! connection decide this alike, and the only effect is a sibling that is shown to nobody.

use std::sync::Arc;

use super::entry::Namespace;
use crate::core::limits::KEY_BYTES_MAX;
use crate::store::entry::REPLICATED_END;

/// Most prefixes that one side of a connection may name.
pub const PREFIXES_MAX: usize = 64;

/// Most bytes of all prefixes that one side names: a HELLO has to fit the limit for strangers.
pub const PREFIXES_BYTES_MAX: usize = 8 << 10;

/// A part of the data. The default is all of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(
    /// The prefixes, sorted, none of which begins with another; `None`: all keys. Shared, because every connection has
    /// one and most are equal.
    Option<Arc<[Box<[u8]>]>>,
);

impl Scope {
    /// The scope of all keys.
    pub const ALL: Self = Self(None);

    /// The scope of no key.
    pub fn nothing() -> Self {
        Self(Some(Arc::from([])))
    }

    /// The scope of the keys that begin with one of these prefixes; of no key if there are none. Every key begins with
    /// the empty prefix.
    pub fn of(prefixes: impl IntoIterator<Item = impl Into<Box<[u8]>>>) -> Self {
        let mut prefixes: Vec<Box<[u8]>> = prefixes.into_iter().map(Into::into).collect();
        if prefixes.iter().any(|prefix| prefix.is_empty()) {
            return Self::ALL;
        }
        prefixes.sort_unstable();
        // Keys with a prefix follow it in order, with no other keys in between.
        prefixes.dedup_by(|later, earlier| later.starts_with(earlier));
        Self(Some(prefixes.into()))
    }

    /// True if the scope is all keys.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// True if the scope is no key at all.
    pub fn is_nothing(&self) -> bool {
        self.0.as_ref().is_some_and(|prefixes| prefixes.is_empty())
    }

    /// The prefixes, sorted, none of which begins with another; `None`: all keys.
    pub fn prefixes(&self) -> Option<&[Box<[u8]>]> {
        self.0.as_deref()
    }

    /// True if the scope is within the limits of a HELLO, so that one side may name it.
    pub fn can_be_told(&self) -> bool {
        let prefixes = self.prefixes().unwrap_or_default();
        let bytes: usize = prefixes.iter().map(|prefix| prefix.len()).sum();
        let is_long = |prefix: &[u8]| prefix.len() > KEY_BYTES_MAX;
        prefixes.len() <= PREFIXES_MAX
            && bytes <= PREFIXES_BYTES_MAX
            && !prefixes.iter().any(|prefix| is_long(prefix))
    }

    /// True if the scope holds a key of a user, given without its namespace.
    pub fn holds(&self, key: &[u8]) -> bool {
        let Some(prefixes) = &self.0 else {
            return true;
        };
        // No prefix begins with another, so only the last one at or before the key can be its prefix.
        let behind = prefixes.partition_point(|prefix| prefix[..] <= *key);
        let last = behind.checked_sub(1).and_then(|place| prefixes.get(place));
        last.is_some_and(|prefix| key.starts_with(prefix))
    }

    /// True if the scope holds a stored key. Never true for keys that are not replicated, and always for keys of the
    /// system namespace.
    pub fn contains(&self, key: &[u8]) -> bool {
        match Namespace::of(key) {
            Some(Namespace::User | Namespace::Conflict) => {
                self.holds(key.get(1..).unwrap_or_default())
            }
            Some(Namespace::System) => !self.is_nothing(),
            Some(Namespace::Local) | None => false,
        }
    }

    /// True if the scope holds everything in `other`.
    pub fn covers(&self, other: &Self) -> bool {
        match &other.0 {
            None => self.is_all(),
            Some(prefixes) => prefixes.iter().all(|prefix| self.holds(prefix)),
        }
    }

    /// The scope of the keys that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (Some(mine), Some(theirs)) = (&self.0, &other.0) else {
            return if self.is_all() { other } else { self }.clone();
        };
        let both = mine.iter().filter(|prefix| other.holds(prefix));
        let both = both.chain(theirs.iter().filter(|prefix| self.holds(prefix)));
        Self::of(both.cloned())
    }

    /// The ranges of stored keys in the scope, in order: the first key of each, and the key that it ends before.
    pub fn ranges(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Some(prefixes) = &self.0 else {
            return vec![(Vec::new(), REPLICATED_END.to_vec())];
        };
        if prefixes.is_empty() {
            return Vec::new();
        }
        let mut ranges = Vec::with_capacity(2 * prefixes.len() + 1);
        for namespace in [Namespace::User, Namespace::Conflict] {
            for prefix in prefixes.iter() {
                let from = [&[namespace as u8], &prefix[..]].concat();
                let to = behind_all(&from);
                ranges.push((from, to));
            }
        }
        ranges.push((vec![Namespace::System as u8], REPLICATED_END.to_vec()));
        ranges
    }
}

/// The shortest key after all keys that begin with `prefix`, whose first byte must not be the greatest.
fn behind_all(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(prefixes) = &self.0 else {
            return f.write_str("all");
        };
        let shown = prefixes
            .iter()
            .map(|prefix| String::from_utf8_lossy(prefix));
        f.debug_list().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(vec![b'a', b'b', 0, 255]), 0..4)
    }

    fn scopes() -> impl Strategy<Value = Scope> {
        let some = prop::collection::vec(keys(), 0..5).prop_map(Scope::of);
        prop_oneof![8 => some, 1 => Just(Scope::ALL), 1 => Just(Scope::nothing())]
    }

    fn is_in(key: &[u8], scope: &Scope) -> bool {
        let prefixes = scope.prefixes();
        prefixes.is_none_or(|all| all.iter().any(|prefix| key.starts_with(prefix)))
    }

    fn stored() -> impl Strategy<Value = Vec<u8>> {
        (0u8..3, keys()).prop_map(|(namespace, key)| [&[namespace], &key[..]].concat())
    }

    proptest! {
        #[test]
        fn it_is_the_least_that_says_the_same(given in prop::collection::vec(keys(), 0..5), key in keys()) {
            let scope = Scope::of(given.clone());
            let is_meant = given.iter().any(|prefix| key.starts_with(prefix));
            prop_assert_eq!(scope.holds(&key), is_meant);
            prop_assert_eq!(is_in(&key, &scope), is_meant);
            for (at, prefix) in scope.prefixes().unwrap_or_default().iter().enumerate() {
                for (other_at, other) in scope.prefixes().unwrap().iter().enumerate() {
                    prop_assert!(at == other_at || !prefix.starts_with(other));
                }
            }
            prop_assert_eq!(&Scope::of(scope.prefixes().unwrap_or(&[Box::from([])]).to_vec()), &scope);
        }

        #[test]
        fn an_intersection_is_what_is_in_both(a in scopes(), b in scopes(), c in scopes(), key in keys()) {
            let both = a.intersection(&b);
            prop_assert_eq!(both.holds(&key), a.holds(&key) && b.holds(&key));
            prop_assert_eq!(&both, &b.intersection(&a));
            prop_assert!(a.covers(&both) && b.covers(&both));
            prop_assert_eq!(both.intersection(&c), a.intersection(&b.intersection(&c)));
            prop_assert_eq!(a.covers(&b), a.intersection(&b) == b);
        }

        #[test]
        fn its_ranges_follow_each_other_and_are_what_it_contains(scope in scopes(), key in stored()) {
            let ranges = scope.ranges();
            for pair in ranges.windows(2) {
                prop_assert!(pair[0].0 < pair[0].1 && pair[0].1 <= pair[1].0);
            }
            let is_inside = ranges.iter().any(|(from, to)| *from <= key && key < *to);
            prop_assert_eq!(is_inside, scope.contains(&key), "{:?}", ranges);
        }
    }

    #[test]
    fn what_may_be_told_has_limits() {
        let some = |count: usize, bytes: usize| {
            Scope::of((0..count).map(|at| {
                let mut prefix = vec![b'.'; bytes];
                prefix[..2].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
                prefix
            }))
        };
        assert!(Scope::ALL.can_be_told() && Scope::nothing().can_be_told());
        assert!(some(64, 128).can_be_told());
        assert!(!some(65, 2).can_be_told());
        assert!(!some(9, 1024).can_be_told());
        assert!(some(1, 1024).can_be_told());
        assert!(!some(1, 1025).can_be_told());
    }

    #[test]
    fn nothing_is_in_nothing() {
        let nothing = Scope::of([b"a".to_vec()]).intersection(&Scope::of([b"b".to_vec()]));
        assert!(nothing.is_nothing() && nothing == Scope::nothing());
        assert!(!nothing.contains(b"\0a") && !nothing.contains(b"\x02a"));
        assert!(nothing.ranges().is_empty());
        assert!(!Scope::ALL.contains(b"\x03a"));
    }
}
