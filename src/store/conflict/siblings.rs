//! Siblings (Dynamo, Riak): concurrent writes of one key that are kept. Finds the open ones in time linear in their
//! number, not in its square: a peer can bring any number of them.

use std::collections::{BTreeSet, HashMap};

use super::open_conflicts::OpenConflict;
use crate::core::identity::Origin;
use crate::core::limits::VECTOR_ORIGINS_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::{Entry, Namespace};
use crate::store::error::StoreError;
use crate::store::lineage::Lineage;
use crate::store::state::map::EntryMap;

/// Union of the version vectors of some entries of one key; see [`Entry::follows`] for one entry.
#[derive(Default)]
struct Seen {
    /// For each author the newest sequence that one of the entries is or has seen.
    newest: HashMap<Origin, u64>,
    /// Entries with a full vector: writes of authors that are not in it count as seen.
    full: Vec<Entry>,
    /// The first authors of the entries that the lineage knows, at most [`LINEAGE_LOOKED_AT`].
    with_lineage: Vec<Origin>,
}

/// Most authors of one key's siblings whose lineage is checked, because each sibling is checked against each of them.
/// Beyond that a sibling that was seen only by lineage is shown: one too many, and not one too few.
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

/// The open conflict of a key that shows `current`: the siblings that neither the value nor another sibling has seen,
/// newest first. `None` if there are none.
pub fn open_among(current: Entry, siblings: Vec<Entry>, lineage: &Lineage) -> Option<OpenConflict> {
    let open = siblings
        .into_iter()
        .filter(|one| is_open(one, &current, lineage));
    let mut open: Vec<Entry> = open.collect();
    open.sort_by(|a, b| b.order(a));
    let mut seen = Seen::default();
    open.retain(|sibling| {
        // An entry that has seen this sibling is later, so it was added before; this holds also if another one has seen
        // that entry.
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

    /// Adds to `keys` the stored keys of users of which one of these losers is open. Keys that are in the set already
    /// are not looked up.
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
