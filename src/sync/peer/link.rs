//! State of the link to one connected peer.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::core::clock::MonotonicMs;
use crate::core::identity::{Incarnation, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::ledger::{FeedPosition, is_reached};
use crate::store::entry::{Entry, Summary};
use crate::store::scope::Scope;
use crate::sync::feed::ahead::{Aside, Backlogs};
use crate::sync::feed::dot_ranges::DotSet;
use crate::sync::feed::restarts::Restarts;
use crate::sync::message::{
    BEGUN_MAX, Begun, BegunValues, Cursor, End, Epoch, Greeting, Positions, Stream, ValueId,
};
use crate::sync::options::WINDOW_COST;
use crate::sync::reconcile::comparing::Comparing;
use crate::sync::reconcile::{Openings, Outcome, Reconciling};

/// Id of a connection to a greeted peer; given by the driver, never reused within a process.
pub type LinkId = u64;

/// A large entry that is being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) struct LargeSend {
    pub(in crate::sync) stream: Stream,
    pub(in crate::sync) lseq: u64,
    pub(in crate::sync) offset: usize,
    pub(in crate::sync) course: Course,
    /// The identity under which the value was announced, to a peer that can resume.
    pub(in crate::sync) part: Option<ValueId>,
    /// The entry as it was read from the checkpoint; `None` while the map has it in memory. Shared by all links that
    /// send it.
    pub(in crate::sync) read: Option<Arc<Entry>>,
}

/// The way in which an entry is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sync) enum Course {
    /// In its place in the feed; positions move.
    InOrder,
    /// Offered again, out of its order; no position moves.
    Again,
    /// In a reconciliation: no position moves.
    Reconciled,
}

/// Why rows are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sync) enum RetryCause {
    /// The peer did not acknowledge them in time.
    Unanswered,
    /// The peer could not store them; the code of its NACK.
    Refused(u8),
}

