//! Planning of a group: the entries that its requests make, in order, each planned over those before it in the group.
//! Pure: the map is only read, time is an argument, and a plan has no effect until it is written.

use std::collections::BTreeSet;

use hashbrown::HashTable;

use super::ledger::{FeedPosition, Ledger};
use super::operation::{Operation, Receipt, Received, Ticket, WriteStatus};
use super::plan_base::PlanBase;
use crate::core::checksum::key_hash;
use crate::core::clock::WallMs;
use crate::core::identity::{Dot, Origin};
use crate::core::limits::VERSION_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::Stamp;
use crate::store::conflict::policy::{ConflictPolicy, user_key_in};
use crate::store::conflict::reported_losers::RecentDots;
use crate::store::conflict::sibling_limit::{DroppedSibling, FullKeys, PlannedSiblings};
use crate::store::entry::{Entry, EntryFlags, Extra, Namespace, vector_over};
use crate::store::error::StoreError;
use crate::store::lineage::{Lineage, LineageRecord};
use crate::store::memtable::held::BaseRow;
use crate::store::record::origin_dictionary::OriginDictionary;
use crate::store::scope::Scope;
use crate::store::state::authors::RefusedEntry;
use crate::store::state::base::BaseEntry;

/// An entry to be installed.
#[derive(Debug)]
pub struct Planned {
    /// The entry.
    pub entry: Entry,
    /// Hash of the entry's key.
    pub hash: u64,
    /// The entry's local sequence: its place in the feed.
    pub lseq: u64,
    /// The peer that sent the entry; `None` if it was written here.
    pub from: Option<Origin>,
    /// The checkpoint's row of the key, as far as planning found it.
    pub base_row: BaseRow,
    /// True if the next entry belongs to the same request, and must not be seen without this one.
    pub joined: bool,
}

/// The plan of one group.
#[derive(Debug, Default)]
pub struct Group {
    /// Entries in the order in which they are installed.
    pub planned: Vec<Planned>,
    /// Answers to the waiting callers, in the order of the requests.
    pub receipts: Vec<Receipt>,
    /// Cursors on peers' feeds once the group is durable, each with its scope.
    pub cursors: Vec<(Origin, FeedPosition, Scope)>,
    /// Users' writes that lost a conflict and were not reported lately.
    pub losers: Vec<Entry>,
    /// Entries of peers that were refused because they name more authors than a store has room for.
    pub refused: Vec<RefusedEntry>,
    /// Upper bound of the authors that the group's entries of peers are the first to name.
    pub(in crate::store) new_authors: usize,
    /// Bytes of keys and values of the planned entries and of the losers to report.
    pub(in crate::store) bytes: usize,
    /// Siblings that the group removes because their key has too many.
    pub dropped: Vec<DroppedSibling>,
    /// Dots of the losers that the group reports.
    pub(in crate::store) reported: BTreeSet<Dot>,
    /// Siblings among the planned entries.
    pub(in crate::store) siblings: PlannedSiblings,
    /// Stored keys of siblings that the group removes.
    pub(in crate::store) removed: BTreeSet<Vec<u8>>,
    /// The lineage of authors after the group, if the group adds to it.
    pub(in crate::store) lineage: Option<Lineage>,
    newest: HashTable<usize>,
}

/// Settings and knowledge that planning needs besides the map.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Terms<'a> {
    /// The wall clock, for stamps.
    pub(in crate::store) wall: WallMs,
    /// Flags that every write of this node carries.
    pub(in crate::store) common: EntryFlags,
    /// Policy for concurrent writes of one key.
    pub(in crate::store) policy: ConflictPolicy,
    /// Dots of the losers that were reported lately.
    pub(in crate::store) reported: &'a RecentDots,
    /// Authors that the log names.
    pub(in crate::store) authors: &'a OriginDictionary,
    /// Most siblings of one key that are kept.
    pub(in crate::store) siblings_max: usize,
    /// Siblings of the keys that had too many.
    pub(in crate::store) full_keys: &'a FullKeys,
}

/// Writes that a new write replaces besides the newest entry of its key.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Replaced {
    /// Dots of the replaced writes.
    pub(in crate::store) dots: Vec<Dot>,
    /// Union of the version vectors of the replaced writes.
    pub(in crate::store) seen: Vec<Dot>,
    /// The latest stamp of the replaced writes; `None` if there are none.
    pub(in crate::store) stamp: Option<Stamp>,
}

/// The newest entry of a key at the time when a write of it is planned.
pub(in crate::store) enum Found<'a> {
    /// An entry that is newer than the checkpoint.
    Changed(&'a Entry),
    /// An entry of the checkpoint.
    BaseRow(Box<BaseEntry>),
    /// The key has no entry.
    Nothing,
}

impl Found<'_> {
    /// The newest entry of the key, if it has one.
    pub(in crate::store) fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Changed(entry) => Some(entry),
            Self::BaseRow(row) => Some(&row.entry),
            Self::Nothing => None,
        }
    }

    /// The part of the lookup that installing the write need not repeat.
    pub(in crate::store) fn into_base_row(self) -> BaseRow {
        match self {
            Self::Changed(_) => BaseRow::Unknown,
            Self::BaseRow(row) => BaseRow::Row(row),
            Self::Nothing => BaseRow::Nothing,
        }
    }
}

