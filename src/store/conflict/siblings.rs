//! Siblings: writes of one key that were made apart and are kept. Which of them are open, in time that grows with their
//! number and not with its square: a peer can bring any number of them.

use std::collections::{BTreeSet, HashMap};

use super::open_conflicts::OpenConflict;
use crate::core::identity::Origin;
use crate::core::limits::VECTOR_ORIGINS_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;
use crate::store::lineage::Lineage;
use crate::store::state::map::EntryMap;

/// What some entries of one key had seen, taken together; as [`Entry::follows`] says it of one.
#[derive(Default)]
struct Seen {
    /// The newest write of each author that one of them is, or had seen.
    newest: HashMap<Origin, u64>,
    /// Those with a full vector: what it cannot tell counts as seen.
    full: Vec<Entry>,
    /// The first authors of them that lineage knows of, at most [`LINEAGE_LOOKED_AT`].
    with_lineage: Vec<Origin>,
}

/// Authors of one key's siblings whose lineage is looked at, which each sibling costs a look at each of. Beyond that a
/// sibling that was seen only by lineage is shown: one too many, and not one too few.
const LINEAGE_LOOKED_AT: usize = 256;

impl Seen {
    fn add(&mut self, entry: &Entry, lineage: &Lineage) {
        for dot in entry.vector().iter().chain([&entry.dot]) {
            let is_new = !self.newest.contains_key(&dot.origin);
            if is_new
                && self.with_lineage.len() < LINEAGE_LOOKED_AT
                && !lineage.is_unknown(dot.origin)
            {
                self.with_lineage.push(dot.origin);
            }
            let newest = self.newest.entry(dot.origin).or_default();
            *newest = dot.sequence.max(*newest);
        }
        if entry.vector().len() == VECTOR_ORIGINS_MAX {
            self.full.push(entry.clone());
        }
    }

    fn has(&self, entry: &Entry, lineage: &Lineage) -> bool {
        let newest = self.newest.get(&entry.dot.origin);
        newest.is_some_and(|newest| *newest >= entry.dot.sequence)
            || self.full.iter().any(|full| full.follows(entry, lineage))
            || !lineage.is_unknown(entry.dot.origin)
                && self
                    .with_lineage
                    .iter()
                    .any(|author| lineage.has_seen(*author, entry.dot))
    }
}

/// The conflict of a key that shows `current`: with those of its siblings that neither that nor another of them knows of,
/// newest first. `None` if there are none.
pub fn open_among(current: Entry, siblings: Vec<Entry>, lineage: &Lineage) -> Option<OpenConflict> {
    let open = siblings
        .into_iter()
        .filter(|one| is_open(one, &current, lineage));
    let mut open: Vec<Entry> = open.collect();
    open.sort_by(|a, b| b.order(a));
    let mut seen = Seen::default();
    open.retain(|sibling| {
        // What knows of it is later, and so came before it; also if that is known to another one itself.
        let is_known = seen.has(sibling, lineage);
        seen.add(sibling, lineage);
        !is_known
    });
    (!open.is_empty()).then_some(OpenConflict {
        current,
        losers: open,
    })
}

fn is_open(sibling: &Entry, current: &Entry, lineage: &Lineage) -> bool {
    sibling.is_concurrent_with(current, lineage) || is_broken(Rule::KnownLoserShown)
}

impl EntryMap {
    /// The value that a key with siblings shows; `None` if the write that they lost against is not here yet.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn shown_over(&self, siblings: &[Entry]) -> Result<Option<Entry>, StoreError> {
        let Some(first) = siblings.first() else {
            return Ok(None);
        };
        Ok(self.entry(first.key())?.map(std::borrow::Cow::into_owned))
    }

    /// Adds to `keys` the stored keys of users of which one of these losers is open. Those that are among them already are
    /// not looked at.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there.
    pub fn note_open(
        &self,
        losers: &[Entry],
        keys: &mut BTreeSet<Vec<u8>>,
    ) -> Result<(), StoreError> {
        for loser in losers {
            debug_assert_eq!(loser.key().first(), Some(&(Namespace::User as u8)));
            if !keys.contains(loser.key())
                && let Some(current) = self.entry(loser.key())?
                && is_open(loser, &current, &self.lineage)
            {
                keys.insert(loser.key().to_vec());
            }
        }
        Ok(())
    }
}
