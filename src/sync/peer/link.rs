//! What a replica knows of one connected peer.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::cursor::is_good;
use crate::core::clock::MonotonicMs;
use crate::core::identity::{Incarnation, Origin};
use crate::core::rules::{Rule, is_broken};
use crate::store::commit::ledger::FeedPosition;
use crate::store::entry::{Entry, Summary};
use crate::store::scope::Scope;
use crate::sync::feed::ahead::{Aside, Backlogs};
use crate::sync::feed::dot_ranges::DotSet;
use crate::sync::feed::restarts::Restarts;
use crate::sync::message::{
    BEGUN_MAX, Begun, BegunValues, Cursor, End, Greeting, Positions, Stream, ValueId,
};
use crate::sync::options::WINDOW_COST;
use crate::sync::reconcile::requested::Comparing;
use crate::sync::reconcile::{Openings, Outcome, Reconciling};

/// Names a connection to a greeted peer; given by the driver, never again in one process.
pub type LinkId = u64;

/// A large entry that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) struct LargeSend {
    pub(in crate::sync) stream: Stream,
    pub(in crate::sync) lseq: u64,
    pub(in crate::sync) offset: usize,
    pub(in crate::sync) course: Course,
    /// What it was announced as, to a peer that can go on with a part of it.
    pub(in crate::sync) part: Option<ValueId>,
    /// The entry as it was read from the checkpoint; `None` while the map has it in memory. Shared by all links that
    /// send it.
    pub(in crate::sync) read: Option<Arc<Entry>>,
}

/// How an entry comes to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sync) enum Course {
    /// In its place in the feed.
    InOrder,
    /// It is offered once more, out of its order: no position moves.
    Again,
    /// In a reconciliation: no position moves.
    Reconciled,
}

/// Why what was sent is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sync) enum RetryCause {
    /// The peer did not acknowledge it in time.
    Unanswered,
    /// The peer could not store it.
    Refused(u8),
}

