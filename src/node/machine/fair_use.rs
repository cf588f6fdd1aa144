//! Fair use: each peer's share of this node's work. Work that messages ask for beyond their credit is charged to the
//! peer (a token bucket), and a peer that has used up its share waits, its socket unread. Pure: the driver asks for the
//! pause.

use std::collections::BTreeMap;

use super::Machine;
use super::conversation::{Conversation, ConversationId};
use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Origin;
use crate::core::token_bucket::TokenBucket;
use crate::store::state::map::EntryMap;
use crate::sync::message::Feed;
use crate::transport::session::work::work_of;
use crate::transport::wire::message::Message;

/// Work that a peer may ask for at once, in units of about a microsecond: a reconciliation of a million entries with
/// scattered differences takes less.
const WORK_AT_ONCE: u32 = 300_000;

/// Work that all peers together may ask for continuously, in units per millisecond: two fifths of one processor.
const WORK_PER_MS: u32 = 400;

/// Largest share of one peer, in units per millisecond.
const WORK_OF_A_PEER_PER_MS: u32 = 100;

/// Smallest share of one peer, in units per millisecond: five hundred small messages in a second.
const WORK_OF_A_PEER_PER_MS_MIN: u32 = 10;

/// Most disconnected peers whose use is remembered, in some sixty bytes each: no more can have debts at one time,
/// unless they come under new identities each time. The smallest debt is forgotten first.
const DEBTORS_MAX: usize = 1_024;

/// The token bucket of one peer.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct FairUse {
    bucket: TokenBucket,
}

impl FairUse {
    /// The full share of a peer that connects now.
    pub(in crate::node) fn new(now: MonotonicMs) -> Self {
        Self {
            bucket: TokenBucket::full(WORK_AT_ONCE, now),
        }
    }

    /// The one of two buckets of a peer that has less left.
    fn poorer(self, other: Self, now: MonotonicMs) -> Self {
        let [a, b] = [self, other].map(|mut one| {
            one.bucket.fill(WORK_OF_A_PEER_PER_MS_MIN, now);
            one
        });
        if a.bucket.level() <= b.bucket.level() {
            a
        } else {
            b
        }
    }

    fn is_full(&mut self, now: MonotonicMs) -> bool {
        self.bucket.fill(WORK_OF_A_PEER_PER_MS_MIN, now);
        self.bucket.available() >= u64::from(WORK_AT_ONCE)
    }

    fn charge(&mut self, work: u64, tokens_per_ms: u32, now: MonotonicMs) {
        self.bucket.fill(tokens_per_ms, now);
        self.bucket.spend(work);
    }

    fn wait_ms(&mut self, tokens_per_ms: u32, now: MonotonicMs) -> u64 {
        self.bucket.fill(tokens_per_ms, now);
        self.bucket.debt_ms(tokens_per_ms)
    }
}

/// Use of peers that are disconnected: a peer that comes back continues with its bucket. Meanwhile the bucket refills
/// at the smallest rate, and a full one is forgotten: from an empty share after half a minute.
#[derive(Debug, Clone, Default)]
pub(in crate::node) struct Debtors {
    gone: BTreeMap<Origin, FairUse>,
}

impl Debtors {
    /// Remembers the use of a peer whose connection has ended.
    fn left(&mut self, peer: Origin, fair_use: FairUse, now: MonotonicMs) {
        let known = self.gone.remove(&peer);
        let mut kept = known.map_or(fair_use, |known| known.poorer(fair_use, now));
        if kept.is_full(now) {
            return;
        }
        self.gone.insert(peer, kept);
        if self.gone.len() > DEBTORS_MAX {
            self.gone.retain(|_, fair_use| !fair_use.is_full(now));
        }
        if self.gone.len() > DEBTORS_MAX {
            let richest = self.gone.iter().max_by_key(|(_, one)| one.bucket.level());
            if let Some(richest) = richest.map(|(peer, _)| *peer) {
                self.gone.remove(&richest);
            }
        }
    }

    /// Takes up the use of a peer that has greeted, with its use on this connection so far. Returns the bucket to
    /// continue with.
    fn came(&mut self, peer: Origin, fair_use: FairUse, now: MonotonicMs) -> FairUse {
        let known = self.gone.remove(&peer);
        known.map_or(fair_use, |known| known.poorer(fair_use, now))
    }
}

impl Machine {
    /// Gives a peer that has greeted the bucket that it had at the end of an earlier connection, or has on another one.
    pub(in crate::node) fn recall_debt(
        &mut self,
        id: ConversationId,
        peer: Origin,
        now: MonotonicMs,
    ) {
        let is_other = |(other, conversation): &(&ConversationId, &Conversation)| {
            let acquaintance = conversation.peer.as_ref();
            **other != id && acquaintance.is_some_and(|known| known.origin == peer)
        };
        let others = self.conversations.iter().filter(is_other);
        let others: Vec<FairUse> = others.map(|(_, other)| other.fair_use).collect();
        if let Some(conversation) = self.conversations.get_mut(&id) {
            let begun = self.debtors.came(peer, conversation.fair_use, now);
            let of_all = others
                .into_iter()
                .fold(begun, |poorer, other| poorer.poorer(other, now));
            conversation.fair_use = of_all;
        }
    }

