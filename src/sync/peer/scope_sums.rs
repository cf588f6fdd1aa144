//! Scoped connections, which carry a part of the keys: the summary of this node's state within the scope, and the
//! removal of entries outside of it.

use super::link::{Link, LinkId};
use crate::core::clock::MonotonicMs;
use crate::core::rules::{Rule, is_broken};
use crate::store::entry::{Entry, Summary};
use crate::store::error::StoreError;
use crate::store::scope::Scope;
use crate::store::state::map::EntryMap;
use crate::store::state::range_sums::ADDED_AT_ONCE;
use crate::sync::message::Batch;
use crate::sync::replica::Replica;

/// Summary of this node's state within the scope of a link; `None` until it is summed up anew after a change.
pub(in crate::sync) fn state_of(link: &Link, map: &EntryMap) -> Option<Summary> {
    let whole = map.summary();
    if link.scope.is_all() || is_broken(Rule::WholeCompared) {
        return Some(whole);
    }
    let (at, part) = link.summed_up?;
    (at == whole).then_some(part)
}

/// Removes entries outside of the connection's scope from a batch. The peer's feed goes on, since an older version
/// sends all entries and knows nothing of scopes.
pub(in crate::sync) fn leave_out_strays(link: &Link, batch: &mut Batch) {
    if link.scope.is_all() || is_broken(Rule::ScopeIgnored) {
        return;
    }
    let count = batch.entries.len();
    let is_meant = |entry: &Entry| link.scope.contains(entry.key());
    batch.entries.retain(is_meant);
    let strays = count - batch.entries.len();
    if strays > 0 {
        tracing::warn!(peer = %link.node_id, strays, "entries outside of the connection's prefixes were passed over");
    }
}

impl Replica {
    /// Summary of this node's state in a scope; `None` if too much has changed to sum it up at once. For the scope of
    /// all keys it is at hand.
    pub(in crate::sync) fn sum_of(
        &mut self,
        scope: &Scope,
        map: &EntryMap,
    ) -> Result<Option<Summary>, StoreError> {
        if scope.is_all() {
            return Ok(Some(map.summary()));
        }
        if !self.sums.refresh(map, ADDED_AT_ONCE)? {
            return Ok(None);
        }
        let mut total = Summary::default();
        for (from, to) in scope.ranges() {
            total = total.with(self.sums.sum(map, &from, &to)?);
        }
        Ok(Some(total))
    }

    /// Sums up the state within a link's scope. Where that takes several steps, the next one is scheduled.
    pub(in crate::sync) fn sum_up(
        &mut self,
        id: LinkId,
        link: &mut Link,
        now: MonotonicMs,
        map: &EntryMap,
    ) {
        if state_of(link, map).is_some() || link.scope.is_nothing() {
            return;
        }
        let scope = link.scope.clone();
        match self.sum_of(&scope, map) {
            Ok(Some(part)) => {
                link.summed_up = Some((map.summary(), part));
                // Everything that has changed since lies outside of the scope: within it the states are as equal as
                // they were.
                if link.proof.equal_at.is_some() && link.proof.equal == part {
                    link.proof.equal_at = Some(self.last_lseq);
                }
            }
            // Other links get their turn between two steps.
            Ok(None) => self.reconcile_due = self.reconcile_due.or(Some(now.after(1))),
            Err(error) => self.unreadable(id, &error),
        }
    }
}
