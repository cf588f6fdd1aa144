//! Waiting until own writes are durable on other nodes: the place of a write in the feed, and the peers that may end a
//! wait.

use std::collections::BTreeMap;

use super::successors::Successor;
use super::wait_queue::{Reach, Replacement, Target, WaitId};
use super::waits::{self, Counting, Held, Holders, Waits};
use crate::core::identity::{Dot, Origin};
use crate::core::rules::{Rule, unless};
use crate::store::commit::ledger::PeerRecord;
use crate::store::error::StoreError;
use crate::store::memtable::held::Installed;
use crate::store::state::map::EntryMap;
use crate::sync::message::{Positions, Stream};
use crate::sync::replica::Replica;

/// The subject of a wait: one write, or all writes so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// One write of this node.
    Operation(Dot),
    /// All writes of this node so far.
    All,
}

/// Result of asking to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The wait began; its end comes from [`Replica::take_ended_waits`].
    Begun(WaitId),
    /// This node made no such write, or it was replaced so long ago that no record of it is left.
    Unknown,
    /// No peer that is to hold the write takes its key.
    Outside,
}

/// Place of a write in the feed, and its successor if it was replaced.
struct Whereabouts {
    target: Target,
    is_replaced: bool,
    successor: Option<Dot>,
}

impl Replica {
    /// True if the peer's acknowledgement counts: the peer is durable, or this node is not or accepts memory; and no
    /// other identity has superseded it.
    pub(in crate::sync) fn counts(&self, peer: &PeerRecord) -> bool {
        let memory_will_do = unless(Rule::MemoryCounts, self.options.memory_will_do, true);
        let is_safe = peer.durable || !self.options.durable || memory_will_do;
        is_safe && !peer.is_superseded
    }

    pub(in crate::sync) fn counting(&self) -> Counting {
        let counting = self.peers.iter().filter(|(_, peer)| self.counts(peer));
        counting
            .map(|(origin, peer)| (*origin, peer.scope.clone()))
            .collect()
    }

    /// The subject of a wait in terms of keys, for peers that take only a part of them; `None` if no peer that is to
    /// hold it takes it.
    fn taken(
        &self,
        target: Target,
        holders: &Holders,
        map: &EntryMap,
    ) -> Result<Option<waits::Subject>, StoreError> {
        let is_wanted = |peer: &PeerRecord| match holders {
            Holders::Peer(label) => peer.node_id == *label,
            Holders::Count(_) | Holders::All => true,
        };
        let counting = self.counting();
        let wanted = self.peers.iter().filter(|(_, peer)| is_wanted(peer));
        let wanted: Vec<_> = wanted
            .filter(|(origin, _)| counting.contains_key(origin))
            .collect();
        if let Target::Own(lseq) | Target::Relay(lseq) = target {
            let Some(held) = map.at(lseq)? else {
                return Ok(Some(waits::Subject::Any(Counting::new())));
            };
            let key = held.entry.key().to_vec();
            let is_one = matches!(holders, Holders::Peer(_));
            let is_taken = wanted.iter().any(|(_, peer)| peer.scope.contains(&key));
            let is_in_vain = is_one && !wanted.is_empty() && !is_taken;
            return Ok((!is_in_vain).then_some(waits::Subject::Key(key)));
        }
        let mut takers = Counting::new();
        for (origin, peer) in &wanted {
            if self.rows_outside(**origin, map)? == 0 {
                takers.insert(**origin, peer.scope.clone());
            }
        }
        let is_for_all = *holders == Holders::All;
        let is_taken = if is_for_all {
            self.rows_of_nobody(map)? == 0
        } else {
            !takers.is_empty()
        };
        let is_in_vain = !wanted.is_empty() && !is_taken;
        Ok((!is_in_vain).then_some(waits::Subject::Any(takers)))
    }

