//! Any histories of concurrent writes under any policies.

use proptest::prelude::*;

use super::conflicts::{Writer, origin};
use super::*;
use crate::store::conflict::policy::{
    ConflictPolicy::{self, KeepLocal, KeepRemote, LastWriteWins, Manual},
    loser_of,
};

#[derive(Debug, Clone)]
enum Event {
    Put(usize, u8),
    Remove(usize, u8),
    Resolve(usize, u8),
    /// One node takes in some entries of another.
    Exchange(usize, usize, u64),
}

fn events(nodes: usize) -> impl Strategy<Value = Vec<Event>> {
    let put = (0..nodes, 0_u8..3).prop_map(|(node, key)| Event::Put(node, key));
    let remove = (0..nodes, 0_u8..3).prop_map(|(node, key)| Event::Remove(node, key));
    let resolve = (0..nodes, 0_u8..3).prop_map(|(node, key)| Event::Resolve(node, key));
    let exchange = (0..nodes, 0..nodes, any::<u64>())
        .prop_map(|(from, to, some)| Event::Exchange(from, to, some));
    let event = prop_oneof![4 => put, 1 => remove, 1 => resolve, 5 => exchange];
    proptest::collection::vec(event, 1..40)
}

fn policies() -> impl Strategy<Value = Vec<ConflictPolicy>> {
    let policy = prop_oneof![
        Just(LastWriteWins),
        Just(KeepLocal),
        Just(KeepRemote),
        Just(Manual)
    ];
    proptest::collection::vec(policy, 4)
}

/// Runs the history. Returns the nodes, the number of requested writes, and every write that was made.
fn live(policies: &[ConflictPolicy], events: &[Event]) -> (Vec<Writer>, u64, Vec<Entry>) {
    let all = policies.iter().zip(1_u64..);
    let mut nodes: Vec<Writer> = all
        .map(|(policy, author)| Writer::new(author, *policy))
        .collect();
    let (mut asked, mut written) = (0, Vec::new());
    for (number, event) in events.iter().enumerate() {
        let node = match event {
            Event::Put(node, key) => {
                nodes[*node].put(&[b'k', *key], format!("{number}").as_bytes());
                *node
            }
            Event::Remove(node, key) => {
                let operation = Operation::remove(&[b'k', *key]).unwrap();
                nodes[*node].commit(vec![Request::Write {
                    ticket: 1,
                    operation,
                }]);
                *node
            }
            Event::Resolve(node, key) => {
                nodes[*node].resolve(&[b'k', *key], format!("{number}").as_bytes());
                *node
            }
            Event::Exchange(from, to, some) => {
                let chosen = nodes[*from].all().into_iter().zip(0..);
                let chosen = chosen.filter(|(_, place)| some >> (place % 64) & 1 == 1);
                let chosen = chosen.map(|(entry, _)| entry).collect();
                nodes[*to].receive(chosen);
                continue;
            }
        };
        asked += 1;
        let own = nodes[node].all().into_iter();
        written.extend(
            own.filter(|entry| entry.dot.origin == origin(node as u64 + 1) && entry.key()[0] == 0),
        );
    }
    // Afterwards every node hears of everything until none has news.
    let mut rounds = 0;
    loop {
        let before: Vec<_> = nodes.iter().map(|node| node.map.summary()).collect();
        for from in 0..nodes.len() {
            for to in 0..nodes.len() {
                let all = nodes[from].all();
                nodes[to].receive(all);
            }
        }
        let after: Vec<_> = nodes.iter().map(|node| node.map.summary()).collect();
        if before == after {
            return (nodes, asked, written);
        }
        rounds += 1;
        assert!(rounds < 20, "they write for ever");
    }
}

proptest! {
    #[test]
    fn any_histories_under_any_policies_end_in_one_state(policies in policies(), events in events(4)) {
        let (nodes, asked, _) = live(&policies, &events);
        for node in &nodes {
            prop_assert_eq!(node.all(), nodes[0].all());
            prop_assert_eq!(node.conflicts(), nodes[0].conflicts());
        }
        let rewritten_by_policy: u64 = nodes.iter().flat_map(Writer::all_own).filter(|own| own.flags.contains(EntryFlags::REWRITTEN_BY_POLICY)).count() as u64;
        prop_assert!(rewritten_by_policy <= asked);
    }

    #[test]
    fn under_manual_no_write_is_lost_that_nobody_replaced_knowingly(events in events(4)) {
        // Two removals have equal content, so one of them may vanish, and with it the writes that it replaced.
        let puts: Vec<Event> = events.into_iter().filter(|event| !matches!(event, Event::Remove(..))).collect();
        let (nodes, _, written) = live(&[Manual; 4], &puts);
        let all = nodes[0].all();
        for write in written {
            let known = all.iter().any(|held| {
                let held = loser_of(held).unwrap_or_else(|| held.clone());
                held.key() == write.key() && held.has_seen(write.dot, nodes[0].map.lineage())
            });
            prop_assert!(known, "{:?} is gone", write);
        }
    }
}