    /// Remembers the use of a peer whose conversation is over.
    pub(in crate::node) fn note_debt(&mut self, conversation: &Conversation, now: MonotonicMs) {
        if let Some(peer) = &conversation.peer {
            self.debtors.left(peer.origin, conversation.fair_use, now);
        }
    }

    /// The continuous share of each peer, in units per millisecond.
    fn share_per_ms(&self) -> u32 {
        let peers = u32::try_from(self.conversations.len()).unwrap_or(u32::MAX);
        let share = WORK_PER_MS / peers.max(1);
        share.clamp(WORK_OF_A_PEER_PER_MS_MIN, WORK_OF_A_PEER_PER_MS)
    }

    /// Takes in a message, and charges its work to the peer. `charged`: its cost was reported before, part by part.
    pub fn received(
        &mut self,
        id: ConversationId,
        message: Message,
        charged: bool,
        now: Now,
        map: &EntryMap,
    ) {
        let work = work_of(&message);
        let is_answer = matches!(&message, Message::Feed(Feed::Ack(_)));
        let before = self.replica.taken_by(id).filter(|_| is_answer);
        self.heed(id, message, charged, now, map);
        // An acknowledgement of rows that were sent is paid for by the credit they took.
        let is_paid = before.is_some() && before != self.replica.taken_by(id);
        let share = self.share_per_ms();
        if let Some(conversation) = self.conversations.get_mut(&id)
            && work > 0
            && !is_paid
        {
            conversation.fair_use.charge(work, share, now.monotonic);
        }
    }

    /// Milliseconds for which nothing more should be read from a connection, because its peer has used up its share.
    pub fn pause_ms(&mut self, id: ConversationId, now: Now) -> u64 {
        let share = self.share_per_ms();
        self.conversations.get_mut(&id).map_or(0, |conversation| {
            conversation.fair_use.wait_ms(share, now.monotonic)
        })
    }

    /// The origin of a connection's peer, once it has greeted.
    pub fn peer_of(&self, id: ConversationId) -> Option<Origin> {
        let peer = self.conversations.get(&id)?.peer.as_ref()?;
        Some(peer.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(number: usize) -> Origin {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        Origin(bytes)
    }

    fn overdrawn(work: u64) -> FairUse {
        let mut fair_use = FairUse::new(MonotonicMs(0));
        let rate = WORK_OF_A_PEER_PER_MS_MIN;
        fair_use.charge(u64::from(WORK_AT_ONCE) + work, rate, MonotonicMs(0));
        fair_use
    }

    #[test]
    fn who_comes_back_goes_on_with_what_it_owed_and_has_paid_back_meanwhile() {
        let rate = WORK_OF_A_PEER_PER_MS_MIN;
        let mut debtors = Debtors::default();
        debtors.left(origin(1), overdrawn(50_000), MonotonicMs(0));
        let fresh = FairUse::new(MonotonicMs(1_000));
        let mut back = debtors.came(origin(1), fresh, MonotonicMs(1_000));
        assert_eq!(back.wait_ms(rate, MonotonicMs(1_000)), 4_000);
        let mut other = debtors.came(origin(2), fresh, MonotonicMs(1_000));
        assert_eq!(other.wait_ms(rate, MonotonicMs(1_000)), 0);
        // Two connections at once: the greater debt counts, whichever ends first.
        for debts in [[10_000, 70_000], [70_000, 10_000]] {
            for debt in debts {
                debtors.left(origin(1), overdrawn(debt), MonotonicMs(0));
            }
            let mut back = debtors.came(origin(1), fresh, MonotonicMs(0));
            assert_eq!(back.wait_ms(rate, MonotonicMs(0)), 7_000);
        }
    }

    #[test]
    fn debts_are_forgotten_once_they_are_paid_back() {
        let mut debtors = Debtors::default();
        debtors.left(origin(1), overdrawn(1), MonotonicMs(0));
        let long = MonotonicMs(1 + u64::from(WORK_AT_ONCE / WORK_OF_A_PEER_PER_MS_MIN));
        for number in 2..DEBTORS_MAX + 2 {
            debtors.left(origin(number), overdrawn(1_000), long);
        }
        assert_eq!(debtors.gone.len(), DEBTORS_MAX);
        assert!(!debtors.gone.contains_key(&origin(1)));
        debtors.left(origin(1), FairUse::new(long), long);
        assert!(!debtors.gone.contains_key(&origin(1)), "it owes nothing");
    }

    #[test]
    fn of_more_debtors_than_are_remembered_the_least_is_forgotten() {
        let mut debtors = Debtors::default();
        for number in 0..=DEBTORS_MAX {
            let debt = if number == 7 { 1 } else { 1_000 };
            debtors.left(origin(number), overdrawn(debt), MonotonicMs(0));
        }
        assert_eq!(debtors.gone.len(), DEBTORS_MAX);
        assert!(!debtors.gone.contains_key(&origin(7)));
    }
}
