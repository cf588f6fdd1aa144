//! The order of entries of one key: total, and equal in every direction of comparison.

use std::cmp::Ordering;

use proptest::prelude::*;

use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::entry::{Entry, EntryFlags, Extra};

/// Entries with few values for each part, so that many are equal.
fn entries() -> impl Strategy<Value = Entry> {
    let value = proptest::option::of(proptest::collection::vec(0_u8..2, 0..3));
    (0_u64..3, 0_u8..3, 1_u64..3, value, 1_u64..3, 0_u8..2).prop_map(
        |(stamp, origin, sequence, value, version, ascii)| {
            let mut payload = b"\0k".to_vec();
            payload.extend(value.iter().flatten());
            let kind = if value.is_none() {
                EntryFlags::TOMBSTONE
            } else {
                EntryFlags(ascii * EntryFlags::ASCII.0)
            };
            let dot = Dot {
                origin: Origin([origin; 16]),
                sequence,
            };
            Entry::new(
                payload.into(),
                2,
                kind,
                dot,
                Stamp(stamp),
                version,
                Extra::default(),
            )
            .unwrap()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn it_is_total_antisymmetric_and_transitive(a in entries(), b in entries(), c in entries()) {
        prop_assert_eq!(a.order(&a), Ordering::Equal);
        prop_assert_eq!(a.order(&b), b.order(&a).reverse());
        if a.order(&b).is_le() && b.order(&c).is_le() {
            prop_assert!(a.order(&c).is_le());
        }
        if a.order(&b) == Ordering::Equal {
            prop_assert_eq!(a.order(&c), b.order(&c));
            // Entries that the order does not tell apart are equal to every reader.
            prop_assert_eq!(a.value(), b.value());
            prop_assert_eq!(a.flags, b.flags);
            prop_assert_eq!(a.dot, b.dot);
        }
    }

    #[test]
    fn stamp_comes_before_origin_and_origin_before_sequence(a in entries(), b in entries()) {
        if a.stamp != b.stamp {
            prop_assert_eq!(a.order(&b), a.stamp.cmp(&b.stamp));
        } else if a.dot.origin != b.dot.origin {
            prop_assert_eq!(a.order(&b), a.dot.origin.cmp(&b.dot.origin));
        } else if a.dot.sequence != b.dot.sequence {
            prop_assert_eq!(a.order(&b), a.dot.sequence.cmp(&b.dot.sequence));
        }
    }

    #[test]
    fn what_differs_in_stamp_dot_kind_or_content_differs_in_its_fingerprint(a in entries(), b in entries()) {
        let content = |entry: &Entry| entry.value().map(|value| (entry.flags, value.to_vec()));
        let same = (a.stamp, a.dot, content(&a)) == (b.stamp, b.dot, content(&b));
        prop_assert_eq!(a.fingerprint() == b.fingerprint(), same);
    }
}
