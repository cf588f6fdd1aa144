//! Each peer's share of this node's work: what its messages ask for beyond what its credit bounds is charged to it, and who
//! has had more than its share waits, its socket unread. Pure: the driver asks how long.

use super::conversation::ConversationId;
use super::machine::Machine;
use crate::core::clock::{MonotonicMs, Now};
use crate::core::identity::Origin;
use crate::core::token_bucket::TokenBucket;
use crate::store::map::EntryMap;
use crate::sync::message::Feed;
use crate::transport::message::Message;
use crate::transport::work::work_of;

/// Work that a peer may ask for at once, in units of about a microsecond: a reconciliation of a million entries that
/// differ here and there takes less.
const WORK_AT_ONCE: u32 = 300_000;

/// Work that all peers together may go on asking for, in units for each millisecond: two fifths of one processor.
const WORK_PER_MS: u32 = 400;

/// The most of it that one peer gets.
const WORK_OF_A_PEER_PER_MS: u32 = 100;

/// The least of it: five hundred small messages in a second.
const WORK_OF_A_PEER_PER_MS_MIN: u32 = 10;

/// The work that one peer has caused.
#[derive(Debug, Clone, Copy)]
pub(super) struct FairUse {
    bucket: TokenBucket,
}

impl FairUse {
    /// Of a peer that is here since now.
    pub(super) fn new(now: MonotonicMs) -> Self {
        Self {
            bucket: TokenBucket::full(WORK_AT_ONCE, now),
        }
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

impl Machine {
    /// What each peer may go on asking for in a millisecond.
    fn share_per_ms(&self) -> u32 {
        let peers = u32::try_from(self.conversations.len()).unwrap_or(u32::MAX);
        let share = WORK_PER_MS / peers.max(1);
        share.clamp(WORK_OF_A_PEER_PER_MS_MIN, WORK_OF_A_PEER_PER_MS)
    }

    /// A message came. `charged` says that its cost was told before.
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
        // Who says that it has taken what it was sent has been charged for that: by its credit.
        let is_paid = before.is_some() && before != self.replica.taken_by(id);
        let share = self.share_per_ms();
        if let Some(conversation) = self.conversations.get_mut(&id)
            && work > 0
            && !is_paid
        {
            conversation.fair_use.charge(work, share, now.monotonic);
        }
    }

    /// For how many milliseconds nothing more should be read from a connection, because its peer has had more than its
    /// share.
    pub fn pause_ms(&mut self, id: ConversationId, now: Now) -> u64 {
        let share = self.share_per_ms();
        self.conversations.get_mut(&id).map_or(0, |conversation| {
            conversation.fair_use.wait_ms(share, now.monotonic)
        })
    }

    /// The author id of the peer of a connection, once it has greeted.
    pub fn peer_of(&self, id: ConversationId) -> Option<Origin> {
        let peer = self.conversations.get(&id)?.peer.as_ref()?;
        Some(peer.origin)
    }
}
