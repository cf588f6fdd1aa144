//! Holds back removals of siblings that this node made when it settled conflicts. They are no rows of the outbox, and
//! so would be relayed without a tick; but the value that settles the conflict is a row and waits for one. Were this
//! node lost after the removal left and before the value did, nobody would hold the losers any more.
//!
//! So a removal is passed over in the stream of relays as long as rows before it wait, and each link that has passed
//! it over sends it in the stream of own writes instead, at the place that it would have there. Positions stay honest
//! without a list on disk: a peer that is at or beyond that place in the own stream, or not yet beyond it in the
//! other, has the removal or gets it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::core::rules::{Rule, is_broken};
#[cfg(test)]
use crate::store::commit::ledger::FeedPosition;
use crate::store::conflict::policy::{is_sibling_removal, user_key_in};
use crate::store::entry::Namespace;
use crate::store::error::StoreError;
use crate::store::memtable::held::{Held, Installed};
use crate::store::state::map::EntryMap;
use crate::sync::feed::send::{Gate, entry_cost};
use crate::sync::message::{Batch, Feed, Stream};
use crate::sync::options::BATCH_COST;
use crate::sync::peer::link::{Link, LinkId};
use crate::sync::replica::Replica;

/// Place of a held-back removal in the stream of own writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// The removal goes before the row at this local sequence number and all later ones.
    before: u64,
    /// The removal goes after all relayed entries up to here: the value that settled the conflict may have been
    /// superseded and kept as a sibling.
    after_relay: u64,
}

/// Removals of siblings that this node made, by local sequence number.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct HeldBack {
    places: BTreeMap<u64, Place>,
    /// Removals that rows before them still hold back, as (`before`, local sequence number).
    waiting: BTreeSet<(u64, u64)>,
    /// Installed entries that are not examined yet.
    candidates: Vec<u64>,
    /// True once the removals of earlier openings were looked up.
    is_complete: bool,
    /// True if own writes do not wait for ticks: then nothing is held back.
    is_off: bool,
}

impl HeldBack {
    /// True if the entry is a removal that must not be sent yet.
    pub(in crate::sync) fn holds(&self, lseq: u64) -> bool {
        let waits = |place: &Place| self.waiting.contains(&(place.before, lseq));
        self.holds_some() && self.places.get(&lseq).is_some_and(waits)
    }

    /// True if some removal must not be sent yet.
    pub(in crate::sync) fn holds_some(&self) -> bool {
        !self.is_off && !self.waiting.is_empty()
    }

    fn forget(&mut self, lseq: u64) {
        if let Some(place) = self.places.remove(&lseq) {
            self.waiting.remove(&(place.before, lseq));
        }
    }
}

impl Replica {
    /// Notes an installed change that may be such a removal, and forgets the entry that it replaced.
    pub(in crate::sync) fn withhold(&mut self, change: &Installed) {
        if let Some(replaced) = change.replaced {
            self.held_back.forget(replaced);
        }
        if change.from.is_none() && !change.is_user && self.held_back.is_complete {
            self.held_back.candidates.push(change.lseq);
        }
    }

    /// Updates which removals have to wait. Returns the place up to which entries may be relayed: all of them, or none
    /// if the store cannot be read.
    pub(in crate::sync) fn look_at_held_back(&mut self, map: &EntryMap) -> u64 {
        self.held_back.is_off = self.options.automatic;
        let looked = self.recall_held_back(map);
        let looked = looked.and_then(|()| self.sort_candidates(map));
        if let Err(error) = looked.and_then(|()| self.free_some(map)) {
            // Nothing is relayed until the removals can be read.
            tracing::error!(%error, "what has to wait for own writes cannot be read");
            return 0;
        }
        let is_held_up = self.held_back.holds_some() && is_broken(Rule::HeldBackHoldsUp);
        let first = self.held_back.waiting.first().filter(|_| is_held_up);
        first.map_or(u64::MAX, |(_, lseq)| lseq - 1)
    }

    /// Looks up, once, the removals of earlier openings of the log.
    fn recall_held_back(&mut self, map: &EntryMap) -> Result<(), StoreError> {
        if self.held_back.is_complete {
            return Ok(());
        }
        let kept = Namespace::Conflict as u8;
        let mut found = Vec::new();
        for entry in map.range_from(Bound::Included(&[kept])) {
            let entry = entry?;
            if entry.key().first() != Some(&kept) {
                break;
            }
            if is_sibling_removal(&entry)
                && let Some(held) = map.held_entry(entry.key())?
                && map.source_of(held.via).is_none()
            {
                // The row of the settling value may have moved since, but no further than the entry that holds the key
                // now.
                let row = row_of(&held, map)?.map_or(0, |row| row.lseq + 1);
                found.push((held.lseq, row.max(held.lseq)));
            }
        }
        for (lseq, before) in found {
            self.place_held_back(lseq, before);
        }
        self.held_back.is_complete = true;
        Ok(())
    }

    fn sort_candidates(&mut self, map: &EntryMap) -> Result<(), StoreError> {
        while let Some(lseq) = self.held_back.candidates.last().copied() {
            if map
                .at(lseq)?
                .is_some_and(|held| is_sibling_removal(&held.entry))
            {
                self.place_held_back(lseq, lseq);
            }
            self.held_back.candidates.pop();
        }
        Ok(())
    }

