//! Nodes of a version to come: their writes carry an extension area, which all other nodes keep and relay untouched
//! (`docs/internals/replication.md`, section 3). A node that held a write without it would hold an entry that nobody
//! wrote.

use crate::core::identity::Dot;
use crate::store::conflict::policy::loser_of;
use crate::store::entry::{Entry, Extra};
use crate::store::state::totals::is_user;

/// The extension that a newer node adds to a write, of different content and length for each.
fn extension_of(dot: Dot) -> Vec<u8> {
    let length = 1 + usize::try_from(dot.sequence % 40).unwrap();
    dot.sequence
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(length)
        .collect()
}

fn extended(entry: &Entry) -> Entry {
    let payload = [entry.key(), entry.value().unwrap_or_default()].concat();
    let extra = Extra {
        vector: entry.vector().to_vec(),
        extension: extension_of(entry.dot),
    };
    let extended = Entry::new(
        payload.into(),
        entry.key().len(),
        entry.flags,
        entry.dot,
        entry.stamp,
        entry.version,
        extra,
    );
    extended.unwrap()
}

/// Adds extensions to the entries that a newer node makes in one group: its writes, and their copies kept or reported
/// as losers in the same group. Siblings of others are not touched, nor is a write that a policy repeats with an
/// extension.
pub(super) fn extend<'a>(made: impl Iterator<Item = &'a mut Entry>, told: &mut [Entry]) {
    let mut written = Vec::new();
    for entry in made.filter(|entry| entry.extension().is_empty()) {
        if is_user(entry) {
            written.push(entry.clone());
            *entry = extended(entry);
        } else if loser_of(entry).is_some_and(|loser| written.contains(&loser)) {
            *entry = extended(entry);
        }
    }
    for loser in told.iter_mut().filter(|loser| written.contains(loser)) {
        *loser = extended(loser);
    }
}
