//! Connections that carry a part of the data: what the state here sums up to in it, and what does not belong to it.

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

/// What the state here sums up to in what a link carries; `None` while that has to be summed up anew.
pub(in crate::sync) fn state_of(link: &Link, map: &EntryMap) -> Option<Summary> {
    let whole = map.summary();
    if link.scope.is_all() || is_broken(Rule::WholeCompared) {
        return Some(whole);
    }
    let (at, part) = link.summed_up?;
    (at == whole).then_some(part)
}

/// Leaves out what the connection does not carry: a peer that sends it breaks its word, and gets nowhere with it. Its
/// feed goes on, since an older version sends all of it and knows nothing of scopes.
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
    /// What the state here sums up to in a scope; `None` if too much has changed to say so at once. Counting all of it
    /// costs nothing.
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

    /// Sums up what a link carries, as far as that can be done at once: the rest soon.
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
                // What has changed since is outside: the peer has nothing to say of it, and it is as equal as it was.
                if link.proof.equal_at.is_some() && link.proof.equal == part {
                    link.proof.equal_at = Some(self.last_lseq);
                }
            }
            // Others get their turn in between.
            Ok(None) => self.reconcile_due = self.reconcile_due.or(Some(now.after(1))),
            Err(error) => self.unreadable(id, &error),
        }
    }
}