impl Group {
    /// Reserves memory for a number of entries.
    pub(in crate::store) fn reserve(&mut self, entries: usize) {
        self.planned.reserve(entries);
        self.newest.reserve(entries, |_| 0);
    }

    pub(in crate::store) fn newest_of(&self, key: &[u8], hash: u64) -> Option<&Entry> {
        let entry = |at: usize| self.planned.get(at).map(|planned| &planned.entry);
        self.newest
            .find(hash, |at| {
                entry(*at).is_some_and(|entry| entry.key() == key)
            })
            .and_then(|at| entry(*at))
    }

    pub(in crate::store) fn push(
        &mut self,
        entry: Entry,
        hash: u64,
        base_row: BaseRow,
        ledger: &mut Ledger,
        from: Option<Origin>,
    ) {
        ledger.last_lseq += 1;
        if is_broken(Rule::SequenceFollowed) && ledger.authorship.names(entry.dot.origin) {
            ledger.last_sequence = ledger.last_sequence.max(entry.dot.sequence);
        }
        self.bytes += entry.key().len() + entry.value_length();
        if entry.key().first() == Some(&(Namespace::Conflict as u8)) {
            self.siblings.note(&entry);
        }
        let at = self.planned.len();
        let planned = &self.planned;
        let key_at = |at: &usize| {
            planned
                .get(*at)
                .map_or(&[][..], |planned| planned.entry.key())
        };
        let place = match &base_row {
            BaseRow::Unknown => self.newest.find_mut(hash, |at| key_at(at) == entry.key()),
            BaseRow::Nothing | BaseRow::Row(_) => None,
        };
        match place {
            Some(place) => *place = at,
            None => {
                self.newest.insert_unique(hash, at, |at| {
                    planned.get(*at).map_or(0, |planned| planned.hash)
                });
            }
        }
        self.planned.push(Planned {
            entry,
            hash,
            lseq: ledger.last_lseq,
            from,
            base_row,
            joined: false,
        });
    }

