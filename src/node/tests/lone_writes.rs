//! Inline commits beside writes of other threads.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::node::machine::conversation::PeerEvent;
use crate::node::{
    Change, Conflict, Failure, IdentityEvent, Node, NodeEvents, Operation, Options, Receipt,
};
use crate::store::commit::operation::Ticket;

/// Reported receipts, in order.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<Receipt>>);

impl NodeEvents for Told {
    fn committed(&self, _: Ticket, receipts: &[Receipt], failures: &[(Ticket, Failure)]) {
        assert!(failures.is_empty(), "{failures:?}");
        self.0.lock().extend_from_slice(receipts);
    }
    fn changed(&self, _: Vec<Change>) {}
    fn conflicted(&self, _: Vec<Conflict>) {}
    fn peer(&self, _: PeerEvent) {}
    fn identity(&self, _: IdentityEvent) {}
    fn failed(&self, failure: Failure) {
        panic!("{failure}");
    }
}

fn put(node: &Node, key: &str, value: &str) -> Ticket {
    let operation = Operation::put(key.as_bytes(), value.as_bytes(), true).unwrap();
    node.submit(operation).unwrap()
}

fn wait_for(node: &Node, key: &str, value: &str) {
    // The stored key: after the namespace of users' keys.
    let stored = [&[0], key.as_bytes()].concat();
    while node
        .read(&stored, |held, _| held == value.as_bytes())
        .unwrap()
        != Some(true)
    {
        std::thread::yield_now();
    }
}

#[test]
fn who_awaits_one_write_after_another_commits_them_himself_without_a_log() {
    let reported = Arc::new(Told::default());
    let node = Node::open(Options::local("a"), Arc::clone(&reported) as _).unwrap();
    let mut own = Vec::new();
    // Some writes are late where other processes want the processor, and go to the thread.
    for number in 1.. {
        let value = number.to_string();
        let ticket = put(&node, "key", &value);
        match node.commit_inline() {
            Some(receipt) => {
                assert_eq!((receipt.ticket, receipt.version), (ticket, number));
                own.push(receipt);
            }
            None => wait_for(&node, "key", &value),
        }
        if own.len() == 100 {
            break;
        }
    }
    assert!(own.is_sorted_by(|a, b| a.version < b.version && a.sequence < b.sequence));
}

#[test]
fn each_write_is_told_once_and_kept_whoever_commits_it() {
    const EACH: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log").to_string_lossy().into_owned();
    let reported = Arc::new(Told::default());
    let node = Node::open(
        Options::persistent("a", path.clone()),
        Arc::clone(&reported) as _,
    )
    .unwrap();
    let own: Vec<Receipt> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..EACH / 20 {
                let operation = Operation::put(b"shared", b"theirs", true).unwrap();
                node.write_blocking(operation).unwrap();
                if number % 10 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut own = Vec::new();
        for number in 0..EACH {
            put(&node, "shared", "ours");
            let key = format!("key{number}");
            put(&node, &key, "value");
            node.wake();
            wait_for(&node, &key, "value");
            put(&node, "shared", "again");
            own.extend(node.commit_inline());
        }
        own
    });
    drop(node);
    let mut all = reported.0.lock().clone();
    assert!(all.is_sorted_by(|a, b| a.ticket < b.ticket && a.sequence < b.sequence));
    all.extend(own);
    all.sort_unstable_by_key(|receipt| receipt.ticket);
    let expected = (EACH * 3 + EACH / 20) as u64;
    assert!(all.iter().map(|receipt| receipt.ticket).eq(1..=expected));
    // Commits have the order of the calls.
    assert!(all.is_sorted_by(|a, b| a.sequence < b.sequence));

    let node = Node::open(Options::persistent("a", path), Arc::new(Told::default())).unwrap();
    assert_eq!(node.size_known(), EACH + 1);
    let recovered = node.stats().unwrap();
    assert_eq!(recovered.keys, EACH as u64 + 1);
}

#[test]
fn large_groups_that_follow_on_one_another_are_told_in_order_and_kept() {
    const COUNT: u64 = 400;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log").to_string_lossy().into_owned();
    let reported = Arc::new(Told::default());
    let node = Node::open(
        Options::persistent("a", path.clone()),
        Arc::clone(&reported) as _,
    )
    .unwrap();
    // Some twenty groups wait at once, so one is planned while another is made durable; keys recur in later ones.
    for number in 1..=COUNT {
        let value = format!("{number}-{}", "x".repeat(50_000));
        put(&node, &format!("key{}", number % 70), &value);
    }
    node.wake();
    while (reported.0.lock().len() as u64) < COUNT {
        std::thread::yield_now();
    }
    let receipts = reported.0.lock().clone();
    assert!(receipts.iter().map(|receipt| receipt.ticket).eq(1..=COUNT));
    for receipt in &receipts {
        assert_eq!(receipt.version, (receipt.ticket - 1) / 70 + 1);
    }
    drop(node);
    let node = Node::open(Options::persistent("a", path), Arc::new(Told::default())).unwrap();
    for number in COUNT - 69..=COUNT {
        let value = node
            .get(format!("key{}", number % 70).as_bytes())
            .unwrap()
            .unwrap();
        assert!(value.starts_with(format!("{number}-").as_bytes()));
    }
}
