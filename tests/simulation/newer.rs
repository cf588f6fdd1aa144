//! Nodes of a version that is to come: their writes carry something in the extension area, which all others keep and pass
//! on untouched (PROTOCOL section 3). Whoever held a write without it would hold what nobody wrote.

use crate::core::identity::Dot;
use crate::store::conflict::policy::loser_of;
use crate::store::entry::{Entry, Extra};
use crate::store::state::totals::is_user;

/// What a newer node adds to a write: something else, and of another length, to each.
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

/// Has what a newer node makes in one group carry an extension: its writes, and those of them that it keeps or tells of as
/// losers in the same group. What it keeps of others it does not touch, nor what a policy repeats with an extension.
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
