//! Limit on the authors that the entries of a store name: a checkpoint names each of them once, so there must never be
//! more than it has room for. Entries of peers beyond the limit are refused before anything depends on them.

use crate::core::identity::{Dot, Origin};
use crate::core::limits::AUTHORS_MAX;
use crate::store::commit::group::{Group, Terms};
use crate::store::commit::plan_base::PlanBase;
use crate::store::entry::Entry;
use crate::store::record::origin_dictionary::OriginDictionary;

/// An entry of a peer that was refused because it names more authors than a store has room for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedEntry {
    /// Token of the connection that sent the entry; see [`crate::store::commit::operation::Received::token`].
    pub token: u64,
    /// Stored key of the entry.
    pub key: Vec<u8>,
    /// Dot of the entry.
    pub dot: Dot,
}

fn authors_of(entry: &Entry) -> impl Iterator<Item = Origin> {
    let seen = entry.vector().iter().map(|dot| dot.origin);
    std::iter::once(entry.dot.origin).chain(seen)
}

impl Group {
    /// True if there is room for the authors that an entry of a peer names; they are counted then. If not, the entry is
    /// noted as refused under `token`, that of its request. Writes of this node need no check: they name only authors
    /// of the entries that they replace.
    pub(in crate::store) fn has_room_for_authors(
        &mut self,
        entry: &Entry,
        token: u64,
        base: PlanBase<'_>,
        terms: &Terms<'_>,
    ) -> bool {
        let base = base.base().map(|base| base.origins());
        let known = terms.authors.reported() + base.map_or(0, OriginDictionary::len);
        let known = known + self.new_authors;
        let named = 1 + entry.vector().len();
        if known + named <= AUTHORS_MAX {
            // Counted as if each author were new: nothing is looked up as long as there is room.
            self.new_authors += named;
            return true;
        }
        let is_new = |origin: &Origin| {
            let is_in_base = base.is_some_and(|base| base.knows(*origin));
            !is_in_base && !terms.authors.knows(*origin)
        };
        let new = authors_of(entry).filter(is_new).count();
        let has_room = new == 0 || known + new <= AUTHORS_MAX;
        if has_room {
            self.new_authors += new;
        } else {
            self.refused.push(RefusedEntry {
                token,
                key: entry.key().to_vec(),
                dot: entry.dot,
            });
        }
        has_room
    }
}