    /// The newest entry of a key: in this group, in the memtable, or in the checkpoint.
    ///
    /// # Errors
    /// If the checkpoint cannot be read there; the whole group is void then.
    pub(in crate::store) fn find<'a>(
        &'a self,
        key: &[u8],
        hash: u64,
        base: PlanBase<'a>,
    ) -> Result<Found<'a>, StoreError> {
        let changed = self.newest_of(key, hash);
        if let Some(entry) = changed.or_else(|| base.changed_entry(key, hash)) {
            return Ok(Found::Changed(entry));
        }
        let row = match base.base() {
            Some(base) => base.entry(key)?,
            None => None,
        };
        Ok(row.map_or(Found::Nothing, |row| Found::BaseRow(Box::new(row))))
    }

    /// The lineage of authors as this group sees it.
    pub(in crate::store) fn lineage_over<'a>(&'a self, base: PlanBase<'a>) -> &'a Lineage {
        self.lineage.as_ref().unwrap_or_else(|| base.lineage())
    }

    /// Adds a planned entry to the group's lineage, if it is a lineage record.
    pub(in crate::store) fn learn_lineage(&mut self, entry: &Entry, base: PlanBase<'_>) {
        let Some(record) = LineageRecord::of(entry) else {
            return;
        };
        let mut lineage = self.lineage_over(base).clone();
        if lineage.add(&record) {
            self.lineage = Some(lineage);
        }
    }

    /// Plans the lineage record of this node's present author, together with the first write of that author.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is void then.
    pub(in crate::store) fn declare_author(
        &mut self,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        (wall, common): (WallMs, EntryFlags),
    ) -> Result<(), StoreError> {
        if !ledger.authorship.is_undeclared(ledger.origin) {
            return Ok(());
        }
        ledger.authorship.is_declared = true;
        let record = ledger.authorship.record(ledger.origin, &ledger.node_id);
        let (key, value) = (record.key(), record.value());
        let hash = key_hash(&key);
        let found = self.find(&key, hash, base)?;
        let current = found.entry();
        let stamp = ledger.clock.stamp(wall, current.map(|entry| entry.stamp));
        let version = current.map_or(0, |entry| entry.version).saturating_add(1);
        let base_row = found.into_base_row();
        let dot = ledger.next_dot();
        let payload = [&key[..], &value].concat().into();
        let extra = Extra::default();
        let entry = Entry::new(payload, key.len(), common, dot, stamp, version, extra);
        if let Some(entry) = entry {
            self.learn_lineage(&entry, base);
            self.push(entry, hash, base_row, ledger, None);
        }
        Ok(())
    }

    /// Plans a write of this node. Returns its receipt, with `ticket` 0.
    pub(in crate::store) fn write(
        &mut self,
        operation: Operation,
        replaced: &Replaced,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        (wall, common): (WallMs, EntryFlags),
    ) -> Result<Receipt, StoreError> {
        self.declare_author(base, ledger, (wall, common))?;
        let hash = key_hash(operation.key());
        let found = self.find(operation.key(), hash, base)?;
        let current = found.entry();
        let live = current.filter(|entry| !entry.is_tombstone());
        let counted = if is_broken(Rule::VersionBeginsAnew) {
            live
        } else {
            current
        };
        let version = counted.map_or(0, |entry| entry.version);
        if operation.is_removal() && live.is_none() {
            return Ok(Receipt {
                ticket: 0,
                status: WriteStatus::Created,
                version,
                sequence: 0,
            });
        }
        let status = match live {
            None => WriteStatus::Created,
            Some(entry) if !operation.is_removal() && entry.value() == Some(operation.value()) => {
                WriteStatus::Unchanged
            }
            Some(_) => WriteStatus::Updated,
        };
        let latest = current.map(|entry| entry.stamp).max(replaced.stamp);
        let latest = latest.filter(|_| !is_broken(Rule::StampNotBumped));
        let stamp = ledger.clock.stamp(wall, latest);
        let author = ledger.authorship.current;
        let lineage = self.lineage_over(base);
        let vector = match current {
            current if !replaced.dots.is_empty() => {
                let dots = replaced.dots.iter().copied();
                let dots: Vec<Dot> = dots.chain(current.map(|entry| entry.dot)).collect();
                let seen = current.map(Entry::vector).unwrap_or_default();
                let seen = seen.iter().chain(&replaced.seen).copied();
                vector_over(author, &dots, seen, lineage)
            }
            Some(entry) => entry.vector_for_successor(author, lineage),
            None => Vec::new(),
        };
        let dot = ledger.next_dot();
        let (payload, key_length, flags) = operation.into_parts();
        let extra = Extra {
            vector,
            extension: Vec::new(),
        };
        let version = version.saturating_add(1).min(VERSION_MAX);
        if let Some(entry) = Entry::new(
            payload,
            key_length,
            flags.with(common),
            dot,
            stamp,
            version,
            extra,
        ) {
            self.push(entry, hash, found.into_base_row(), ledger, None);
        }
        Ok(Receipt {
            ticket: 0,
            status,
            version,
            sequence: dot.sequence,
        })
    }

    /// Plans one or more writes of this node that become visible together or not at all.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is void then.
    pub(in crate::store) fn write_all(
        &mut self,
        ticket: Ticket,
        operations: Vec<Operation>,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        wall: WallMs,
        common: EntryFlags,
    ) -> Result<(), StoreError> {
        let begin = self.planned.len();
        let count = operations.len() as u64;
        let mut last = 0;
        for operation in operations {
            let receipt = self.write(
                operation,
                &Replaced::default(),
                base,
                ledger,
                (wall, common),
            )?;
            last = last.max(receipt.sequence);
        }
        self.join_from(begin);
        self.receipts.push(Receipt {
            ticket,
            status: WriteStatus::Created,
            version: count,
            sequence: last,
        });
        Ok(())
    }

    /// Plans one write of this node.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is void then.
    pub(in crate::store) fn write_one(
        &mut self,
        ticket: Ticket,
        operation: Operation,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        wall: WallMs,
        common: EntryFlags,
    ) -> Result<(), StoreError> {
        let receipt = self.write(
            operation,
            &Replaced::default(),
            base,
            ledger,
            (wall, common),
        )?;
        self.receipts.push(Receipt { ticket, ..receipt });
        Ok(())
    }

    /// True if entries of a peer continue the position up to which its feed is held, this group included. False if
    /// entries before them were refused.
    pub(in crate::store) fn follows(
        &self,
        received: &Received,
        base: PlanBase<'_>,
        ledger: &Ledger,
    ) -> bool {
        if received.from == FeedPosition::default() {
            return true;
        }
        let planned = self.cursors.iter().rev();
        let held = planned
            .filter(|(peer, ..)| *peer == received.peer)
            .map(|(_, position, scope)| (*position, scope.clone()))
            .next()
            .or_else(|| base.cursor(received.peer))
            .or_else(|| {
                let position = ledger.cursors.get(&received.peer)?;
                Some((*position, ledger.scope_of(received.peer)))
            });
        held.is_some_and(|(held, scope)| {
            scope.covers(&received.scope)
                && held.incarnation == received.from.incarnation
                && held.own >= received.from.own
                && held.relay >= received.from.relay
        })
    }

    pub(in crate::store) fn join_from(&mut self, begin: usize) {
        let all_but_last = self.planned.len().saturating_sub(1);
        if let Some(members) = self.planned.get_mut(begin..all_but_last) {
            for planned in members {
                planned.joined = true;
            }
        }
    }

    /// Stored keys of the siblings of a user's key that the group removes.
    pub(in crate::store) fn removed_of(&self, user_key: &[u8]) -> impl Iterator<Item = &Vec<u8>> {
        let begin = [&[Namespace::Conflict as u8], user_key].concat();
        let from = self.removed.range(begin.clone()..);
        from.take_while(move |key| key.starts_with(&begin))
            .filter(move |key| user_key_in(key) == Some(user_key))
    }
}
