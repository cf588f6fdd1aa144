//! Group commit: the only way in which state changes. A group of requests is planned, appended to the log as one frame,
//! made durable with one sync, and then installed. The caller owns the thread and the clock.

use super::appended::Appended;
use super::group::{Group, Planned, Terms};
use super::hints::Hints;
use super::ledger::{FeedPosition, Ledger};
use super::operation::{Receipt, Request, Ticket, WriteStatus};
use super::plan_base::PlanBase;
use crate::core::clock::WallMs;
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken};
use crate::core::stamp::HybridClock;
use crate::store::conflict::policy::ConflictPolicy;
use crate::store::conflict::reported_losers::RecentDots;
use crate::store::conflict::sibling_limit::{DroppedSibling, FullKeys, SIBLINGS_MAX};
use crate::store::entry::{Entry, EntryFlags};
use crate::store::error::StoreError;
use crate::store::lineage::Lineage;
use crate::store::record::{OriginDictionary, Record, encode, encode_entry};
use crate::store::scope::Scope;
use crate::store::state::authors::RefusedEntry;
use crate::store::state::map::EntryMap;
use crate::wal::frame_buffer::FrameBuffer;
use crate::wal::log::Log;
use crate::wal::log::syncing::SyncJob;

/// Operation sequences that are reserved at once where acknowledged writes may be lost in a power cut (`autoFlush =
/// false`): large enough that the sync it takes is rare, small against 2^64.
const RESERVED_SEQUENCES: u64 = 1 << 16;

/// The moment at which a write counts as accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The write counts once it survives a power cut.
    Synced,
    /// The write counts once the operating system has it: it survives the end of this process, and not a power cut.
    Written,
}

/// A group whose frame is in the log, or that needs none, and that waits to be installed.
#[derive(Debug, Default)]
pub struct Committed {
    pub(in crate::store) planned: std::vec::IntoIter<Planned>,
    /// Answers to the waiting callers, in the order of the requests.
    pub receipts: Vec<Receipt>,
    /// Acknowledgements owed to peers: the request's token, the peer, the position up to which its feed is held, and
    /// the scope of that position.
    pub acknowledge: Vec<(u64, Origin, FeedPosition, Scope)>,
    /// Entries of peers that were refused because they name more authors than a store has room for.
    pub refused_entries: Vec<RefusedEntry>,
    /// Tokens of the peers whose entries were left out, because entries before them in the feed were refused.
    pub refused: Vec<u64>,
    /// The last local sequence of the group.
    pub last_lseq: u64,
    /// The local sequence up to which everything is durable.
    pub durable_lseq: u64,
    /// Users' writes that lost a conflict, each reported once.
    pub losers: Vec<Entry>,
    /// Siblings that were removed because their key had too many.
    pub dropped: Vec<DroppedSibling>,
    /// Requests that had no room in the group, to be planned next, before any other.
    pub rest: Vec<Request>,
    /// The lineage of authors after the group, if the group adds to it.
    pub(crate) lineage: Option<Lineage>,
}

/// A group that could not be written: no request of it counts, and local state is as before.
#[derive(Debug)]
pub struct Refused {
    /// The failure that refused the group.
    pub error: StoreError,
    /// Tickets of the callers that wait for the group.
    pub tickets: Vec<Ticket>,
    /// Tokens of the peers whose entries were in the group.
    pub tokens: Vec<u64>,
}

/// A group that is planned and not written.
#[derive(Debug, Default)]
pub struct Plan {
    pub(in crate::store) group: Group,
    pub(in crate::store) before: Counters,
    pub(in crate::store) must_sync: bool,
    pub(in crate::store) tickets: Vec<Ticket>,
    pub(in crate::store) tokens: Vec<u64>,
    pub(in crate::store) refused: Vec<u64>,
    pub(in crate::store) acknowledge: Vec<(u64, Origin, FeedPosition, Scope)>,
    pub(in crate::store) hints: Hints,
    /// Requests that had no room in the group.
    pub(in crate::store) rest: Vec<Request>,
    /// The failure because of which the group cannot be written.
    pub(in crate::store) failure: Option<StoreError>,
}