/// The sending side: how far the peer is on this node's feed.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of what may be sent"
)]
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Sending {
    /// The peer has told its cursor, and what to send from is known.
    pub(in crate::sync) started: bool,
    /// Gone over on this connection: sent, or left out because the peer has it.
    pub(in crate::sync) sent: Positions,
    /// Where the peer is once it has taken in all that it was sent.
    pub(in crate::sync) reported: Positions,
    /// Acknowledged.
    pub(in crate::sync) acknowledged: Positions,
    /// Where the feed began on this connection: entries up to here were not sent on it.
    pub(in crate::sync) begun: Positions,
    /// Where the peer says that it is: what it was not sent of that does not count as acknowledged.
    pub(in crate::sync) claimed: Positions,
    /// Both sides greeted with equal states, which reached so far in this node's feed.
    pub(in crate::sync) shown_equal: Positions,
    /// What it was told before it was taken back for another attempt: a late acknowledgement of it counts.
    pub(in crate::sync) reported_before: Positions,
    /// The same before the feed was begun anew: a late acknowledgement of it is passed over.
    pub(in crate::sync) reported_once: Positions,
    /// Cost sent so far on this connection.
    pub(in crate::sync) spent: u64,
    /// Cost that may be reached.
    pub(in crate::sync) credit: u64,
    /// Dots that the peer says it has.
    pub(in crate::sync) peer_has: DotSet,
    /// What came from the peer itself may be left out.
    pub(in crate::sync) skip_echo: bool,
    pub(in crate::sync) large: Option<LargeSend>,
    /// More may be ready to be sent than was put into messages at once.
    pub(in crate::sync) has_more: bool,
    /// A large entry was left in the middle, and the peer has to be told.
    pub(in crate::sync) large_abandoned: bool,
    /// Commits that have to end before anything is sent behind entries that were left out: the list of those has to be
    /// durable first.
    pub(in crate::sync) recording: u32,
    /// When the list of what the peer refuses was last handed to the committer.
    pub(in crate::sync) recorded_at: Option<MonotonicMs>,
    /// When that list has to be recorded again, because the peer has refused more since.
    pub(in crate::sync) record_due: Option<MonotonicMs>,
    /// Up to where entries that are left out are listed.
    pub(in crate::sync) listed: Positions,
    /// Entries that were listed since the peer last acknowledged anything.
    pub(in crate::sync) listed_ahead: usize,
    /// A reconciliation has left out entries that are not on record yet.
    pub(in crate::sync) is_unrecorded: bool,
    /// Entries to offer again, out of their order.
    pub(in crate::sync) again: Vec<u64>,
    /// Up to where the peer has the lineage records of this node's feed.
    pub(in crate::sync) lineage_reported: u64,
    /// Entries to send ahead of their place in a stream.
    pub(in crate::sync) ahead: BTreeSet<u64>,
    /// Entries that were sent so on this connection, that their stream has not come to yet, and that the peer has not said to
    /// hold.
    pub(in crate::sync) sent_ahead: BTreeSet<(Stream, u64)>,
    /// The batches in which those are, in the order in which they were sent.
    pub(in crate::sync) asides: VecDeque<Aside>,
    /// Batches that moved no position which were sent on this connection.
    pub(in crate::sync) aside_batches: u64,
    /// Entries that their stream has not come to and that the peer holds durably: the stream passes over them.
    pub(in crate::sync) held_ahead: BTreeSet<(Stream, u64)>,
    /// Up to where each stream was looked at for what is to be sent ahead.
    pub(in crate::sync) looked_ahead: Positions,
    /// What each stream has to get through before it comes to what is new.
    pub(in crate::sync) backlogs: Backlogs,
    /// Parts of large values that the peer has.
    pub(in crate::sync) parts: Vec<Begun>,
    /// Removals of siblings that were passed over while they had to wait, and before what they go in the own stream.
    pub(in crate::sync) removals: BTreeSet<(u64, u64)>,
    /// They were looked up since positions were last set.
    pub(in crate::sync) knows_removals: bool,
    /// The last sign of progress while something was owed.
    pub(in crate::sync) progress_at: MonotonicMs,
    /// Nothing is sent before this moment.
    pub(in crate::sync) paused_until: MonotonicMs,
    /// When the feed may begin anew.
    pub(in crate::sync) restarts: Restarts,
    pub(in crate::sync) attempts: u32,
    /// Why the last attempt was one too many.
    pub(in crate::sync) retry_cause: Option<RetryCause>,
    /// The last END that was sent.
    pub(in crate::sync) end: Option<End>,
    /// When an entry was first passed over since then that was not for the peer.
    pub(in crate::sync) passed_over_at: Option<MonotonicMs>,
}

/// The receiving side: how far this node is on the peer's feed.
#[derive(Debug, Clone, Default)]
pub(in crate::sync) struct Receiving {
    /// Durable here, and acknowledged.
    pub(in crate::sync) held: Positions,
    /// Handed to the committer.
    pub(in crate::sync) pending: Positions,
    /// The cursor that is recorded once all of that is durable; the default: nothing was handed over on this
    /// connection, and it begins at what was durable before.
    pub(in crate::sync) handed: FeedPosition,
    /// Something could not be stored: what follows it in a stream is passed over until the peer has gone back.
    pub(in crate::sync) rewound: Rewound,
    /// What the durable cursor says, incarnation included.
    pub(in crate::sync) recorded: FeedPosition,
    /// Cost taken in so far.
    pub(in crate::sync) consumed: u64,
    /// Cost that the peer was last told it may reach.
    pub(in crate::sync) granted: u64,
    /// When it was last told so.
    pub(in crate::sync) granted_at: MonotonicMs,
    /// How often in a row what came could not be stored.
    pub(in crate::sync) failures: u32,
    /// Commits under way.
    pub(in crate::sync) commits: u32,
    /// For each of them in turn: it is of a batch that moves no position.
    pub(in crate::sync) commits_aside: VecDeque<bool>,
    /// Such batches that are durable here.
    pub(in crate::sync) aside: u64,
    /// One of them could not be stored: those behind it are not counted any more.
    pub(in crate::sync) is_aside_lost: bool,
    /// Large values of which a part is here, until the peer was told.
    pub(in crate::sync) parts: BegunValues,
    /// What the peer last said at its end, until it could be held against the state here.
    pub(in crate::sync) end: Option<End>,
    /// What it said there last, as long as it has sent nothing since.
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

/// Whether both sides have shown to hold the same.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::sync) struct Proof {
    /// The state that was shown to be equal, by this node's last local sequence then.
    pub(in crate::sync) equal_at: Option<u64>,
    /// The states that were reconciled last: should they be the same after it, another one would change nothing either.
    pub(in crate::sync) repaired: Option<(Summary, Summary)>,
    /// What it summed up to then.
    pub(in crate::sync) equal: Summary,
    /// How often in a row the ends were unequal, and at which state.
    pub(in crate::sync) unequal: (u32, Summary, Summary),
    /// How often the feed was asked for anew.
    pub(in crate::sync) repairs: u32,
    /// Not again before this moment.
    pub(in crate::sync) repair_after: MonotonicMs,
}