/// Sending side of a link: the peer's progress in this node's feed.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of what may be sent"
)]
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Sending {
    /// True once the peer has reported its cursor, which settles where to send from.
    pub(in crate::sync) started: bool,
    /// Positions up to which entries were sent on this connection, or passed over because the peer has them.
    pub(in crate::sync) sent: Positions,
    /// Positions where the peer is once it has taken in everything it was sent.
    pub(in crate::sync) reported: Positions,
    /// Positions up to which the peer has acknowledged.
    pub(in crate::sync) acknowledged: Positions,
    /// Where the feed began on this connection: entries up to here were not sent on it.
    pub(in crate::sync) begun: Positions,
    /// Positions that the peer claims. The part that was not sent does not count as acknowledged.
    pub(in crate::sync) claimed: Positions,
    /// End of this node's feed when both sides greeted with equal states.
    pub(in crate::sync) shown_equal: Positions,
    /// Positions reported before they were taken back for another attempt: a late acknowledgement of them counts.
    pub(in crate::sync) reported_before: Positions,
    /// Positions reported before the feed was begun anew: a late acknowledgement of them is ignored.
    pub(in crate::sync) reported_once: Positions,
    /// Cost sent so far on this connection.
    pub(in crate::sync) spent: u64,
    /// Cost that may be reached on this connection.
    pub(in crate::sync) credit: u64,
    /// Dots that the peer reports to have.
    pub(in crate::sync) peer_has: DotSet,
    /// True if entries that came from the peer itself may be left out.
    pub(in crate::sync) skip_echo: bool,
    pub(in crate::sync) large: Option<LargeSend>,
    /// True if more may be ready to be sent than was put into messages at once.
    pub(in crate::sync) has_more: bool,
    /// True if a large entry was abandoned half-sent, and the peer has to be told.
    pub(in crate::sync) large_abandoned: bool,
    /// Commits that have to end before anything is sent after rejected entries: the list of those has to be durable
    /// first.
    pub(in crate::sync) recording: u32,
    /// When the list of the peer's refusals was last handed to the committer.
    pub(in crate::sync) recorded_at: Option<MonotonicMs>,
    /// When that list has to be recorded again, because the peer has refused more since.
    pub(in crate::sync) record_due: Option<MonotonicMs>,
    /// Positions up to which rejected entries are listed.
    pub(in crate::sync) listed: Positions,
    /// Entries that were listed since the peer last acknowledged anything.
    pub(in crate::sync) listed_ahead: usize,
    /// True if a reconciliation has left out entries that are not on record yet.
    pub(in crate::sync) is_unrecorded: bool,
    /// Refused entries to offer again, out of their order.
    pub(in crate::sync) again: Vec<u64>,
    /// Place up to which the peer has the lineage records of this node's feed.
    pub(in crate::sync) lineage_reported: u64,
    /// Entries to send ahead of their place in a stream.
    pub(in crate::sync) ahead: BTreeSet<u64>,
    /// Entries sent ahead on this connection that their stream has not come to yet, and that the peer has not
    /// confirmed.
    pub(in crate::sync) sent_ahead: BTreeSet<(Stream, u64)>,
    /// The batches that hold those entries, in the order in which they were sent.
    pub(in crate::sync) asides: VecDeque<Aside>,
    /// Batches sent on this connection that moved no position.
    pub(in crate::sync) aside_batches: u64,
    /// Entries that the peer holds durably and that their stream has not come to yet: the stream passes over them.
    pub(in crate::sync) held_ahead: BTreeSet<(Stream, u64)>,
    /// Positions up to which each stream was scanned for entries to be sent ahead.
    pub(in crate::sync) looked_ahead: Positions,
    /// Backlog that each stream has to get through before it comes to new entries.
    pub(in crate::sync) backlogs: Backlogs,
    /// Parts of large values that the peer has.
    pub(in crate::sync) parts: Vec<Begun>,
    /// Removals of siblings that were passed over while they had to wait, as (place in the own stream before which
    /// they go, local sequence number).
    pub(in crate::sync) removals: BTreeSet<(u64, u64)>,
    /// True if `removals` was looked up since positions were last set.
    pub(in crate::sync) knows_removals: bool,
    /// Time of the last progress while something was owed.
    pub(in crate::sync) progress_at: MonotonicMs,
    /// Sending is paused until this moment.
    pub(in crate::sync) paused_until: MonotonicMs,
    /// Backoff of restarts of the feed.
    pub(in crate::sync) restarts: Restarts,
    pub(in crate::sync) attempts: u32,
    /// Reason of the last retry.
    pub(in crate::sync) retry_cause: Option<RetryCause>,
    /// The last END that was sent.
    pub(in crate::sync) end: Option<End>,
    /// When the first entry since that END was passed over because it is not for the peer.
    pub(in crate::sync) passed_over_at: Option<MonotonicMs>,
}

/// Receiving side of a link: this node's progress in the peer's feed.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Receiving {
    /// Positions up to which entries are durable here, and acknowledged.
    pub(in crate::sync) held: Positions,
    /// Positions up to which entries were handed to the committer.
    pub(in crate::sync) pending: Positions,
    /// The cursor that will be durable once those entries are; the default: nothing was handed over on this
    /// connection, which begins at the durable cursor.
    pub(in crate::sync) handed: FeedPosition,
    /// The streams in which an entry could not be stored: later entries are dropped until the peer has gone back.
    pub(in crate::sync) rewound: Rewound,
    /// The durable cursor, incarnation included.
    pub(in crate::sync) recorded: FeedPosition,
    /// Cost of the feed messages taken in so far.
    pub(in crate::sync) consumed: u64,
    /// Credit: the total cost that was last granted to the peer.
    pub(in crate::sync) granted: u64,
    /// When credit was last granted to the peer.
    pub(in crate::sync) granted_at: MonotonicMs,
    /// Failures to store in a row.
    pub(in crate::sync) failures: u32,
    /// Commits under way for this peer.
    pub(in crate::sync) commits: u32,
    /// For each commit in turn, true if it is of a batch that moves no position.
    pub(in crate::sync) commits_aside: VecDeque<bool>,
    /// Number of such batches that are durable here.
    pub(in crate::sync) aside: u64,
    /// True if one of them could not be stored: later ones are not counted any more.
    pub(in crate::sync) is_aside_lost: bool,
    /// Large values of which a part is here, until the peer is told.
    pub(in crate::sync) parts: BegunValues,
    /// The last END of the peer, until it could be compared with the state here.
    pub(in crate::sync) end: Option<End>,
    /// The last END of the peer, as long as the peer has sent nothing since.
    pub(in crate::sync) reported: Option<End>,
}

