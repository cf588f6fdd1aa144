//! Waits until a write is durable on other nodes, driven by acknowledgements: each wait stands in a queue for each
//! peer that may end it, and progress looks only at the waits that it reaches.

use std::collections::{BTreeMap, BTreeSet};

use super::wait_queue::{Place, Queue, Reach, Replacement, Target, WaitId};
use crate::core::identity::{Dot, Origin};
use crate::store::scope::Scope;

pub(in crate::sync) mod again;

/// The peers on which a write has to become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holders {
    /// The peer with this label, which may not be known yet.
    Peer(String),
    /// At least this many peers, no fewer than one. They may still have to connect. If there once were enough and no
    /// longer are, the wait ends as outside, because nothing else would report it.
    Count(usize),
    /// Every registered peer whose acknowledgement counts, at least one.
    All,
}

/// Result of a wait that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The peers that hold the write.
    pub peers: Vec<Origin>,
    /// True if the write was replaced: the peers hold its successor.
    pub is_replaced: bool,
    /// The successor, where it is known.
    pub successor: Option<Dot>,
    /// True if the wait failed: a peer that was to hold the write does not take all of it, or too few peers are left
    /// that take it.
    pub is_outside: bool,
}

/// The peers whose acknowledgement counts, with their scopes.
pub(in crate::sync) type Counting = BTreeMap<Origin, Scope>;

/// The subject of a wait in terms of keys, for peers that take only a part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) enum Subject {
    /// A write to this stored key.
    Key(Vec<u8>),
    /// Writes to any keys. These peers take all of them for as long as their scope covers the one recorded here.
    Any(Counting),
}

#[derive(Debug)]
struct Wait {
    holders: Holders,
    subject: Subject,
    held_by: Vec<Origin>,
    is_replaced: bool,
    successor: Option<Dot>,
    /// True if some of the rows are taken by no peer whose acknowledgement counts.
    is_short: bool,
    /// True if there were once enough peers that take it. Until then peers may still have to connect.
    was_possible: bool,
}

impl Wait {
    /// True if the peer takes all keys of the wait's subject.
    fn is_taken(&self, peer: Origin, scope: &Scope) -> bool {
        match (&self.subject, &self.holders) {
            (Subject::Key(key), _) => scope.contains(key),
            // A wait for all peers asks each only for the rows that it takes.
            (Subject::Any(_), Holders::All) => !scope.is_nothing(),
            (Subject::Any(takers), Holders::Peer(_) | Holders::Count(_)) => {
                let looked_at = takers.get(&peer);
                scope.is_all() || looked_at.is_some_and(|then| scope.covers(then))
            }
        }
    }

    /// True if the peers that hold the write are enough. `counting`: the peers whose acknowledgement counts.
    fn is_enough(&self, counting: &Counting) -> bool {
        match self.holders {
            Holders::Peer(_) => !self.held_by.is_empty(),
            Holders::Count(count) => self.held_by.len() >= count.max(1),
            Holders::All => {
                let needed = counting.iter();
                let mut needed = needed
                    .filter(|(peer, scope)| self.is_taken(**peer, scope))
                    .map(|(peer, _)| self.held_by.contains(peer))
                    .peekable();
                needed.peek().is_some() && needed.all(|holds| holds)
            }
        }
    }

    /// True if enough peers hold the write or take its keys. Always true unless a number of peers is waited for.
    fn is_possible(&self, counting: &Counting) -> bool {
        let Holders::Count(count) = self.holders else {
            return true;
        };
        let others = counting
            .iter()
            .filter(|(peer, scope)| !self.held_by.contains(peer) && self.is_taken(**peer, scope));
        self.held_by.len() + others.count() >= count.max(1)
    }

    /// The result of the wait as it stands.
    fn ending(self) -> Held {
        Held {
            peers: self.held_by,
            is_replaced: self.is_replaced,
            successor: self.successor,
            is_outside: self.is_short,
        }
    }
}