/// Counters that planning advances, kept to restore them if the plan cannot be written.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store) struct Counters {
    last_sequence: u64,
    reserved_sequence: u64,
    last_lseq: u64,
    last_applied_remote: u64,
    clock: HybridClock,
    authorship: (bool, bool),
    origins: usize,
}

/// Plans, writes and installs groups. Each open store has exactly one.
#[derive(Debug)]
pub struct Committer {
    pub(in crate::store) log: Option<Log>,
    pub(in crate::store) ledger: Ledger,
    pub(in crate::store) origins: OriginDictionary,
    /// Coverage of the checkpoint when a group was last planned.
    #[allow(
        clippy::option_option,
        reason = "nothing was planned yet, there was no checkpoint, and what it covered are three cases"
    )]
    covers: Option<Option<u64>>,
    pub(in crate::store) buffer: FrameBuffer,
    durability: Durability,
    pub(in crate::store) policy: ConflictPolicy,
    /// Dots of the losers that were reported lately.
    pub(in crate::store) reported: RecentDots,
    /// Most siblings of one key that are kept.
    siblings_max: usize,
    /// Siblings of the keys that had too many.
    pub(in crate::store) full_keys: FullKeys,
    pub(in crate::store) durable_lseq: u64,
    /// Records of this opening that go into the log with the first frame that is written for another reason.
    pub(in crate::store) opening: Vec<Record>,
}

impl Committed {
    /// The entries that wait to be installed, each with the peer that sent it; `None`: written here.
    pub fn entries(&self) -> impl Iterator<Item = (&Entry, Option<Origin>)> {
        self.planned
            .as_slice()
            .iter()
            .map(|planned| (&planned.entry, planned.from))
    }
}

impl Plan {
    /// Plans one request after those before it, each of which it sees. Entries of a peer that have no room left in the
    /// group go to `rest`, and those that follow a gap to `refused`.
    ///
    /// # Errors
    /// If the checkpoint cannot be read where it has to be; the whole group is of no use then.
    #[inline]
    fn add(
        &mut self,
        request: Request,
        base: PlanBase<'_>,
        ledger: &mut Ledger,
        terms: &Terms<'_>,
    ) -> Result<(), StoreError> {
        match request {
            Request::Write { ticket, operation } => {
                self.group
                    .write_one(ticket, operation, base, ledger, terms.wall, terms.common)
            }
            Request::Batch { ticket, operations } => {
                self.group
                    .write_all(ticket, operations, base, ledger, terms.wall, terms.common)
            }
            Request::Resolve(resolution) => self.group.resolve(resolution, base, ledger, terms),
            Request::Received(received) if !self.group.follows(&received, base, ledger) => {
                self.refused.push(received.token);
                Ok(())
            }
            Request::Received(received) => {
                self.must_sync |= !is_broken(Rule::AcknowledgeBeforeSync);
                let scope = received.scope.clone();
                let owed = (received.token, received.peer, received.position, scope);
                let planned = self.group.receive(received, base, ledger, terms);
                planned.map(|left| match left {
                    Some(left) => self.rest.push(Request::Received(left)),
                    None => self.acknowledge.push(owed),
                })
            }
            Request::Peer { .. }
            | Request::ForgetPeer { .. }
            | Request::Pruned { .. }
            | Request::Released { .. }
            | Request::IdentityConflict(_) => {
                self.hints.note(request);
                Ok(())
            }
            Request::Flush { ticket } => {
                self.must_sync = true;
                self.group.receipts.push(Receipt {
                    ticket,
                    status: WriteStatus::Updated,
                    version: 0,
                    sequence: 0,
                });
                Ok(())
            }
        }
    }
}

