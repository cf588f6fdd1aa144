//! Removals of siblings are sent after all other entries: the value that settled them may need more turns to be
//! found, and a peer with the removal but without the value holds neither.

use super::{Side, entry, reconcile};
use crate::core::identity::{Dot, Origin};
use crate::core::stamp::Stamp;
use crate::store::conflict::policy::{kept, sibling_key};
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::sync::reconcile::removals::REMOVALS_MAX;

/// The key in conflict, in the middle of others that both sides hold.
const KEY: u32 = 2_500;

/// A loser of that key, kept by the nodes that saw it lose.
fn loser() -> Entry {
    entry(KEY, 1, 5, b"lost")
}

/// The removal of that sibling once the conflict is settled.
fn removal() -> Entry {
    let loser = loser();
    let key = sibling_key(&loser.key()[1..], loser.dot);
    let dot = Dot {
        origin: Origin([1; 16]),
        sequence: 10,
    };
    let (length, flags) = (key.len(), EntryFlags::TOMBSTONE);
    let stamp = Stamp(10 << 16);
    Entry::new(key.into(), length, flags, dot, stamp, 2, Extra::default()).unwrap()
}

#[test]
fn what_settled_a_conflict_is_found_later_and_goes_out_first() {
    for settled in [0, 1] {
        // A side that holds little at the end lists it at once, and then the other one sends, or asks for it;
        // elsewhere both send sums first.
        for holds_little in [0, 1] {
            let mut sides = [Side::new(), Side::new()];
            for key in 0..5_000 {
                for (at, side) in sides.iter_mut().enumerate() {
                    if at != holds_little || key < 4_850 {
                        side.put(entry(key, 2, 9, b"shared"));
                    }
                }
            }
            sides[1 - settled].put(kept(&loser()).unwrap());
            sides[settled].put(removal());
            let settling = entry(KEY, 9, 1, b"settled");
            sides[settled].put(settling.clone());
            reconcile(&mut sides);
            assert_eq!(sides[0].state(), sides[1].state());
            let sent = &sides[settled].sent;
            assert!(sent.iter().any(|key| key == settling.key()));
            assert_eq!(
                sent.last().unwrap(),
                removal().key(),
                "{settled}, {holds_little}"
            );
        }
    }
}

/// A loser of any key, and its removal.
fn of(key: u32) -> (Entry, Entry) {
    let loser = entry(key, 1, 5, b"lost");
    let stored = sibling_key(&loser.key()[1..], loser.dot);
    let dot = Dot {
        origin: Origin([1; 16]),
        sequence: u64::from(key) + 10,
    };
    let (length, flags) = (stored.len(), EntryFlags::TOMBSTONE);
    let (stamp, extra) = (Stamp(10 << 16), Extra::default());
    let removal = Entry::new(stored.into(), length, flags, dot, stamp, 2, extra).unwrap();
    (kept(&loser).unwrap(), removal)
}

#[test]
fn however_many_there_are_few_are_remembered_at_once_and_all_go_out_behind_all_else() {
    for on_both in [false, true] {
        let mut sides = [Side::new(), Side::new()];
        let removed = 20 * u32::try_from(REMOVALS_MAX).unwrap();
        for key in 0..removed {
            let (loser, removal) = of(key);
            let at = usize::from(on_both && key % 3 == 0);
            sides[1 - at].put(loser);
            sides[at].put(removal);
            for side in &mut sides {
                side.put(entry(key, 1, 9, b"shared"));
            }
        }
        let settling: Vec<Entry> = (0..removed)
            .step_by(97)
            .map(|key| entry(key, 9, 1, b"settled"))
            .collect();
        for entry in &settling {
            sides[0].put(entry.clone());
        }
        reconcile(&mut sides);
        assert_eq!(sides[0].state(), sides[1].state());
        for side in &sides {
            assert!(side.remembered <= REMOVALS_MAX, "{}", side.remembered);
        }
        let sent = &sides[0].sent;
        let first = sent.iter().position(|key| key[0] == 1).unwrap();
        assert_eq!(first, settling.len(), "{on_both}");
        assert!(sent[first..].iter().all(|key| key[0] == 1));
        let once: std::collections::BTreeSet<_> = sent.iter().collect();
        assert!(
            sent.len() <= once.len() + REMOVALS_MAX,
            "little is sent twice"
        );
    }
}