/// One connected peer.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each says something else of the peer"
)]
#[derive(Debug, Clone)]
pub(in crate::sync) struct Link {
    pub(in crate::sync) origin: Origin,
    pub(in crate::sync) node_id: String,
    pub(in crate::sync) incarnation: Incarnation,
    /// Where this node was on the peer's feed, if the peer does not know of it any more.
    pub(in crate::sync) void: Option<Cursor>,
    pub(in crate::sync) durable: bool,
    pub(in crate::sync) value_bytes_max: u64,
    /// What the connection carries: what both sides want.
    pub(in crate::sync) scope: Scope,
    /// What the peer told of its state, if both sides want the same: otherwise it is about something else.
    pub(in crate::sync) greeting_summary: Option<Summary>,
    /// What the state here summed up to in that scope, and the whole of it then.
    pub(in crate::sync) summed_up: Option<(Summary, Summary)>,
    /// Whether the peer can reconcile.
    pub(in crate::sync) reconciles: bool,
    /// Whether what the peer sums up to can be compared with what this node does.
    pub(in crate::sync) sums_content: bool,
    /// Whether the peer goes on with parts of large values, and counts what moves no position.
    pub(in crate::sync) resumes: bool,
    /// Reconciliations that the peer has opened.
    pub(in crate::sync) openings: Openings,
    pub(in crate::sync) reconciling: Reconciling,
    /// How far this node's feed was found to be held by the peer, which its cursor is to be taken to.
    pub(in crate::sync) covered: Option<Positions>,
    /// How many were opened from here.
    pub(in crate::sync) exchanges: u64,
    /// What the last one came to, until somebody was told.
    pub(in crate::sync) outcome: Option<Outcome>,
    /// Who wants to be told.
    pub(in crate::sync) comparing: Comparing,
    pub(in crate::sync) sending: Sending,
    pub(in crate::sync) receiving: Receiving,
    pub(in crate::sync) proof: Proof,
    /// Dots that this peer is to be told of.
    pub(in crate::sync) tell: DotSet,
    /// The last feed message in either direction.
    pub(in crate::sync) active_at: MonotonicMs,
    /// Something came of the connection: a side holds more of the other's feed, or an end was proven.
    pub(in crate::sync) has_progressed: bool,
}

impl Link {
    /// A link to a peer that has greeted, whose feed is held up to `held`, as far as that is about what `scope` says
    /// beside it. `wanted`: what this node sends and receives.
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
        // What was not carried before is looked for anew. That a wider feed is held means that this part of it is.
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
                // A peer whose disk went back in time wants home what it wrote and forgot.
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

