//! The outbox row by row for users: in pages, never all of it at once.

use super::watermarks::Watermarks;
use crate::core::clock::MonotonicMs;
use crate::core::identity::Dot;
use crate::store::error::StoreError;
use crate::store::memtable::held::Held;
use crate::store::state::map::EntryMap;
use crate::sync::message::RefusalCode;
use crate::sync::peer::link::{Link, RetryCause};
use crate::sync::replica::Replica;

/// State of an outbox row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// Sent to no peer yet, or to be sent again.
    Queued,
    /// Sent, and not acknowledged by enough peers.
    InFlight,
    /// Acknowledged by enough peers, and not pruned.
    Acknowledged,
    /// Given up until a peer returns, or refused by a peer that is needed.
    Failed,
}

/// Why a peer does not hold a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The peer did not acknowledge the row in time.
    Unanswered,
    /// The peer refused the row, with one of `RefusalCode` as a number.
    Refused(u8),
}

impl Trouble {
    /// A stable word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unanswered => "unanswered",
            Self::Refused(code) if code == RefusalCode::ValueTooLarge as u8 => "value_too_large",
            Self::Refused(code) if code == RefusalCode::StorageFailed as u8 => "storage_failed",
            Self::Refused(code) if code == RefusalCode::Malformed as u8 => "malformed",
            Self::Refused(code) if code == RefusalCode::TooManyAuthors as u8 => "too_many_authors",
            Self::Refused(_) => "refused",
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.as_str() {
            "unanswered" => "the peer did not acknowledge it in time",
            "value_too_large" => "the value is larger than the peer accepts",
            "storage_failed" => "the peer could not store it",
            "malformed" => "the peer takes it for malformed",
            "too_many_authors" => "the peer has no room for another author",
            _ => "the peer refuses it, for a reason that this version does not know",
        })
    }
}

impl From<RetryCause> for Trouble {
    fn from(cause: RetryCause) -> Self {
        match cause {
            RetryCause::Unanswered => Self::Unanswered,
            RetryCause::Refused(code) => Self::Refused(code),
        }
    }
}

/// A peer that does not hold a row, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerTrouble {
    /// The label of the peer.
    pub node_id: String,
    /// Why the peer does not hold the row.
    pub trouble: Trouble,
}

/// A row of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The local sequence number of the row.
    pub lseq: u64,
    /// The user's key.
    pub key: Vec<u8>,
    /// The dot of the write.
    pub dot: Dot,
    /// The key's version.
    pub version: u64,
    /// True if the write removes the key.
    pub is_removal: bool,
    /// State of the row.
    pub state: RowState,
    /// Times that the row was sent to the peer that it was sent to most often, since that peer last acknowledged
    /// something.
    pub attempts: u64,
    /// Time until the row is sent again, in milliseconds, where that is scheduled.
    pub next_retry_in_ms: Option<u64>,
    /// The peers that do not hold the row for a known reason.
    pub troubles: Vec<PeerTrouble>,
}

impl Replica {
    /// State of a row under its watermarks; `None` if it is pruned.
    pub(in crate::sync) fn row_state(
        &self,
        held: &Held,
        watermarks: &Watermarks,
    ) -> Option<RowState> {
        let Watermarks {
            pruned,
            acknowledged,
            sent,
            failed,
        } = *watermarks;
        let lseq = held.lseq;
        let key = self.class_counts.is_some().then(|| held.entry.key());
        let is_refused = self.outbox.rejected.contains(&lseq);
        if is_refused && !(lseq <= acknowledged && self.is_held_by_enough(lseq, key)) {
            Some(RowState::Failed)
        } else if lseq <= acknowledged {
            (lseq > pruned).then_some(RowState::Acknowledged)
        } else if lseq <= sent {
            Some(RowState::InFlight)
        } else if lseq <= failed {
            Some(RowState::Failed)
        } else {
            Some(RowState::Queued)
        }
    }