    fn place_held_back(&mut self, lseq: u64, before: u64) {
        self.held_back.forget(lseq);
        let place = Place {
            before,
            after_relay: 0,
        };
        self.held_back.places.insert(lseq, place);
        self.held_back.waiting.insert((before, lseq));
    }

    /// Frees removals that no waiting row precedes any more.
    fn free_some(&mut self, map: &EntryMap) -> Result<(), StoreError> {
        while let Some((before, lseq)) = self.held_back.waiting.first().copied() {
            if map.own_rows(self.released, before - 1)? > 0 {
                break;
            }
            let Some(held) = map.at(lseq)? else {
                self.held_back.forget(lseq);
                continue;
            };
            let row = row_of(&held, map)?;
            let is_own = row
                .as_ref()
                .is_some_and(|row| Self::stream_of(row) == Stream::Own);
            if let Some(row) = row.filter(|row| is_own && row.lseq > self.released)
                && row.lseq >= before
            {
                // The value that settled the conflict was replaced before it was sent, and its row has moved after
                // the removal.
                self.place_held_back(lseq, row.lseq + 1);
                continue;
            }
            self.held_back.waiting.pop_first();
            let after_relay = if is_own { 0 } else { self.last_lseq };
            let place = Place {
                before,
                after_relay,
            };
            self.held_back.places.insert(lseq, place);
        }
        Ok(())
    }

    /// Finds the removals that a link has passed over and owes to the peer, from the link's positions.
    fn find_owed_removals(&self, link: &mut Link) {
        if !std::mem::replace(&mut link.sending.knows_removals, true) {
            let sent = link.sending.sent;
            let places = self.held_back.places.range(..=sent.relay);
            let owed = places.filter(|(_, place)| sent.own < place.before);
            let owed = owed.map(|(lseq, place)| (place.before, *lseq));
            link.sending.removals = owed.collect();
        }
    }

    /// Notes the removals that a link has just passed over, to be sent in the stream of own writes.
    pub(in crate::sync) fn owe_removals(&self, link: &mut Link, passed_over: &[u64]) {
        let places = passed_over.iter().filter_map(|lseq| {
            let place = self.held_back.places.get(lseq)?;
            Some((place.before, *lseq))
        });
        link.sending.removals.extend(places);
    }

    /// Sends removals that were passed over, once all rows before them are sent. No position moves over their places:
    /// only entries that follow them in the stream move it.
    pub(in crate::sync) fn send_removals(
        &mut self,
        id: LinkId,
        link: &mut Link,
        gate: Gate,
        map: &EntryMap,
    ) -> Result<(), StoreError> {
        self.find_owed_removals(link);
        let (mut entries, mut cost) = (Vec::new(), 0);
        while let Some((before, lseq)) = link.sending.removals.first().copied() {
            let place = self.held_back.places.get(&lseq).copied();
            let Some((place, held)) = place.zip(map.at(lseq)?) else {
                // The removal was replaced meanwhile. Its successor has its own place in the feed.
                link.sending.removals.pop_first();
                continue;
            };
            if place.before != before {
                link.sending.removals.pop_first();
                link.sending.removals.insert((place.before, lseq));
                continue;
            }
            let sent = link.sending.sent;
            let is_due = !self.held_back.holds(lseq)
                && lseq <= gate.eligible.relay
                && place.after_relay <= sent.relay
                && map.own_rows(sent.own, place.before - 1)? == 0;
            if !is_due || link.sending.spent >= link.sending.credit || cost >= BATCH_COST {
                break;
            }
            link.sending.removals.pop_first();
            if link.scope.contains(held.entry.key()) {
                cost += entry_cost(&held.entry);
                entries.push(held.entry.clone());
            }
        }
        if !entries.is_empty() {
            link.active_at = gate.now;
            self.sent_entries += entries.len() as u64;
            let to = link.sending.sent.own;
            let from = std::mem::replace(link.sending.reported.get_mut(Stream::Own), to);
            let stream = Stream::Own;
            self.push_feed(
                id,
                link,
                Feed::Batch(Batch {
                    stream,
                    from,
                    to,
                    entries,
                }),
            );
        }
        Ok(())
    }
}

/// The entry that now holds the user's key of a sibling; `None` if there is none.
fn row_of(kept: &Held, map: &EntryMap) -> Result<Option<Held>, StoreError> {
    let Some(user_key) = user_key_in(kept.entry.key()) else {
        return Ok(None);
    };
    let row = map.held_entry(&[&[Namespace::User as u8], user_key].concat())?;
    Ok(row.map(std::borrow::Cow::into_owned))
}

/// True if a peer that has reached a cursor on this node's feed holds an entry of it, or a greater one.
#[cfg(test)]
pub(crate) fn is_covered(
    cursor: &FeedPosition,
    held: &Held,
    stream: Stream,
    map: &EntryMap,
) -> bool {
    if stream == Stream::Own {
        return held.lseq <= cursor.own;
    }
    let is_settlement = is_sibling_removal(&held.entry) && map.source_of(held.via).is_none();
    let row = user_key_in(held.entry.key()).filter(|_| is_settlement);
    let row = row.and_then(|key| {
        let stored = [&[Namespace::User as u8], key].concat();
        map.held_entry(&stored).unwrap_or_default()
    });
    let before = row.map_or(held.lseq, |row| held.lseq.max(row.lseq + 1));
    held.lseq <= cursor.relay && (!is_settlement || before <= cursor.own)
}
