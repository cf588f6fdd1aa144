//! The waits that one peer may end, keyed by the local sequence number that the peer has to reach.
//!
//! A position alone proves nothing of a write that was replaced before it was sent: the peer's cursor passes over its
//! place. So a wait moves to the successor, unless the write was on its way to that peer already.

use std::collections::BTreeMap;

use crate::core::identity::{Dot, Origin};
use crate::sync::message::Positions;

/// Id of a wait, never reused within a process.
pub type WaitId = u64;

/// Target of a wait, as places in the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sync) enum Target {
    /// The row at this place of the stream of own writes.
    Own(u64),
    /// The entry at this place of the stream of relayed entries.
    Relay(u64),
    /// All rows up to this place of the stream of own writes, and then all relayed entries up to the other.
    AllUpTo(u64, u64),
}

/// An entry of a queue: a wait, and the successor whose arrival it waits for there.
#[derive(Debug, Clone, Copy)]
pub(in crate::sync) struct Place {
    pub(in crate::sync) id: WaitId,
    pub(in crate::sync) relay: u64,
    pub(in crate::sync) successor: Option<Dot>,
}

pub(in crate::sync) type Places = BTreeMap<u64, Vec<Place>>;

/// Progress of a peer: its acknowledged and reported positions, and the rows that it has refused.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Reach {
    pub(in crate::sync) acknowledged: Positions,
    /// Positions up to which the feed was reported to the peer; rows up to here may be on their way.
    pub(in crate::sync) reported: Positions,
    /// Own rows that the peer has refused, ascending.
    pub(in crate::sync) refused: Vec<u64>,
    /// Relayed entries that the peer has refused, ascending by place.
    pub(in crate::sync) refused_relay: Vec<u64>,
}

/// The wait queues of one peer, by kind of target.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Queue {
    pub(in crate::sync) own: Places,
    pub(in crate::sync) relay: Places,
    pub(in crate::sync) all: Places,
    /// Rows that were replaced on their way: held once acknowledged, unless they are taken back.
    in_flight: Places,
    /// The first row that was replaced while it was on its way.
    first_in_flight: Option<u64>,
    /// Waits for refused rows: for all rows (`refused_all`), for one (`refused`), and for a relayed entry.
    refused_all: Places,
    refused: Places,
    refused_relay: Places,
}

impl Queue {
    pub(in crate::sync) fn insert(&mut self, target: Target, id: WaitId, successor: Option<Dot>) {
        let (places, key, relay) = match target {
            Target::Own(lseq) => (&mut self.own, lseq, 0),
            Target::Relay(lseq) => (&mut self.relay, lseq, 0),
            Target::AllUpTo(own, relay) => (&mut self.all, own, relay),
        };
        places.entry(key).or_default().push(Place {
            id,
            relay,
            successor,
        });
    }

    /// Removes and returns the waits whose targets the peer holds now.
    pub(in crate::sync) fn advance(&mut self, reach: &Reach) -> Vec<Place> {
        let Positions { own, relay } = reach.acknowledged;
        let is_refused = |lseq: u64| reach.refused.binary_search(&lseq).is_ok();
        let mut held = Vec::new();
        // A row that was refused may be accepted by now, so refused waits go back into their queues first.
        for (from, into) in [
            (&mut self.refused, &mut self.own),
            (&mut self.refused_relay, &mut self.relay),
            (&mut self.refused_all, &mut self.all),
        ] {
            for (lseq, places) in std::mem::take(from) {
                into.entry(lseq).or_default().extend(places);
            }
        }
        while let Some((lseq, places)) = pop_up_to(&mut self.own, own) {
            if is_refused(lseq) {
                self.refused.insert(lseq, places);
            } else {
                held.extend(places);
            }
        }
        while let Some((lseq, places)) = pop_up_to(&mut self.in_flight, own) {
            if !is_refused(lseq) {
                held.extend(places);
            }
        }
        let first_refused = reach.refused.first().copied().unwrap_or(u64::MAX);
        while let Some((lseq, places)) = pop_up_to(&mut self.all, own) {
            if first_refused <= lseq {
                self.refused_all.insert(lseq, places);
                continue;
            }
            for place in places {
                if place.relay > relay {
                    self.insert(Target::Relay(place.relay), place.id, place.successor);
                } else {
                    held.push(place);
                }
            }
        }
        while let Some((lseq, places)) = pop_up_to(&mut self.relay, relay) {
            if reach.refused_relay.binary_search(&lseq).is_ok() {
                self.refused_relay.insert(lseq, places);
            } else {
                held.extend(places);
            }
        }
        if reach.acknowledged.own >= reach.reported.own {
            self.first_in_flight = None;
        }
        held
    }