impl Committer {
    /// Continues from a recovered state; without a log, in memory only.
    pub fn new(
        log: Option<Log>,
        ledger: Ledger,
        origins: OriginDictionary,
        durability: Durability,
    ) -> Self {
        let durable_lseq = ledger.last_lseq;
        Self {
            log,
            ledger,
            origins,
            covers: None,
            buffer: FrameBuffer::new(),
            durability,
            policy: ConflictPolicy::default(),
            reported: RecentDots::default(),
            siblings_max: SIBLINGS_MAX,
            full_keys: FullKeys::default(),
            durable_lseq,
            opening: Vec::new(),
        }
    }

    /// Sets the policy for concurrent writes of one key, from the next group on.
    pub fn set_conflict_policy(&mut self, policy: ConflictPolicy) {
        self.policy = policy;
    }

    /// Sets the most siblings of one key that are kept, from the next group on.
    #[cfg(test)]
    pub fn set_siblings_max(&mut self, siblings_max: usize) {
        self.siblings_max = siblings_max;
    }

    /// The ledger as of the last commit: everything remembered besides entries.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The log's first failure, after which every request is refused; `None` while the log works.
    pub fn poisoned(&self) -> Option<StoreError> {
        self.log
            .as_ref()
            .and_then(Log::poisoned)
            .map(|error| StoreError::Log(error.clone()))
    }

    /// True if accepted writes would be lost in a power cut.
    pub fn is_behind(&self) -> bool {
        self.durable_lseq < self.ledger.last_lseq
    }

    /// Plans and writes one group for a test, which has the map to itself.
    #[cfg(test)]
    pub fn commit(
        &mut self,
        requests: Vec<Request>,
        map: &EntryMap,
        wall: WallMs,
    ) -> Result<Committed, Box<Refused>> {
        let plan = self.plan(requests, map, wall);
        self.write(plan)
    }

    /// Plans one group. Nothing is written yet, and the map may be unlocked afterwards.
    #[cfg(test)]
    pub fn plan(&mut self, requests: Vec<Request>, map: &EntryMap, wall: WallMs) -> Plan {
        self.plan_after(None, requests, map, wall)
    }

    /// Plans one group. Nothing is written yet, and the map may be unlocked afterwards. `before`: the group before it, if
    /// that waits to be durable and is not in the map yet.
    pub fn plan_after(
        &mut self,
        before: Option<&Appended>,
        requests: Vec<Request>,
        map: &EntryMap,
        wall: WallMs,
    ) -> Plan {
        let covers = map.base().map(|base| base.file().covers_frame());
        if self
            .covers
            .replace(covers)
            .is_some_and(|before| before != covers)
        {
            self.origins.forget_earlier();
        }
        let base = PlanBase::new(map, before.map(|before| &before.plan.group));
        let common = if self.log.is_some() {
            EntryFlags::default()
        } else {
            EntryFlags::EPHEMERAL
        };
        let mut plan = Plan {
            before: self.counters(),
            ..Plan::default()
        };
        plan.must_sync = self.durability == Durability::Synced;
        plan.group
            .reserve(requests.iter().map(Request::entries).sum());
        plan.group.receipts.reserve(requests.len());
        let terms = Terms {
            wall,
            common,
            policy: self.policy,
            reported: &self.reported,
            authors: &self.origins,
            siblings_max: self.siblings_max,
            full_keys: &self.full_keys,
        };
        for request in requests {
            plan.tickets.extend(request.ticket());
            plan.tokens.extend(request.token());
            if plan.failure.is_some() {
                continue;
            }
            if !plan.rest.is_empty() {
                plan.rest.push(request);
                continue;
            }
            let planned = plan.add(request, base, &mut self.ledger, &terms);
            plan.failure = planned.err();
        }
        self.full_keys.follow(&mut plan.group.siblings);
        plan
    }

