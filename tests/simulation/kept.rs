//! Siblings, as `node::api::conflicts` looks at them.

use std::collections::BTreeMap;

use crate::store::conflict::policy::loser_of;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;

/// Losers by the stored key that they were written to.
pub(super) type Losers = BTreeMap<Vec<u8>, Vec<Entry>>;

/// The losers among some entries, by that key.
pub(super) fn losers_among<'e>(entries: impl Iterator<Item = &'e Entry>) -> Losers {
    let mut losers = Losers::new();
    for loser in entries.filter_map(loser_of) {
        losers.entry(loser.key().to_vec()).or_default().push(loser);
    }
    losers
}

/// The siblings of a user's key, page by page as `node::api::conflicts` looks at them.
pub(super) fn kept_of(map: &EntryMap, key: &[u8]) -> Result<Vec<Entry>, StoreError> {
    let (mut kept, mut after) = (Vec::new(), None);
    loop {
        let page = map.sibling_page(key, true, after.as_deref(), loser_of)?;
        kept.extend(page.losers);
        after = page.next;
        if after.is_none() {
            return Ok(kept);
        }
    }
}
