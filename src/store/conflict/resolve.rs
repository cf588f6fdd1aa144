//! Planning of a resolution: a value that has seen all versions, and the removal of the siblings, visible together or
//! not at all. Pure, like all of a group.

use std::collections::BTreeSet;

use super::policy::{sibling_key, user_key_of};
use crate::core::checksum::key_hash;
use crate::core::identity::Dot;
use crate::core::limits::VERSION_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::Stamp;
use crate::store::commit::group::{Group, Replaced, Terms};
use crate::store::commit::ledger::Ledger;
use crate::store::commit::operation::{Receipt, Resolution};
use crate::store::commit::plan_base::PlanBase;
use crate::store::entry::{Entry, EntryFlags, Extra, vector_over};
use crate::store::error::StoreError;
use crate::store::memtable::held::BaseRow;

/// A sibling that is to be removed.
pub(in crate::store) struct Kept {
    pub(in crate::store) key: Vec<u8>,
    pub(in crate::store) hash: u64,
    pub(in crate::store) base_row: BaseRow,
    pub(in crate::store) dot: Dot,
    pub(in crate::store) seen: Vec<Dot>,
    pub(in crate::store) stamp: Stamp,
    pub(in crate::store) version: u64,
}

impl Group {
    /// Plans a write of this node that resolves a conflict. Losers that are not kept any more are skipped.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is void then.
    pub(in crate::store) fn resolve(
        &mut self,
        resolution: Resolution,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        let Resolution {
            ticket,
            operation,
            losers,
        } = resolution;
        let begin = self.planned.len();
        let user_key = operation.key().get(1..).unwrap_or_default();
        let (mut all, mut named) = (Vec::new(), BTreeSet::new());
        for loser in losers {
            let key = sibling_key(user_key, loser);
            let hash = key_hash(&key);
            let found = self.find(&key, hash, base)?;
            let held = found.entry();
            let held = held.filter(|held| user_key_of(held).is_some());
            let Some((seen, stamp, version)) =
                held.map(|held| (held.vector().to_vec(), held.stamp, held.version))
            else {
                continue;
            };
            if !named.insert(loser) {
                continue;
            }
            let base_row = found.into_base_row();
            all.push(Kept {
                key,
                hash,
                base_row,
                dot: loser,
                seen,
                stamp,
                version,
            });
        }
        let replaced = Replaced {
            dots: all.iter().map(|kept| kept.dot).collect(),
            seen: all.iter().flat_map(|kept| &kept.seen).copied().collect(),
            stamp: all.iter().map(|kept| kept.stamp).max(),
        };
        let replaced = if is_broken(Rule::ResolvedBlindly) {
            Replaced::default()
        } else {
            replaced
        };
        let receipt = self.write(
            operation,
            &replaced,
            base,
            ledger,
            (terms.wall, terms.common),
        )?;
        for kept in all
            .into_iter()
            .filter(|_| !is_broken(Rule::ResolvedCopiesLeft))
        {
            self.remove_siblings(kept, base, ledger, terms);
        }
        self.join_from(begin);
        self.receipts.push(Receipt { ticket, ..receipt });
        Ok(())
    }

    pub(in crate::store) fn remove_siblings(
        &mut self,
        kept: Kept,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) {
        let dot = ledger.next_dot();
        let lineage = self.lineage_over(base);
        let extra = Extra {
            vector: vector_over(dot.origin, &[kept.dot], kept.seen, lineage),
            extension: Vec::new(),
        };
        let key_length = kept.key.len();
        self.removed.insert(kept.key.clone());
        let removal = Entry::new(
            kept.key.into(),
            key_length,
            EntryFlags::TOMBSTONE.with(terms.common),
            dot,
            ledger.clock.stamp(terms.wall, Some(kept.stamp)),
            kept.version.saturating_add(1).min(VERSION_MAX),
            extra,
        );
        if let Some(removal) = removal {
            self.push(removal, kept.hash, kept.base_row, ledger, None);
        }
    }
}