/// All open waits, with their queues for each peer.
#[derive(Debug, Default)]
pub(in crate::sync) struct Waits {
    last: WaitId,
    open: BTreeMap<WaitId, Wait>,
    /// The queue that peers not known yet start from.
    strangers: Queue,
    queues: BTreeMap<Origin, Queue>,
    ended: Vec<(WaitId, Held)>,
    /// Upper bound of places in queues that belong to ended waits.
    stale: usize,
    placed: usize,
    /// True if scopes, or the peers that count, have changed: see [`again`].
    is_due: bool,
}

/// Places of ended waits that are left where they are before all queues are gone through.
const STALE_MIN: usize = 1024;

impl Waits {
    /// True if there is no open wait.
    pub(in crate::sync) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens a wait and returns its id. The peers that may end it are added by [`Self::enqueue`].
    pub(in crate::sync) fn begin(
        &mut self,
        holders: Holders,
        target: Target,
        subject: Subject,
        is_replaced: bool,
        successor: Option<Dot>,
        counting: &Counting,
    ) -> WaitId {
        self.last += 1;
        let mut wait = Wait {
            holders,
            subject,
            held_by: Vec::new(),
            is_replaced,
            successor: None,
            is_short: false,
            was_possible: false,
        };
        wait.was_possible = wait.is_possible(counting);
        self.open.insert(self.last, wait);
        self.strangers.insert(target, self.last, successor);
        self.placed += 1;
        self.last
    }

    /// Puts the wait into the queue of a peer.
    pub(in crate::sync) fn enqueue(
        &mut self,
        id: WaitId,
        peer: Origin,
        target: Target,
        successor: Option<Dot>,
    ) {
        self.queues
            .entry(peer)
            .or_default()
            .insert(target, id, successor);
        self.placed += 1;
    }

    /// Drops the queue of a peer and has all waits looked at again, since the peer no longer counts.
    pub(in crate::sync) fn forget(&mut self, peer: Origin) {
        self.queues.remove(&peer);
        self.look_again();
    }

    /// Puts a peer that is met for the first time, or under a new label, into the queues of all waits that it may end.
    pub(in crate::sync) fn met(&mut self, peer: Origin, label: &str) {
        let waits = &self.open;
        let concerns = |place: &Place| {
            waits
                .get(&place.id)
                .is_some_and(|wait| match &wait.holders {
                    Holders::Peer(wanted) => wanted == label && !wait.held_by.contains(&peer),
                    Holders::Count(_) | Holders::All => !wait.held_by.contains(&peer),
                })
        };
        let queue = self.queues.entry(peer).or_default();
        let mut known: BTreeSet<WaitId> = BTreeSet::new();
        for places in queue.all_places() {
            known.extend(places.values().flatten().map(|place| place.id));
        }
        let mut strangers = self.strangers.clone();
        let targets = [
            (&mut strangers.own, &mut queue.own),
            (&mut strangers.relay, &mut queue.relay),
            (&mut strangers.all, &mut queue.all),
        ];
        for (from, into) in targets {
            for (lseq, places) in std::mem::take(from) {
                let new = places
                    .into_iter()
                    .filter(|place| !known.contains(&place.id) && concerns(place));
                let new: Vec<Place> = new.collect();
                if !new.is_empty() {
                    self.placed += new.len();
                    into.entry(lseq).or_default().extend(new);
                }
            }
        }
    }

    /// Takes in a peer's progress. `counting`: the peers whose acknowledgement counts.
    pub(in crate::sync) fn advance(&mut self, peer: Origin, reach: &Reach, counting: &Counting) {
        let Some(queue) = self.queues.get_mut(&peer) else {
            return;
        };
        let held = queue.advance(reach);
        self.hold(peer, held, counting);
    }

    /// Records that a peer holds the target of a wait.
    pub(in crate::sync) fn is_held(
        &mut self,
        id: WaitId,
        peer: Origin,
        successor: Option<Dot>,
        counting: &Counting,
    ) {
        let place = Place {
            id,
            relay: 0,
            successor,
        };
        self.hold(peer, vec![place], counting);
    }

