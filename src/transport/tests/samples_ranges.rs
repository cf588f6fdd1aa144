//! Strategies for the steps of a reconciliation.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::samples::{any_origin, any_sequence, any_stamp, any_summary};
use crate::core::identity::Dot;
use crate::sync::message::{Claim, Listed, Part, Ranges};

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    (0_u8..3, vec(0_u8..4, 1..8)).prop_map(|(namespace, key)| [vec![namespace], key].concat())
}

fn any_listed(key: Vec<u8>) -> impl Strategy<Value = Listed> {
    (
        any_stamp(),
        any_origin(),
        any_sequence(),
        option::of(any::<u64>()),
        vec((any_origin(), any_sequence()), 0..3),
    )
        .prop_map(
            move |(stamp, origin, sequence, content_hash, seen)| Listed {
                key: key.clone(),
                stamp,
                dot: Dot { origin, sequence },
                content_hash,
                vector: seen
                    .into_iter()
                    .map(|(origin, sequence)| Dot { origin, sequence })
                    .collect(),
            },
        )
}

/// A claim about a range that holds the given keys.
fn any_claim(keys: Vec<Vec<u8>>) -> impl Strategy<Value = Claim> {
    let listed: Vec<_> = keys.iter().cloned().map(any_listed).collect();
    prop_oneof![
        Just(Claim::Settled),
        any_summary().prop_map(Claim::Sum),
        listed.prop_map(Claim::List),
        Just(Claim::All),
        Just(Claim::These(keys)),
    ]
}

pub(super) fn any_ranges() -> impl Strategy<Value = Ranges> {
    let bounds = proptest::collection::btree_set(any_key(), 0..40);
    let parts = (bounds, any::<bool>()).prop_flat_map(|(keys, to_the_end)| {
        let keys: Vec<Vec<u8>> = keys.into_iter().collect();
        // Every fourth key ends a part, which lists the keys before it.
        let groups: Vec<&[Vec<u8>]> = keys.chunks(4).collect();
        let count = groups.len();
        let parts: Vec<_> = groups
            .into_iter()
            .enumerate()
            .map(|(place, group)| {
                let (to, inner) = group.split_last().unwrap();
                let to = if to_the_end && place + 1 == count {
                    Vec::new()
                } else {
                    to.clone()
                };
                any_claim(inner.to_vec()).prop_map(move |claim| Part {
                    to: to.clone(),
                    claim,
                })
            })
            .collect();
        parts
    });
    (any::<u64>(), 1_u64.., parts).prop_map(|(exchange, step, parts)| Ranges {
        exchange,
        step,
        parts,
    })
}