    /// Begins a wait until the subject is durable on the holders, which it may be already. All base rows of the map
    /// must be resolved.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn wait_for(
        &mut self,
        subject: Subject,
        holders: Holders,
        map: &EntryMap,
    ) -> Result<Waiting, StoreError> {
        let whereabouts = match subject {
            Subject::Operation(dot) => self.whereabouts(dot, map)?,
            Subject::All => Some(Whereabouts {
                target: Target::AllUpTo(map.last_own(), 0),
                is_replaced: false,
                successor: None,
            }),
        };
        let Some(Whereabouts {
            target,
            is_replaced,
            successor,
        }) = whereabouts
        else {
            return Ok(Waiting::Unknown);
        };
        let Some(taken) = self.taken(target, &holders, map)? else {
            return Ok(Waiting::Outside);
        };
        let source = match target {
            // The peer that sent a relayed entry holds it.
            Target::Relay(lseq) => map.at(lseq)?.and_then(|held| map.source_of(held.via)),
            Target::Own(_) | Target::AllUpTo(..) => None,
        };
        let concerned = self.peers.iter().filter(|(_, peer)| match &holders {
            Holders::Peer(label) => peer.node_id == *label,
            Holders::Count(_) | Holders::All => true,
        });
        let mut places = Vec::new();
        for (peer, record) in concerned {
            let acknowledged = record.acknowledged.own;
            let place = match target {
                // No own row lies after the acknowledged position: the last place held a row that was replaced.
                Target::AllUpTo(own, relay) if map.own_rows(acknowledged, u64::MAX)? == 0 => {
                    Target::AllUpTo(own.min(acknowledged), relay)
                }
                other => other,
            };
            places.push((*peer, place));
        }
        let counting = self.counting();
        let id = self
            .waits
            .begin(holders, target, taken, is_replaced, successor, &counting);
        if target == Target::AllUpTo(0, 0) {
            self.waits.end_at_once(id);
        }
        for (peer, place) in places {
            self.waits.enqueue(id, peer, place, successor);
            if source == Some(peer) && counting.contains_key(&peer) {
                self.waits.is_held(id, peer, successor, &counting);
            }
            self.moved.insert(peer);
        }
        self.settle_waits(map);
        Ok(Waiting::Begun(id))
    }

    /// Ends a wait whose caller has given it up. Unknown ids are ignored.
    pub fn cancel_wait(&mut self, id: WaitId) {
        self.waits.cancel(id);
    }

    /// Removes and returns the waits that have ended since the last call.
    pub fn take_ended_waits(&mut self) -> Vec<(WaitId, Held)> {
        self.waits.take_ended()
    }

    fn whereabouts(&self, dot: Dot, map: &EntryMap) -> Result<Option<Whereabouts>, StoreError> {
        let is_own = map.lineage().is_own(self.author, dot);
        if !is_own || dot.sequence == 0 || dot.sequence > self.last_sequence {
            return Ok(None);
        }
        let newest = self.replacements.newest(dot.sequence, self.author);
        if let Some(Successor { dot, lseq }) = newest
            && map.at(lseq)?.is_some_and(|held| held.entry.dot == dot)
        {
            return Ok(Some(Whereabouts {
                target: if dot.origin == self.author {
                    Target::Own(lseq)
                } else {
                    Target::Relay(lseq)
                },
                is_replaced: true,
                successor: Some(dot),
            }));
        }
        if newest.is_none()
            && let Some(lseq) = map.own_row_of(dot.sequence)?
        {
            return Ok(Some(Whereabouts {
                target: Target::Own(lseq),
                is_replaced: false,
                successor: None,
            }));
        }
        // The write was replaced and its successor is no longer known, so the wait is for all rows there are. A
        // missing write of an earlier opening may instead have been lost in a power cut.
        let is_replaced = newest.is_some() || dot.sequence > self.opened_sequence;
        Ok(is_replaced.then(|| Whereabouts {
            target: Target::AllUpTo(map.last_own(), map.last_relay()),
            is_replaced: true,
            successor: None,
        }))
    }

    pub(in crate::sync) fn acknowledged_by(&self, peer: Origin) -> Positions {
        self.peers
            .get(&peer)
            .map(|record| Positions {
                own: record.acknowledged.own,
                relay: record.acknowledged.relay,
            })
            .unwrap_or_default()
    }

    fn reach(&self, peer: Origin, reported: Positions, is_own: impl Fn(u64) -> bool) -> Reach {
        let acknowledged = self.acknowledged_by(peer);
        let reported = reported.furthest(acknowledged);
        let refused = self.refused_by(peer).into_iter();
        let (refused, refused_relay) = refused.partition(|lseq| is_own(*lseq));
        Reach {
            acknowledged,
            reported,
            refused,
            refused_relay,
        }
    }

    /// Moves the waits for a replaced write to its successor. `reaches` and `counting` come from [`Self::reaches`].
    pub(in crate::sync) fn follow(
        &mut self,
        replaced: u64,
        change: &Installed,
        reaches: &BTreeMap<Origin, Reach>,
        counting: &Counting,
    ) {
        if let Some(dot) = change.replaced_dot
            && change.replaced_row
        {
            let successor = Successor {
                dot: change.dot,
                lseq: change.lseq,
            };
            self.replacements.note(dot.sequence, successor);
        }
        let by = Replacement {
            dot: change.dot,
            lseq: change.lseq,
            is_own: change.is_row,
            from: change.from,
        };
        if !self.waits.is_empty() {
            self.waits.replaced(replaced, &by, reaches, counting);
        }
    }

    /// Progress of all peers, and the peers whose acknowledgement counts; both empty if nothing waits.
    pub(in crate::sync) fn reaches(&self) -> (BTreeMap<Origin, Reach>, Counting) {
        if self.waits.is_empty() {
            return Default::default();
        }
        let mut reaches: BTreeMap<Origin, Reach> = self
            .peers
            .keys()
            .map(|peer| (*peer, self.reach(*peer, Positions::default(), |_| true)))
            .collect();
        for link in self.links.values() {
            if let Some(reach) = reaches.get_mut(&link.origin) {
                reach.reported = reach.reported.furthest(link.sending.reported);
            }
        }
        (reaches, self.counting())
    }

    /// Takes back the rows that a peer was sent and has not acknowledged.
    pub(in crate::sync) fn unsent(&mut self, peer: Origin) {
        self.waits.take_back(peer, self.last_own_lseq);
    }

    /// Ends the waits that the peers' progress since the last call has fulfilled.
    pub(in crate::sync) fn settle_waits(&mut self, map: &EntryMap) {
        if let Err(error) = self.look_again_at_waits(map) {
            // Until it is known which peers take the keys, no wait ends.
            tracing::error!(%error, "who takes what is waited for cannot be read");
            self.waits.look_again();
            return;
        }
        if self.moved.is_empty() {
            return;
        }
        let moved = std::mem::take(&mut self.moved);
        if self.waits.is_empty() {
            return;
        }
        let counting = self.counting();
        let mut waits: Waits = std::mem::take(&mut self.waits);
        for peer in moved.into_iter().filter(|peer| counting.contains_key(peer)) {
            let is_own = |lseq| {
                let held = map.at(lseq).ok().flatten();
                held.is_some_and(|held| Self::stream_of(&held) == Stream::Own)
            };
            let link = self.links.values().find(|link| link.origin == peer);
            let reported = link.map(|link| link.sending.reported).unwrap_or_default();
            waits.advance(peer, &self.reach(peer, reported, is_own), &counting);
        }
        self.waits = waits;
    }
}