/// The streams in which the peer has to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::sync) struct Rewound {
    own: bool,
    relay: bool,
}

impl Rewound {
    pub(in crate::sync) const ALL: Self = Self {
        own: true,
        relay: true,
    };

    pub(in crate::sync) fn get_mut(&mut self, stream: Stream) -> &mut bool {
        match stream {
            Stream::Own => &mut self.own,
            Stream::Relay => &mut self.relay,
        }
    }
}

/// Proof of equality with a peer: results of comparing summaries at the ends of both feeds.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sync) struct Proof {
    /// This node's last local sequence number when the states were last shown equal.
    pub(in crate::sync) equal_at: Option<u64>,
    /// The states that were last reconciled: if they are the same afterwards, another reconciliation would change
    /// nothing either.
    pub(in crate::sync) repaired: Option<(Summary, Summary)>,
    /// The summary of the states that were last shown equal.
    pub(in crate::sync) equal: Summary,
    /// Number of unequal comparisons in a row, and the states that they were of.
    pub(in crate::sync) unequal: (u32, Summary, Summary),
    /// Number of repairs since the states were last equal.
    pub(in crate::sync) repairs: u32,
    /// No repair begins before this moment.
    pub(in crate::sync) repair_after: MonotonicMs,
}

/// The link to one connected peer.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of the peer"
)]
#[derive(Debug, Clone)]
pub(in crate::sync) struct Link {
    pub(in crate::sync) origin: Origin,
    pub(in crate::sync) node_id: String,
    pub(in crate::sync) incarnation: Incarnation,
    /// This node's earlier cursor on the peer's feed, if the peer does not know the place any more.
    pub(in crate::sync) void: Option<Cursor>,
    pub(in crate::sync) durable: bool,
    pub(in crate::sync) value_bytes_max: u64,
    /// The keys that the connection carries: those in the scopes of both sides.
    pub(in crate::sync) scope: Scope,
    /// The summary in the peer's greeting, if both sides want the same keys: otherwise it covers other keys.
    pub(in crate::sync) greeting_summary: Option<Summary>,
    /// The summary of this node's state in that scope, and of its whole state at that time.
    pub(in crate::sync) summed_up: Option<(Summary, Summary)>,
    /// True if the peer can reconcile.
    pub(in crate::sync) reconciles: bool,
    /// True if the peer's summaries can be compared with this node's.
    pub(in crate::sync) sums_content: bool,
    /// True if the peer resumes large values, and counts batches that move no position.
    pub(in crate::sync) resumes: bool,
    /// Limit on reconciliations that the peer opens.
    pub(in crate::sync) openings: Openings,
    pub(in crate::sync) reconciling: Reconciling,
    /// Positions in this node's feed that a reconciliation covers, to which the peer's cursor is to be moved.
    pub(in crate::sync) covered: Option<Positions>,
    /// Number of reconciliations that were opened from here.
    pub(in crate::sync) exchanges: u64,
    /// Outcome of the last reconciliation, until it was reported.
    pub(in crate::sync) outcome: Option<Outcome>,
    /// Requests to compare everything with this peer.
    pub(in crate::sync) comparing: Comparing,
    pub(in crate::sync) sending: Sending,
    pub(in crate::sync) receiving: Receiving,
    pub(in crate::sync) proof: Proof,
    /// Dots that this peer is to be told of by a hint.
    pub(in crate::sync) tell: DotSet,
    /// Time of the last feed message in either direction.
    pub(in crate::sync) active_at: MonotonicMs,
    /// True if the connection has led to something: a side holds more of the other's feed, or an end was proven.
    pub(in crate::sync) has_progressed: bool,
}