    /// Writes a planned group. Returns once the group is as durable as was promised; nothing is visible yet. The plan
    /// must be the last one that was made.
    pub fn write(&mut self, plan: Plan) -> Result<Committed, Box<Refused>> {
        let mut appended = self.append(plan, true)?;
        let outcome = appended.job.take().map_or(Ok(()), SyncJob::run);
        self.complete(appended, outcome)
    }

    fn counters(&self) -> Counters {
        Counters {
            last_sequence: self.ledger.last_sequence,
            reserved_sequence: self.ledger.reserved_sequence,
            last_lseq: self.ledger.last_lseq,
            last_applied_remote: self.ledger.last_applied_remote,
            clock: self.ledger.clock,
            authorship: {
                let author = &self.ledger.authorship;
                (author.has_written, author.is_declared)
            },
            origins: self.origins.len(),
        }
    }

    pub(in crate::store) fn restore(&mut self, before: Counters) {
        self.ledger.last_sequence = before.last_sequence;
        self.ledger.reserved_sequence = before.reserved_sequence;
        self.ledger.last_lseq = before.last_lseq;
        self.ledger.last_applied_remote = before.last_applied_remote;
        self.ledger.clock = before.clock;
        let author = &mut self.ledger.authorship;
        (author.has_written, author.is_declared) = before.authorship;
        self.origins.forget_from(before.origins);
    }

    /// Appends the frame of a plan. Returns whether the whole group must be durable before it is installed, and the
    /// sync that this still takes.
    pub(in crate::store) fn write_frame(
        &mut self,
        plan: &Plan,
        at_once: bool,
    ) -> Result<(bool, Option<SyncJob>), StoreError> {
        if let Some(log) = &mut self.log
            && (plan.must_sync || log.is_displaced())
        {
            // Checked before anything is appended: a group that is refused is not written, and the log continues once
            // it is back in its place.
            log.check_place()?;
        }
        self.append_early(&plan.group.cursors)?;
        let Some(log) = &mut self.log else {
            return Ok((true, None));
        };
        let Plan { group, hints, .. } = plan;
        let mut must_sync = plan.must_sync;
        self.buffer.clear();
        let body = self.buffer.body();
        for record in &self.opening {
            encode(body, &mut self.origins, record);
        }
        let ledger = &mut self.ledger;
        if self.durability == Durability::Written && ledger.last_sequence > ledger.reserved_sequence
        {
            // A sequence that a power cut may take must not be reported before the reservation that jumps over it is
            // durable.
            ledger.reserved_sequence = ledger.last_sequence + RESERVED_SEQUENCES;
            must_sync = true;
            let reserve = Record::Reserve {
                sequence: ledger.reserved_sequence,
                clock: ledger.clock.high_water(),
            };
            encode(body, &mut self.origins, &reserve);
        }
        let mut source = None;
        for planned in &group.planned {
            if planned.from != source {
                source = planned.from;
                encode(body, &mut self.origins, &Record::Source { peer: source });
            }
            encode_entry(body, &mut self.origins, &planned.entry, planned.lseq);
        }
        for (peer, position, scope) in &group.cursors {
            let cursor = Record::Cursor {
                peer: *peer,
                position: *position,
                scope: scope.clone(),
            };
            encode(body, &mut self.origins, &cursor);
        }
        hints.encode(body, &mut self.origins);
        // A frame with nothing but hints about peers is carried by the next sync, unless a caller waits for it.
        let only_hints = group.planned.is_empty()
            && group.cursors.is_empty()
            && group.receipts.is_empty()
            && plan.acknowledge.is_empty();
        let syncs = must_sync && !only_hints;
        if !self.buffer.is_empty() {
            if syncs && at_once {
                log.append_synced(&mut self.buffer)?;
            } else {
                log.append(&mut self.buffer)?;
            }
            self.opening.clear();
        }
        let job = if syncs { log.begin_sync()? } else { None };
        Ok((syncs, job))
    }
}