    /// The cursor to begin with; `None` if the peer has to begin at the start.
    pub(in crate::sync) fn cursor(&self) -> Option<Cursor> {
        (self.receiving.recorded != FeedPosition::default()).then(|| self.place())
    }

    /// How far the peer's feed is held. Until something came on this connection it is told as it was recorded.
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

    /// The positions as a cursor to record, in the peer's current incarnation.
    pub(in crate::sync) fn position(&self, positions: Positions) -> FeedPosition {
        FeedPosition {
            incarnation: self.incarnation,
            own: positions.own,
            relay: positions.relay,
        }
    }

    /// Something is handed to the committer. `is_aside`: a batch that moves no position, as the peer counts them.
    pub(in crate::sync) fn commit_begins(&mut self, is_aside: bool) {
        self.receiving.commits += 1;
        self.receiving.commits_aside.push_back(is_aside);
    }

    /// What was handed to the committer is durable, or is not to be. Says whether the peer counts it as a batch that moves
    /// no position.
    pub(in crate::sync) fn commit_ended(&mut self) -> bool {
        self.receiving.commits = self.receiving.commits.saturating_sub(1);
        self.sending.recording = self.sending.recording.saturating_sub(1);
        let is_aside = self.receiving.commits_aside.pop_front();
        is_aside.unwrap_or(false)
    }

    /// Whether what the peer refuses is not all on record yet.
    pub(in crate::sync) fn is_recording(&self) -> bool {
        self.sending.recording > 0 || self.sending.record_due.is_some()
    }

    /// The feed goes back to `to`: what was told beyond it is told again.
    pub(in crate::sync) fn take_back(&mut self, to: Positions) {
        let sending = &mut self.sending;
        sending.reported_before = sending.reported_before.furthest(sending.reported);
        (sending.sent, sending.reported, sending.acknowledged) = (to, to, to);
        sending.knows_removals = false;
        // What was sent ahead may have been refused with it, unless the peer has said that it holds it.
        sending.sent_ahead.clear();
        sending.asides.clear();
        sending.looked_ahead = Positions::default();
        self.abandon_large();
        self.sending.end = None;
    }

    /// Whether all was taken back for another attempt, and nothing was sent since: whatever the peer refuses was part of
    /// the one before.
    pub(in crate::sync) fn is_taken_back(&self, now: MonotonicMs) -> bool {
        let is_waiting = self.sending.paused_until > now && self.sending.retry_cause.is_some();
        is_waiting && !self.is_owed() && !self.owes_turn()
    }

    /// Leaves a large entry in the middle.
    pub(in crate::sync) fn abandon_large(&mut self) {
        if let Some(large) = self.sending.large.take() {
            self.sending.large_abandoned = true;
            // All that was sent arrives before whatever is sent next.
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

    /// The peer has a part of a large value, as far as it does not forget it for others.
    pub(in crate::sync) fn note_part(&mut self, part: Begun) {
        if self.resumes {
            let parts = &mut self.sending.parts;
            parts.retain(|known| known.id != part.id);
            parts.truncate(BEGUN_MAX - 1);
            parts.insert(0, part);
        }
    }

    /// The peer has what is announced up to so many bytes. It is told once: what it keeps changes with that.
    pub(in crate::sync) fn take_part(&mut self, id: ValueId) -> u64 {
        let parts = &mut self.sending.parts;
        let place = parts.iter().position(|part| part.id.is_same(id));
        let part = place.map(|place| parts.remove(place));
        part.map_or(0, |part| part.bytes)
    }

    /// Up to where the stream of own writes may go before removals that are due there.
    pub(in crate::sync) fn limit_before_removals(&self) -> u64 {
        let first = self.sending.removals.first();
        first.map_or(u64::MAX, |(before, _)| before - 1)
    }

    /// Whether the peer owes an acknowledgement.
    pub(in crate::sync) fn is_owed(&self) -> bool {
        let Sending {
            reported,
            acknowledged,
            ..
        } = &self.sending;
        reported.own > acknowledged.own || reported.relay > acknowledged.relay
    }
}