impl Link {
    /// A link to a peer that has greeted. `held`: the recorded cursor on its feed, with the scope that it is valid
    /// for. `wanted`: the scope of this node.
    pub(in crate::sync) fn new(
        greeting: &Greeting,
        held: Option<(FeedPosition, Scope)>,
        wanted: &Scope,
        now: MonotonicMs,
    ) -> Self {
        let scope = wanted.intersection(&greeting.scope);
        let is_covered = held.as_ref().is_some_and(|(_, held)| held.covers(&scope));
        let is_covered = is_covered || is_broken(Rule::NarrowCursorTaken);
        let held = held.map(|(position, _)| position);
        let incarnation = greeting
            .epochs
            .last()
            .map(|epoch| epoch.incarnation)
            .unwrap_or_default();
        let good = held.filter(|held| is_good(&greeting.epochs, greeting.last_lseq, held));
        // A cursor of a narrower scope says nothing of the keys that are new; one of a wider scope includes this one.
        let begun = good.filter(|_| is_covered);
        let positions = begun
            .map(|held| Positions {
                own: held.own,
                relay: held.relay,
            })
            .unwrap_or_default();
        Self {
            origin: greeting.origin,
            node_id: greeting.node_id.clone(),
            incarnation,
            void: held.filter(|_| good.is_none()).map(|held| Cursor {
                incarnation: held.incarnation,
                positions: Positions {
                    own: held.own,
                    relay: held.relay,
                },
            }),
            durable: greeting.durable,
            value_bytes_max: greeting.value_bytes_max,
            scope,
            greeting_summary: (*wanted == greeting.scope && greeting.sums_content)
                .then_some(greeting.summary),
            summed_up: None,
            reconciles: greeting.reconciles,
            sums_content: greeting.sums_content,
            resumes: greeting.resumes,
            openings: Openings::default(),
            reconciling: Reconciling::Idle,
            covered: None,
            exchanges: 0,
            outcome: None,
            comparing: Comparing::default(),
            sending: Sending {
                // A peer whose disk went back in time gets back what it wrote and forgot.
                skip_echo: held.is_none() || good.is_some(),
                progress_at: now,
                ..Sending::default()
            },
            receiving: Receiving {
                held: positions,
                pending: positions,
                recorded: begun.unwrap_or_default(),
                granted: WINDOW_COST,
                ..Receiving::default()
            },
            proof: Proof::default(),
            tell: DotSet::default(),
            active_at: now,
            has_progressed: false,
        }
    }

    /// The cursor to begin with; `None` if the feed has to begin at its start.
    pub(in crate::sync) fn cursor(&self) -> Option<Cursor> {
        (self.receiving.recorded != FeedPosition::default()).then(|| self.place())
    }

    /// The cursor up to which the peer's feed is held. Until something came on this connection it is the recorded one.
    pub(in crate::sync) fn place(&self) -> Cursor {
        let recorded = self.receiving.recorded;
        let is_recorded = recorded != FeedPosition::default();
        Cursor {
            incarnation: if is_recorded {
                recorded.incarnation
            } else {
                self.incarnation
            },
            positions: self.receiving.held,
        }
    }

    /// `positions` as a cursor to record, in the peer's current incarnation.
    pub(in crate::sync) fn position(&self, positions: Positions) -> FeedPosition {
        FeedPosition {
            incarnation: self.incarnation,
            own: positions.own,
            relay: positions.relay,
        }
    }

    /// Counts a commit handed to the committer. `is_aside`: it is of a batch that moves no position, which the peer
    /// counts.
    pub(in crate::sync) fn commit_begins(&mut self, is_aside: bool) {
        self.receiving.commits += 1;
        self.receiving.commits_aside.push_back(is_aside);
    }