    /// Records that the entry at `lseq` was replaced. Returns the waits that this ends: the peer sent the successor
    /// itself.
    pub(in crate::sync) fn replaced(
        &mut self,
        lseq: u64,
        by: &Replacement,
        peer: Option<Origin>,
        reach: &Reach,
    ) -> Vec<Place> {
        let own = self.own.remove(&lseq);
        let refused = self.refused.remove(&lseq);
        let relay = self.relay.remove(&lseq);
        let refused_relay = self.refused_relay.remove(&lseq);
        let mut held = Vec::new();
        let was_sent = lseq <= reach.reported.own && refused.is_none();
        if was_sent && let Some(places) = &own {
            let in_flight = self.in_flight.entry(lseq).or_default();
            in_flight.extend(places);
        }
        for place in [own, refused, relay, refused_relay]
            .into_iter()
            .flatten()
            .flatten()
        {
            if peer.is_some() && by.from == peer {
                held.push(Place {
                    successor: Some(by.dot),
                    ..place
                });
            } else {
                self.insert(by.target(), place.id, Some(by.dot));
            }
        }
        if by.is_own && lseq > reach.acknowledged.own {
            if lseq <= reach.reported.own {
                let first = self.first_in_flight.unwrap_or(lseq);
                self.first_in_flight = Some(first.min(lseq));
            } else {
                self.move_all(lseq, by.lseq);
            }
        } else if by.is_own && reach.refused.binary_search(&lseq).is_ok() {
            self.move_all(lseq, by.lseq);
        }
        held
    }

    /// Moves each wait for all rows up to `lseq` or beyond it to `to`.
    fn move_all(&mut self, lseq: u64, to: u64) {
        let mut moved = self.all.split_off(&lseq);
        moved.append(&mut self.refused_all.split_off(&lseq));
        // Into the longest, so that moving all of them again and again costs little.
        let longest = moved
            .iter()
            .max_by_key(|(_, places)| places.len())
            .map(|(key, _)| *key);
        let Some(mut places) = longest.and_then(|key| moved.remove(&key)) else {
            return;
        };
        places.extend(moved.into_values().flatten());
        self.all.entry(to).or_default().append(&mut places);
    }

    /// Takes back the rows on their way after a lost connection or a retry. Waits for replaced rows then wait for
    /// their successors, which lie at or before `last`.
    pub(in crate::sync) fn take_back(&mut self, last: u64) {
        self.in_flight.clear();
        if let Some(first) = self.first_in_flight.take() {
            self.move_all(first, last);
        }
    }

    pub(in crate::sync) fn all_places(&mut self) -> [&mut Places; 7] {
        [
            &mut self.own,
            &mut self.relay,
            &mut self.all,
            &mut self.in_flight,
            &mut self.refused_all,
            &mut self.refused,
            &mut self.refused_relay,
        ]
    }
}

fn pop_up_to(places: &mut Places, to: u64) -> Option<(u64, Vec<Place>)> {
    let first = places.first_entry().filter(|first| *first.key() <= to)?;
    Some(first.remove_entry())
}

/// The entry that took the place of another.
#[derive(Debug, Clone, Copy)]
pub(in crate::sync) struct Replacement {
    pub(in crate::sync) dot: Dot,
    pub(in crate::sync) lseq: u64,
    pub(in crate::sync) is_own: bool,
    pub(in crate::sync) from: Option<Origin>,
}

impl Replacement {
    fn target(&self) -> Target {
        if self.is_own {
            Target::Own(self.lseq)
        } else {
            Target::Relay(self.lseq)
        }
    }
}
