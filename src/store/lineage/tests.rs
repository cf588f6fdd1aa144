//! Lineage records: what they prove, and what they never prove.

use super::*;
use crate::core::stamp::Stamp;
use crate::store::entry::{EntryFlags, Extra};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn author(number: u64) -> Origin {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Origin(bytes)
}

/// Authors, each with its parent and the sequence up to which the parent was seen.
type Tree = BTreeMap<u64, Option<(u64, u64)>>;

fn tree(choices: &[(u64, u64)]) -> Tree {
    let mut tree = Tree::from([(0, None)]);
    for (child, (parent, up_to)) in (1..).zip(choices) {
        tree.insert(child, Some((parent % child, *up_to)));
    }
    tree
}

/// The sequence up to which an author has seen another, found by walking towards the root.
fn seen_up_to(tree: &Tree, from: u64, ancestor: u64) -> Option<u64> {
    if from == ancestor {
        return Some(u64::MAX);
    }
    let mut at = from;
    while let Some((parent, up_to)) = tree[&at] {
        if parent == ancestor {
            return Some(up_to);
        }
        at = parent;
    }
    None
}

fn record(child: u64, parent: u64, up_to: u64) -> LineageRecord {
    LineageRecord {
        identity: author(1_000 + parent % 3),
        number: 0,
        foreign: 0,
        node_id: "node".to_owned(),
        authors: vec![(author(parent), up_to), (author(child), 0)],
    }
}

mod every_history;

proptest! {
    #[test]
    fn it_says_what_a_walk_to_the_root_says_in_whatever_order_it_was_told(
        choices in prop::collection::vec((any::<u64>(), 0_u64..50), 0..24), order: u64,
    ) {
        let tree = tree(&choices);
        let mut links: Vec<_> = tree.iter().filter_map(|(child, parent)| Some((*child, (*parent)?))).collect();
        let shuffled = |child: u64| (child + 1).wrapping_mul(order | 1) % 257;
        links.sort_by_key(|(child, _)| shuffled(*child));
        let mut lineage = Lineage::default();
        for (child, (parent, up_to)) in &links {
            lineage.add(&record(*child, *parent, *up_to));
        }
        for from in tree.keys() {
            for ancestor in tree.keys() {
                    prop_assert_eq!(
                        lineage.seen_up_to(author(*from), author(*ancestor)), seen_up_to(&tree, *from, *ancestor),
                        "{} of {} in {:?}", ancestor, from, tree
                    );
            }
        }
        prop_assert!(links.iter().all(|(child, (parent, up_to))| !lineage.add(&record(*child, *parent, *up_to))));
    }

    #[test]
    fn what_contradicts_itself_ends(links in prop::collection::vec((0_u64..6, 0_u64..6, 0_u64..9), 0..40)) {
        let mut lineage = Lineage::default();
        for (child, parent, up_to) in links {
            lineage.add(&record(child, parent, up_to));
        }
        for from in 0..6 {
            for ancestor in 0..6 {
                let mutual = lineage.seen_up_to(author(from), author(ancestor)).is_some()
                    && lineage.seen_up_to(author(ancestor), author(from)).is_some();
                prop_assert!(from == ancestor || !mutual);
            }
        }
    }

    #[test]
    fn a_record_reads_back_and_any_bytes_are_met(
        number: u64, label in "[a-z]{0,20}", authors in prop::collection::vec((any::<u64>(), any::<u64>()), 0..=AUTHORS_PER_RECORD),
        junk: Vec<u8>,
    ) {
        let record = LineageRecord {
            identity: author(7), number, foreign: 1, node_id: label,
            authors: authors.into_iter().map(|(name, up_to)| (author(name), up_to)).collect(),
        };
        let entry = |value: Vec<u8>| {
            let key = record.key();
            let payload = [&key[..], &value].concat().into();
            Entry::new(payload, key.len(), EntryFlags::default(), Dot::default(), Stamp::default(), 1, Extra::default()).unwrap()
        };
        prop_assert_eq!(LineageRecord::of(&entry(record.value())), Some(record.clone()));
        let _ = LineageRecord::of(&entry(junk));
    }
}

#[test]
fn a_node_goes_on_through_more_openings_than_a_record_names() {
    let mut authorship = Authorship::new(author(0));
    let mut lineage = Lineage::default();
    let mut keys = std::collections::BTreeSet::new();
    let openings = 3 * AUTHORS_PER_RECORD as u64 * RECORDS_PER_IDENTITY;
    for opening in 1..=openings {
        authorship.has_written = true;
        authorship.go_on_as(author(opening), opening * 10);
        assert!(authorship.is_undeclared(author(0)));
        let record = authorship.record(author(0), "node");
        assert!(record.authors.len() <= AUTHORS_PER_RECORD);
        keys.insert(record.key());
        lineage.add(&record);
    }
    assert_eq!(keys.len() as u64, RECORDS_PER_IDENTITY);
    let last = author(openings);
    for opening in [0, 1, openings / 2, openings - 1] {
        let up_to = (opening + 1) * 10;
        assert_eq!(lineage.seen_up_to(last, author(opening)), Some(up_to));
        assert_eq!(lineage.seen_up_to(author(opening), last), None);
    }
    assert_eq!(lineage.label_of(last), Some("node"));
    assert_eq!(lineage.identity_of(last), author(0));
}

#[test]
fn an_opening_that_writes_nothing_leaves_no_trace() {
    let mut authorship = Authorship::new(author(0));
    assert!(!authorship.is_undeclared(author(0)));
    authorship.has_written = true;
    authorship.go_on_as(author(1), 5);
    authorship.go_on_as(author(2), 5);
    let record = authorship.record(author(0), "node");
    assert_eq!(record.authors, [(author(0), 5), (author(2), 0)]);
}

#[test]
fn each_author_of_a_node_that_wrote_nothing_at_first_is_known_to_be_its() {
    let mut authorship = Authorship::new(author(0));
    authorship.go_on_as(author(1), 0);
    authorship.go_on_as(author(2), 0);
    let mut records = BTreeMap::new();
    let openings = 3 * AUTHORS_PER_RECORD as u64;
    for opening in 2..openings {
        assert!(authorship.is_undeclared(author(0)));
        authorship.has_written = true;
        let record = authorship.record(author(0), "node");
        assert!(record.authors.len() <= AUTHORS_PER_RECORD);
        records.insert(record.key(), record);
        // The lineage of a node that receives only the newest record.
        let mut lineage = Lineage::default();
        for record in records.values() {
            lineage.add(record);
        }
        for earlier in 2..=opening {
            assert_eq!(lineage.identity_of(author(earlier)), author(0), "{earlier}");
            assert_eq!(lineage.label_of(author(earlier)), Some("node"));
        }
        authorship.go_on_as(author(opening + 1), opening * 10);
    }
}

#[test]
fn no_more_authors_are_held_than_there_is_room_for() {
    let mut lineage = Lineage::default();
    for child in 1..=(AUTHORS_MAX as u64 + 100) {
        lineage.add(&record(child, child - 1, 1));
    }
    assert_eq!(lineage.places.len(), AUTHORS_MAX);
    let beyond = author(AUTHORS_MAX as u64 + 50);
    assert_eq!(lineage.seen_up_to(beyond, author(3)), None);
    assert!(lineage.has_seen(
        author(9),
        Dot {
            origin: author(8),
            sequence: 1
        }
    ));
}
