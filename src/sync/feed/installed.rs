//! Changes of an installed group: counted piece by piece, and shown to peers once the whole group is installed.

use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::{Dot, Origin};
use crate::store::memtable::held::Installed;
use crate::sync::message::{Feed, Have};
use crate::sync::options::{HAVE_INTERVAL_MS, RELAY_DELAY_MS};
use crate::sync::replica::{Output, Replica};

/// Most ranges of dots in one hint: a hint is small, and a range left out costs a duplicate.
const HAVE_RANGES_AT_ONCE: usize = 1024;

impl Replica {
    /// Takes in one installed piece of a group. Only [`Self::committed`] may follow the last piece.
    pub fn installed(&mut self, changes: &[Installed], now: Now) {
        let mut received = false;
        let mut known = None;
        for change in changes {
            self.withhold(change);
            if !self.relay_marks.is_empty() {
                self.inherit_delay(change);
            }
            if let Some(replaced) = change.replaced {
                let (reaches, counting) = known.get_or_insert_with(|| self.reaches());
                self.follow(replaced, change, reaches, counting);
                self.outbox.forget(replaced);
                self.forget_rejected(replaced);
                self.shadowed_from = self.shadowed_from.min(replaced);
            }
            match change.from {
                None if change.dot.origin == self.author => {
                    self.last_sequence = self.last_sequence.max(change.dot.sequence);
                    self.last_own_lseq = change.lseq;
                }
                from => {
                    received = true;
                    self.last_applied_remote = self.last_applied_remote.max(change.dot.sequence);
                    // A sibling has the dot of the write that it keeps, so a hint could not tell the two apart.
                    if change.is_user {
                        self.tell_others(from, change.dot, now.monotonic);
                    }
                }
            }
        }
        if self.class_counts.is_some() {
            self.unsorted.extend_from_slice(changes);
        }
        // The group has one relay mark: until all of it is installed, it begins at the same place.
        let is_marked = self.relay_marks.back().map(|(begin, _)| *begin) == Some(self.last_lseq);
        if received && self.links.len() > 1 && !is_marked {
            let due = now.monotonic.after(RELAY_DELAY_MS);
            self.relay_marks.push_back((self.last_lseq, due));
        }
    }

    /// Takes in that a group was made durable (or, without a log or with `autoFlush` off, accepted) and installed as a
    /// whole.
    pub fn committed(&mut self, last_lseq: u64, durable_lseq: u64) {
        self.last_lseq = last_lseq;
        self.durable_lseq = durable_lseq;
        if durable_lseq >= last_lseq {
            self.shadowed_from = u64::MAX;
        }
    }

    /// Queues a hint for all peers but the one that sent the entry and the one that wrote it.
    fn tell_others(&mut self, from: Option<Origin>, dot: Dot, now: MonotonicMs) {
        if self.links.len() < 2 {
            return;
        }
        for link in self.links.values_mut() {
            // Peers with a partial scope get the hint in `tell_partial`, once the key is looked at.
            if link.scope.is_all() && Some(link.origin) != from && link.origin != dot.origin {
                link.tell.insert_dot(dot);
                self.have_due.get_or_insert(now.after(HAVE_INTERVAL_MS));
            }
        }
    }

    /// Queues the hint of [`Self::tell_others`] for peers that take only a part of the keys, if `key` is in it.
    pub(in crate::sync) fn tell_partial(
        &mut self,
        key: &[u8],
        change: &Installed,
        now: MonotonicMs,
    ) {
        if self.links.len() < 2 {
            return;
        }
        let (from, dot) = (change.from, change.dot);
        for link in self.links.values_mut() {
            let is_partial = !link.scope.is_all() && link.scope.contains(key);
            if is_partial && Some(link.origin) != from && link.origin != dot.origin {
                link.tell.insert_dot(dot);
                self.have_due.get_or_insert(now.after(HAVE_INTERVAL_MS));
            }
        }
    }

    /// Sends the queued hints: dots that peers need not send here.
    pub(in crate::sync) fn send_hints(&mut self) {
        self.have_due = None;
        for (id, link) in &mut self.links {
            let ranges = link.tell.take();
            for some in ranges.chunks(HAVE_RANGES_AT_ONCE) {
                self.outputs.push_back(Output::Send(
                    *id,
                    Feed::Have(Have {
                        ranges: some.to_vec(),
                    }),
                ));
            }
        }
    }
}