    /// Uncounts a commit that has ended, durable or not. Returns true if it was of a batch that moves no position.
    pub(in crate::sync) fn commit_ended(&mut self) -> bool {
        self.receiving.commits = self.receiving.commits.saturating_sub(1);
        self.sending.recording = self.sending.recording.saturating_sub(1);
        let is_aside = self.receiving.commits_aside.pop_front();
        is_aside.unwrap_or(false)
    }

    /// True if some of the peer's refusals are not on record yet.
    pub(in crate::sync) fn is_recording(&self) -> bool {
        self.sending.recording > 0 || self.sending.record_due.is_some()
    }

    /// Takes the feed back to `to`: everything reported beyond it is sent again.
    pub(in crate::sync) fn take_back(&mut self, to: Positions) {
        let sending = &mut self.sending;
        sending.reported_before = sending.reported_before.furthest(sending.reported);
        (sending.sent, sending.reported, sending.acknowledged) = (to, to, to);
        sending.knows_removals = false;
        // An entry sent ahead may have been refused with the rest, unless the peer has confirmed it.
        sending.sent_ahead.clear();
        sending.asides.clear();
        sending.looked_ahead = Positions::default();
        self.abandon_large();
        self.sending.end = None;
    }

    /// True if everything was taken back for another attempt, and nothing was sent since: a refusal from the peer is
    /// then about the attempt before.
    pub(in crate::sync) fn is_taken_back(&self, now: MonotonicMs) -> bool {
        let is_waiting = self.sending.paused_until > now && self.sending.retry_cause.is_some();
        is_waiting && !self.is_owed() && !self.owes_turn()
    }

    /// Stops sending a large entry half-way; the peer has to be told.
    pub(in crate::sync) fn abandon_large(&mut self) {
        if let Some(large) = self.sending.large.take() {
            self.sending.large_abandoned = true;
            // All bytes that were sent arrive before the next message.
            let bytes = large.offset as u64;
            let part = large.part.filter(|_| bytes > 0);
            if let Some(id) = part {
                self.note_part(Begun { id, bytes });
            }
            if large.course == Course::Again {
                self.sending.again.push(large.lseq);
            }
        }
    }

    /// Notes that the peer has a part of a large value, within the number of parts that it keeps.
    pub(in crate::sync) fn note_part(&mut self, part: Begun) {
        if self.resumes {
            let parts = &mut self.sending.parts;
            parts.retain(|known| known.id != part.id);
            parts.truncate(BEGUN_MAX - 1);
            parts.insert(0, part);
        }
    }

    /// Removes and returns the number of bytes that the peer has of a value that is announced; 0 if none. Once only:
    /// the part changes with the announcement.
    pub(in crate::sync) fn take_part(&mut self, id: ValueId) -> u64 {
        let parts = &mut self.sending.parts;
        let place = parts.iter().position(|part| part.id.is_same(id));
        let part = place.map(|place| parts.remove(place));
        part.map_or(0, |part| part.bytes)
    }

    /// Place up to which the stream of own writes may go before removals that are due there.
    pub(in crate::sync) fn limit_before_removals(&self) -> u64 {
        let first = self.sending.removals.first();
        first.map_or(u64::MAX, |(before, _)| before - 1)
    }

    /// True if the peer owes an acknowledgement.
    pub(in crate::sync) fn is_owed(&self) -> bool {
        let Sending {
            reported,
            acknowledged,
            ..
        } = &self.sending;
        reported.own > acknowledged.own || reported.relay > acknowledged.relay
    }
}

/// True if `place` lies in a feed that has this epoch history and ends at `last_lseq`.
pub(in crate::sync) fn is_good(epochs: &[Epoch], last_lseq: u64, place: &FeedPosition) -> bool {
    if is_broken(Rule::CursorWithoutIncarnation) {
        return place.own.max(place.relay) <= last_lseq;
    }
    is_reached(epochs, last_lseq, place)
}
