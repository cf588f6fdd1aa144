//! Cost of a reconciliation (`docs/internals/replication.md`, rule 5.4): proportional to the difference, times the
//! logarithm of the number of entries.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::checks::all_rows;
use super::stream::LineId;
use super::world::World;
use crate::node::machine::conversation::ConversationId;
use crate::store::conflict::policy::user_key_in;
use crate::store::entry::Entry;
use crate::store::scope::Scope;
use crate::sync::message::{Claim, Feed, Ranges, Stream};

/// Most times that a differing entry may be sent: both ways where it is concurrent, and again after a new beginning.
const SENT_MAX: u64 = 4;

/// Most entries listed for one that differs: the length of a list, and again after a new beginning.
const LISTED_MAX: u64 = 64;

/// Most sums sent for one differing entry in each turn that narrows the difference down.
const SUMS_MAX: u64 = 64;

/// Least number of parts that a range is split into, as a power of two.
const SPLIT_BITS: u32 = 4;

/// One reconciliation as observed on its connection.
#[derive(Default)]
pub(super) struct Exchanged {
    number: u64,
    /// Number of keys that differed or were held back at its beginning; `size` is the number of all keys.
    differing: u64,
    size: u64,
    /// The last local sequence numbers of both nodes at its beginning.
    reached: u64,
    sent: u64,
    listed: u64,
    sums: u64,
}

impl World<'_> {
    /// Both nodes of a line, if they run and their disks are well.
    fn both(&self, line: LineId) -> Option<[usize; 2]> {
        let both = self.lines[&line].ends.each_ref().map(|end| end.node);
        let is_well = |node: &usize| {
            let node = &self.nodes[*node];
            node.running.is_some() && !node.is_hurt
        };
        both.iter().all(is_well).then_some(both)
    }

    fn held(&self, node: usize, scope: &Scope) -> BTreeMap<Vec<u8>, Entry> {
        let map = &self.nodes[node].up().store.map;
        let entries = map.range_from(Bound::Unbounded).map(Result::unwrap);
        let carried = entries.filter(|entry| scope.contains(entry.key()));
        carried
            .map(|entry| (entry.key().to_vec(), entry.into_owned()))
            .collect()
    }

    /// Keys that a node may not send yet: they are in its sums and in no list, and come back from a peer that holds
    /// them. Own writes wait for a tick; so do removals that settle a conflict without being writes, and the entries
    /// relayed after those.
    fn held_back(&self, node: usize) -> BTreeSet<Vec<u8>> {
        let running = self.nodes[node].up();
        let (replica, map) = (&running.machine.replica, &running.store.map);
        let is_automatic = running.ticked == u64::MAX;
        let released = if is_automatic {
            u64::MAX
        } else {
            replica.released()
        };
        let is_waiting = |(stream, lseq, entry): &(Stream, u64, Entry)| match stream {
            Stream::Own => *lseq > released,
            Stream::Relay => {
                *lseq > released
                    && user_key_in(entry.key()).is_some()
                    && entry.dot.origin == replica.author()
            }
        };
        let first = all_rows(map)
            .filter(is_waiting)
            .filter(|(stream, ..)| *stream == Stream::Relay);
        let first = first.map(|(_, lseq, _)| lseq).min().unwrap_or(u64::MAX);
        let rows = all_rows(map)
            .filter(|row| is_waiting(row) || (row.0 == Stream::Relay && row.1 >= first))
            .map(|(.., entry)| entry);
        let volatile = running.volatile.iter().map(|(_, entry)| entry.clone());
        rows.chain(volatile)
            .map(|entry| entry.key().to_vec())
            .collect()
    }

    fn last_lseqs(&self, both: [usize; 2]) -> u64 {
        let last = |node: usize| self.nodes[node].up().store.committer.ledger().last_lseq;
        both.into_iter().map(last).sum()
    }

    /// Records a message of a reconciliation that a node sends.
    pub(super) fn see_exchange(&mut self, id: ConversationId, feed: &Feed) {
        let Some((line, _)) = self.ends.get(&id).copied() else {
            return;
        };
        let Some(both) = self.both(line) else {
            self.exchanges.remove(&line);
            return;
        };
        match feed {
            Feed::Ranges(ranges) if ranges.step == 1 => self.begin_exchange(line, both, ranges),
            Feed::Ranges(ranges) => self.count_ranges(line, ranges),
            Feed::Batch(batch) if batch.to == 0 => {
                if let Some(exchanged) = self.exchanges.get_mut(&line) {
                    exchanged.sent += batch.entries.len() as u64;
                }
            }
            Feed::Large(large) if large.to == 0 => {
                if let Some(exchanged) = self.exchanges.get_mut(&line) {
                    exchanged.sent += 1;
                }
            }
            _ => return,
        }
        self.check_exchange(line, both);
    }

    fn begin_exchange(&mut self, line: LineId, both: [usize; 2], ranges: &Ranges) {
        let ends = self.lines[&line].ends.each_ref();
        let [Some(one), Some(other)] = ends.map(|end| end.seen.wanted.as_ref()) else {
            self.exchanges.remove(&line);
            return;
        };
        // The scopes are those of the greetings: the nodes may want other keys of the next connection already.
        let scope = one.intersection(other);
        let [mine, theirs] = both.map(|node| self.held(node, &scope));
        let is_different = |key: &&Vec<u8>| {
            let (mine, theirs) = (mine.get(*key), theirs.get(*key));
            !matches!((mine, theirs), (Some(mine), Some(theirs)) if mine.order(theirs).is_eq())
        };
        let keys: BTreeSet<&Vec<u8>> = mine.keys().chain(theirs.keys()).collect();
        let held_back = both.map(|node| self.held_back(node));
        let is_untold = |key: &&Vec<u8>| held_back.iter().any(|keys| keys.contains(*key));
        let exchanged = Exchanged {
            number: ranges.exchange,
            differing: keys
                .iter()
                .copied()
                .filter(|key| is_different(key) || is_untold(key))
                .count() as u64,
            size: keys.len() as u64,
            reached: self.last_lseqs(both),
            ..Exchanged::default()
        };
        self.exchanges.insert(line, exchanged);
        self.count_ranges(line, ranges);
    }

    fn count_ranges(&mut self, line: LineId, ranges: &Ranges) {
        let exchanged = self.exchanges.get_mut(&line);
        let Some(exchanged) = exchanged.filter(|one| one.number == ranges.exchange) else {
            return;
        };
        for part in &ranges.parts {
            match &part.claim {
                Claim::List(listed) => exchanged.listed += listed.len() as u64,
                Claim::These(keys) => exchanged.listed += keys.len() as u64,
                Claim::Sum(_) => exchanged.sums += 1,
                Claim::Settled | Claim::All => {}
            }
        }
    }

    fn check_exchange(&self, line: LineId, both: [usize; 2]) {
        let Some(exchanged) = self.exchanges.get(&line) else {
            return;
        };
        let Exchanged {
            differing,
            size,
            sent,
            listed,
            sums,
            ..
        } = *exchanged;
        let changed = self.last_lseqs(both).saturating_sub(exchanged.reached);
        let different = differing + changed + 2;
        let turns = u64::from((size + changed + 2).ilog2() / SPLIT_BITS) + 2;
        assert!(
            sent <= SENT_MAX * different
                && listed <= LISTED_MAX * different
                && sums <= SUMS_MAX * different * turns,
            "4: where {differing} of {size} keys differed or were held back, and {changed} were written since, \
             {both:?} have sent {sent} entries, listed {listed} and told {sums} sums"
        );
    }
}
