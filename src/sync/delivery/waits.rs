//! Who waits until a write is durable on others. Driven by acknowledgements: each wait stands in a queue for each peer
//! that may end it, and progress looks only at those that it reaches.

use std::collections::{BTreeMap, BTreeSet};

use super::wait_queue::{Place, Queue, Reach, Replacement, Target};
use crate::core::identity::{Dot, Origin};
use crate::store::scope::Scope;

pub(in crate::sync) mod again;

/// Names a wait, never again in one process.
pub type WaitId = u64;

/// On whom something has to be durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holders {
    /// The peer with this label; it may still have to come.
    Peer(String),
    /// So many peers, at least one. They may still have to come; but once they were there, and are not any more, that is
    /// told, because nothing else would tell it.
    Count(usize),
    /// Every registered peer whose acknowledgement counts, at least one.
    All,
}

/// How a wait ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who holds it.
    pub peers: Vec<Origin>,
    /// It was replaced: what is held is its successor.
    pub is_replaced: bool,
    /// That successor, where it is known.
    pub successor: Option<Dot>,
    /// It did not end well after all: of what is waited for there is some that who was to hold it does not take, or too
    /// few are left that take it.
    pub is_outside: bool,
}

/// The peers whose acknowledgement counts, and what each of them takes.
pub(in crate::sync) type Counting = BTreeMap<Origin, Scope>;

/// What is waited for, as far as it matters to peers that take only a part of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) enum Subject {
    /// A write to this stored key.
    Key(Vec<u8>),
    /// Writes to any keys, all of which these peers take as long as they take what they took when that was looked at.
    Any(Counting),
}

#[derive(Debug)]
struct Wait {
    holders: Holders,
    subject: Subject,
    held_by: Vec<Origin>,
    is_replaced: bool,
    successor: Option<Dot>,
    /// There is some of it that nobody takes whose acknowledgement counts.
    is_short: bool,
    /// There were once as many peers as are waited for that take it. Before that they may still have to come.
    was_possible: bool,
}

impl Wait {
    /// Whether a peer takes what is waited for.
    fn is_taken(&self, peer: Origin, scope: &Scope) -> bool {
        match (&self.subject, &self.holders) {
            (Subject::Key(key), _) => scope.contains(key),
            // Of each of them all that it takes is asked for.
            (Subject::Any(_), Holders::All) => !scope.is_nothing(),
            (Subject::Any(takers), Holders::Peer(_) | Holders::Count(_)) => {
                let looked_at = takers.get(&peer);
                scope.is_all() || looked_at.is_some_and(|then| scope.covers(then))
            }
        }
    }

    /// Whether those who hold it are enough. `counting`: the peers whose acknowledgement counts.
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

    /// Whether as many peers as are waited for hold it or take it.
    fn is_possible(&self, counting: &Counting) -> bool {
        let Holders::Count(count) = self.holders else {
            return true;
        };
        let others = counting
            .iter()
            .filter(|(peer, scope)| !self.held_by.contains(peer) && self.is_taken(**peer, scope));
        self.held_by.len() + others.count() >= count.max(1)
    }

    /// How it ends where nothing more is to come.
    fn ending(self) -> Held {
        Held {
            peers: self.held_by,
            is_replaced: self.is_replaced,
            successor: self.successor,
            is_outside: self.is_short,
        }
    }
}

/// All waits.
#[derive(Debug, Default)]
pub(in crate::sync) struct Waits {
    last: WaitId,
    open: BTreeMap<WaitId, Wait>,
    /// For peers that are not known yet.
    strangers: Queue,
    queues: BTreeMap<Origin, Queue>,
    ended: Vec<(WaitId, Held)>,
    /// Places in queues, at the most, of waits that have ended.
    stale: usize,
    placed: usize,
    /// Who takes what, or whose acknowledgement counts, has changed: see [`again`].
    is_due: bool,
}

/// Places of ended waits that are left where they are before all queues are gone through.
const STALE_MIN: usize = 1024;

impl Waits {
    /// Whether nobody waits.
    pub(in crate::sync) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Somebody waits. For the peers that may end it, see [`Self::enqueue`].
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

    /// The wait stands in line for a peer.
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

    /// A peer is met for the first time, or under a new label: whoever waits for such a one waits for it.
    pub(in crate::sync) fn forget(&mut self, peer: Origin) {
        self.queues.remove(&peer);
        self.look_again();
    }

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

    /// A peer is that far. `counting`: the peers whose acknowledgement counts.
    pub(in crate::sync) fn advance(&mut self, peer: Origin, reach: &Reach, counting: &Counting) {
        let Some(queue) = self.queues.get_mut(&peer) else {
            return;
        };
        let held = queue.advance(reach);
        self.hold(peer, held, counting);
    }

    /// A peer holds what a wait waits for.
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

    /// An entry was replaced. `reaches`: how far each peer is.
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

    /// What a peer was sent and did not acknowledge is taken back.
    pub(in crate::sync) fn take_back(&mut self, peer: Origin, last: u64) {
        if let Some(queue) = self.queues.get_mut(&peer) {
            queue.take_back(last);
        }
    }

    /// There is nothing to wait for.
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

    /// Nobody waits any more, and no name is given twice.
    pub(in crate::sync) fn emptied(&self) -> Self {
        Self {
            last: self.last,
            ..Self::default()
        }
    }

    /// Nobody waits for it any more.
    pub(in crate::sync) fn cancel(&mut self, id: WaitId) {
        if self.open.remove(&id).is_some() {
            self.stale += 1;
            self.sweep();
        }
    }

    /// The waits that have ended well since this was last asked.
    pub(in crate::sync) fn take_ended(&mut self) -> Vec<(WaitId, Held)> {
        std::mem::take(&mut self.ended)
    }

    /// Ended waits leave the queues of peers that do not move, once they are many.
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