    /// At most `limit` rows after the place `after`, in feed order: all, or those in one state. The cost is bounded
    /// by `limit` and by the number of refused rows; where some peers take only a part of the keys, also by the
    /// distance between the watermarks of different classes.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn list_outbox(
        &self,
        wanted: Option<RowState>,
        after: u64,
        limit: usize,
        now: MonotonicMs,
        map: &EntryMap,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let progress_marks = self.progress_marks();
        // With several classes, the rows between their lowest and highest watermarks are examined one by one.
        let shown =
            progress_marks.bounds(|watermarks| watermarks.pruned.min(watermarks.acknowledged));
        let pruned = progress_marks.bounds(|watermarks| watermarks.pruned);
        let acknowledged = progress_marks.bounds(|watermarks| watermarks.acknowledged);
        let in_flight =
            progress_marks.bounds(|watermarks| watermarks.sent.max(watermarks.acknowledged));
        let failed = progress_marks.bounds(|watermarks| {
            watermarks
                .failed
                .max(watermarks.sent)
                .max(watermarks.acknowledged)
        });
        let (from, to) = match wanted {
            None if self.class_counts.is_some() => (shown.0, u64::MAX),
            None => (pruned.0, u64::MAX),
            Some(RowState::Acknowledged) => (pruned.0, acknowledged.1),
            Some(RowState::InFlight) => (acknowledged.0, in_flight.1),
            Some(RowState::Failed) => (in_flight.0, failed.1),
            Some(RowState::Queued) => (failed.0, u64::MAX),
        };
        let is_wanted = |held: &Held| {
            let state = self.row_state(held, &progress_marks.of(held.entry.key()));
            state.filter(|state| wanted.is_none_or(|wanted| wanted == *state))
        };
        let mut rows = Vec::new();
        // Refused rows may lie anywhere.
        for lseq in self.outbox.rejected.range(after.saturating_add(1)..) {
            if rows.len() >= limit {
                break;
            }
            if let Some(held) = map.at(*lseq)?
                && let Some(state) = is_wanted(&held)
            {
                rows.push(self.row(&held, state, now));
            }
        }
        let mut others = 0;
        for held in rows_between(from.max(after), to, map) {
            if others >= limit {
                break;
            }
            let held = held?;
            if let Some(state) = is_wanted(&held)
                && !self.outbox.rejected.contains(&held.lseq)
            {
                others += 1;
                rows.push(self.row(&held, state, now));
            }
        }
        rows.sort_unstable_by_key(|row| row.lseq);
        rows.truncate(limit);
        Ok(rows)
    }

    fn row(&self, held: &Held, state: RowState, now: MonotonicMs) -> OutboxRow {
        let lseq = held.lseq;
        let mut row = OutboxRow {
            lseq,
            key: held.entry.key().get(1..).unwrap_or_default().to_vec(),
            dot: held.entry.dot,
            version: held.entry.version,
            is_removal: held.entry.is_tombstone(),
            state,
            attempts: 0,
            next_retry_in_ms: None,
            troubles: Vec::new(),
        };
        for (origin, peer) in &self.peers {
            let refused = peer
                .rejected
                .binary_search_by_key(&lseq, |entry| entry.lseq)
                .ok()
                .and_then(|place| peer.rejected.get(place))
                .map(|entry| Trouble::Refused(entry.code));
            let is_taken = peer.scope.contains(held.entry.key());
            let given_up = self
                .given_up
                .get(origin)
                .filter(|_| is_taken)
                .filter(|(from, to)| *from < lseq && lseq <= *to)
                .map(|_| Trouble::Unanswered);
            if given_up.is_some() {
                row.attempts = row.attempts.max(u64::from(self.options.max_retries) + 1);
            }
            let retried = self
                .links
                .values()
                .find(|link| link.origin == *origin && is_taken)
                .and_then(|link| row.add_attempts(link, now));
            if let Some(trouble) = refused.or(given_up).or(retried) {
                row.troubles.push(PeerTrouble {
                    node_id: peer.node_id.clone(),
                    trouble,
                });
            }
        }
        row
    }
}

fn rows_between<'a>(
    after: u64,
    to: u64,
    map: &'a EntryMap,
) -> impl Iterator<Item = Result<std::borrow::Cow<'a, Held>, StoreError>> {
    let is_within = move |held: &Result<std::borrow::Cow<'a, Held>, StoreError>| {
        held.as_ref().map_or(true, |held| held.lseq <= to)
    };
    map.own_after(after).take_while(is_within)
}

impl OutboxRow {
    /// Counts the attempts of a connected peer's link for this row. Returns why none has succeeded yet.
    fn add_attempts(&mut self, link: &Link, now: MonotonicMs) -> Option<Trouble> {
        let sending = &link.sending;
        if self.lseq <= sending.acknowledged.own {
            return None;
        }
        let retries = u64::from(sending.attempts);
        let was_sent = self.lseq <= sending.reported.own;
        if !was_sent && self.lseq > sending.reported_before.own {
            return None;
        }
        self.attempts = self.attempts.max(retries + u64::from(was_sent));
        if !was_sent && sending.paused_until > now {
            let in_ms = sending.paused_until.since(now);
            let sooner = self
                .next_retry_in_ms
                .map_or(in_ms, |other| other.min(in_ms));
            self.next_retry_in_ms = Some(sooner);
        }
        sending
            .retry_cause
            .filter(|_| retries > 0)
            .map(Trouble::from)
    }
}