    fn hold(&mut self, peer: Origin, places: Vec<Place>, counting: &Counting) {
        for place in places {
            let Some(wait) = self.open.get_mut(&place.id) else {
                continue;
            };
            if !counting
                .get(&peer)
                .is_some_and(|scope| wait.is_taken(peer, scope))
            {
                continue;
            }
            if !wait.held_by.contains(&peer) {
                wait.held_by.push(peer);
            }
            wait.is_replaced |= place.successor.is_some();
            wait.successor = place.successor.or(wait.successor);
            if wait.is_enough(counting)
                && let Some(wait) = self.open.remove(&place.id)
            {
                self.stale += wait.held_by.len().max(1);
                self.ended.push((place.id, wait.ending()));
            }
        }
        self.sweep();
    }

    /// Moves waits for a replaced entry to its successor. `reaches`: the progress of each peer.
    pub(in crate::sync) fn replaced(
        &mut self,
        lseq: u64,
        by: &Replacement,
        reaches: &BTreeMap<Origin, Reach>,
        counting: &Counting,
    ) {
        self.strangers.replaced(lseq, by, None, &Reach::default());
        let unknown = Reach::default();
        let mut holding = Vec::new();
        for (peer, queue) in &mut self.queues {
            let reach = reaches.get(peer).unwrap_or(&unknown);
            let counted = counting.contains_key(peer).then_some(*peer);
            let held = queue.replaced(lseq, by, counted, reach);
            if !held.is_empty() {
                holding.push((*peer, held));
            }
        }
        for (peer, held) in holding {
            self.hold(peer, held, counting);
        }
    }

    /// Takes back the rows that a peer was sent and has not acknowledged.
    pub(in crate::sync) fn take_back(&mut self, peer: Origin, last: u64) {
        if let Some(queue) = self.queues.get_mut(&peer) {
            queue.take_back(last);
        }
    }

    /// Ends a wait whose subject has no rows.
    pub(in crate::sync) fn end_at_once(&mut self, id: WaitId) {
        if self.open.remove(&id).is_some() {
            let held = Held {
                peers: Vec::new(),
                is_replaced: false,
                successor: None,
                is_outside: false,
            };
            self.ended.push((id, held));
            self.sweep();
        }
    }

    /// An empty set of waits that goes on with the ids of this one, so that none is given twice.
    pub(in crate::sync) fn emptied(&self) -> Self {
        Self {
            last: self.last,
            ..Self::default()
        }
    }

    /// Removes a wait whose caller has given it up.
    pub(in crate::sync) fn cancel(&mut self, id: WaitId) {
        if self.open.remove(&id).is_some() {
            self.stale += 1;
            self.sweep();
        }
    }

    /// Removes and returns the waits that have ended since the last call.
    pub(in crate::sync) fn take_ended(&mut self) -> Vec<(WaitId, Held)> {
        std::mem::take(&mut self.ended)
    }

    /// Removes ended waits from all queues once they are many; queues of peers that do not move keep them until then.
    fn sweep(&mut self) {
        let is_due =
            self.open.is_empty() && self.placed > 0 || self.stale >= STALE_MIN.max(self.open.len());
        if !is_due {
            return;
        }
        let waits = &self.open;
        self.placed = 0;
        for queue in self.queues.values_mut().chain([&mut self.strangers]) {
            for places in queue.all_places() {
                places.retain(|_, places| {
                    places.retain(|place| waits.contains_key(&place.id));
                    self.placed += places.len();
                    !places.is_empty()
                });
            }
        }
        self.stale = 0;
    }

    /// Places in all queues.
    #[cfg(test)]
    pub(in crate::sync) fn places(&mut self) -> usize {
        let queues = self.queues.values_mut().chain([&mut self.strangers]);
        let all = queues.flat_map(|queue| queue.all_places().map(|places| places.len()));
        all.sum()
    }
}
