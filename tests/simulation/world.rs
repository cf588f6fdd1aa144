//! The world: its nodes, the connections between them, and the passing of time.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::conflicts::Name;
use super::exchanges::Exchanged;
use super::knowledge::Knowledge;
use super::node::Node;
use super::schedule::Schedule;
use super::stream::{Line, LineId};
use super::trace::Trace;
use crate::core::clock::{MonotonicMs, Now, WallMs};
use crate::core::identity::{Dot, Incarnation, Origin};
use crate::disk::memory::MemoryStorage;
use crate::node::machine::address_book::TargetId;
use crate::node::machine::conversation::ConversationId;
use crate::store::entry::Entry;
use crate::sync::tests::dice::Dice;

/// Most events in one run: with more it would never come to rest.
const EVENTS_MAX: u64 = 400_000;

/// Start of all wall clocks, in milliseconds since 1970.
const EPOCH_MS: i64 = 1_700_000_000_000;

/// A call that is under way.
pub(super) struct Dial {
    pub(super) at: u64,
    pub(super) node: usize,
    pub(super) to: usize,
    pub(super) target: TargetId,
    /// True if a program waits for the call.
    pub(super) is_awaited: bool,
}

/// Faults that a run has had and that excuse some checks.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each excuses something else")]
pub(super) struct Excuses {
    /// Some disk went back in time or was lost.
    pub(super) went_back: bool,
    /// Some disk went back in time under a running feed.
    pub(super) went_back_unnoticed: bool,
    /// Two nodes ran under one identity.
    pub(super) had_twins: bool,
    /// Some disk is gone.
    pub(super) lost: bool,
    /// Some hints were wrong.
    pub(super) lied: bool,
    /// Some frames were damaged.
    pub(super) damaged: bool,
    /// Some disks failed.
    pub(super) hurt: bool,
    /// Some node has taken another identity, and the former one acknowledges nothing any more.
    pub(super) renewed: bool,
    /// Some node takes smaller values than others.
    pub(super) limited: bool,
}

impl Excuses {
    /// True if a feed or a lineage may have parted: a disk went back, or there were copies.
    pub(super) fn repeats_numbers(&self) -> bool {
        self.went_back || self.had_twins
    }
}

pub(super) struct World<'d> {
    disks: &'d [OnceCell<MemoryStorage>],
    next_disk: usize,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) at: u64,
    pub(super) nodes: Vec<Node<'d>>,
    pub(super) lines: BTreeMap<LineId, Line>,
    /// The line and side of each conversation's end.
    pub(super) ends: BTreeMap<ConversationId, (LineId, usize)>,
    pub(super) last_id: u64,
    pub(super) dials: Vec<Dial>,
    pub(super) edges: Vec<(usize, usize)>,
    /// Time that bytes take between two nodes, the lower one first, in milliseconds.
    pub(super) delays: BTreeMap<(usize, usize), u64>,
    /// Times in which nothing passes from one node to another.
    pub(super) blocked: BTreeMap<(usize, usize), Vec<(u64, u64)>>,
    /// Every entry that a node made or tried to make.
    pub(super) written: BTreeMap<Dot, Vec<Entry>>,
    /// Entries that a program or peer was told of, or that were found in a log.
    pub(super) told: BTreeMap<Dot, Entry>,
    /// Entries that were at each place of each epoch of a feed.
    pub(super) feeds: BTreeMap<Incarnation, BTreeMap<u64, BTreeSet<Name>>>,
    /// Furthest position to which each node with a log ever held each author's own stream.
    pub(super) held: BTreeMap<Origin, BTreeMap<usize, u64>>,
    /// All identities that there ever were.
    pub(super) origins: BTreeSet<Origin>,
    /// Identities that were used more than once: by a copy, by a disk that went back in time, or by a node that has
    /// lost writes which a copy of it had already.
    pub(super) repeated: BTreeSet<Origin>,
    /// Own writes that were in a copy of a folder and not durable in the original yet.
    pub(super) carried_off: Vec<Entry>,
    /// The writes that each write had read.
    pub(super) knowledge: Knowledge,
    /// Losers that were removed because too many of their keys were kept, and reported as such.
    pub(super) dropped: Vec<Entry>,
    /// Identities that replaced others.
    pub(super) successors: BTreeSet<Origin>,
    pub(super) excuses: Excuses,
    /// True if no two writes have the same content.
    pub(super) is_unambiguous: bool,
    /// True if some connection may carry only a part of the keys.
    pub(super) has_prefixes: bool,
    /// Pairs that were connected twice at once: entries of the older connection may be recorded after those of the
    /// newer, and take a cursor back.
    pub(super) overlapped: BTreeSet<(usize, usize)>,
    /// Pairs of a forger and its receiver. No end of a feed follows a forged message, so the receiver does not know
    /// that it is in sync before it hears an END on another connection.
    pub(super) forged_on: BTreeSet<(usize, usize)>,
    /// Cost of the last reconciliation on each connection.
    pub(super) exchanges: BTreeMap<LineId, Exchanged>,
    /// When the last node calls again of those that have left a peer because their own disk failed.
    pub(super) put_off_until: u64,
    /// Number of messages between replicas.
    pub(super) feed_messages: u64,
    events: u64,
}

enum Event {
    Arrival(LineId, usize),
    Dial(usize),
    Commit(usize),
    Sync(usize),
    Idle(usize),
    Checkpoint(usize),
    Timer(usize),
    CallTimeout(usize, ConversationId),
}

impl<'d> World<'d> {
    pub(super) fn new(
        schedule: &Schedule,
        disks: &'d [OnceCell<MemoryStorage>],
        is_loud: bool,
    ) -> Self {
        let limits = |node: &super::schedule::NodePlan| node.options.value_bytes_max;
        let mut world = Self {
            disks,
            next_disk: 0,
            dice: Dice::new(schedule.seed ^ 0x0077_6f72_6c64),
            trace: Trace::default(),
            at: 0,
            nodes: Vec::new(),
            lines: BTreeMap::new(),
            ends: BTreeMap::new(),
            last_id: 0,
            dials: Vec::new(),
            edges: schedule.edges.clone(),
            delays: BTreeMap::new(),
            blocked: BTreeMap::new(),
            written: BTreeMap::new(),
            told: BTreeMap::new(),
            feeds: BTreeMap::new(),
            held: BTreeMap::new(),
            origins: BTreeSet::new(),
            repeated: BTreeSet::new(),
            carried_off: Vec::new(),
            knowledge: Knowledge::default(),
            dropped: Vec::new(),
            successors: BTreeSet::new(),
            excuses: Excuses {
                limited: schedule.nodes.iter().map(limits).min()
                    != schedule.nodes.iter().map(limits).max(),
                ..Excuses::default()
            },
            is_unambiguous: schedule.is_unambiguous,
            has_prefixes: schedule.has_prefixes(),
            overlapped: BTreeSet::new(),
            forged_on: BTreeSet::new(),
            exchanges: BTreeMap::new(),
            put_off_until: 0,
            feed_messages: 0,
            events: 0,
        };
        world.trace.is_loud = is_loud;
        for (place, plan) in schedule.nodes.iter().enumerate() {
            let disk = world.shelve(MemoryStorage::new());
            world.nodes.push(Node {
                name: format!("node-{place}"),
                plan: plan.clone(),
                disk,
                running: None,
                witness: BTreeMap::new(),
                vouched: BTreeMap::new(),
                identity: Origin::default(),
                is_lost: false,
                kept: None,
                unfinished: Arc::default(),
                skew_ms: plan.skew_ms,
                skews: Vec::new(),
                latest_wall: WallMs(0),
                stalled_until: 0,
                crash: None,
                copied: None,
                is_hurt: false,
            });
            world.open(place);
        }
        world
    }

    /// Puts a disk where a checkpoint under way may borrow it.
    pub(super) fn shelve(&mut self, disk: MemoryStorage) -> &'d MemoryStorage {
        self.next_disk += 1;
        self.disks[self.next_disk - 1].get_or_init(|| disk)
    }

    pub(super) fn now(&self, node: usize) -> Now {
        let wall = EPOCH_MS + i64::try_from(self.at).unwrap() + self.nodes[node].skew_ms;
        Now {
            monotonic: MonotonicMs(self.at + 1),
            wall: WallMs(u64::try_from(wall).unwrap_or(0)),
        }
    }

    /// The next event, unless it lies after `until`.
    fn next(&self, until: u64) -> Option<(u64, Event)> {
        let mut next: Option<(u64, Event)> = None;
        let mut offer = |at: Option<u64>, event: Event| {
            if let Some(at) = at.map(|at| at.max(self.at))
                && at <= until
                && next.as_ref().is_none_or(|(best, _)| at < *best)
            {
                next = Some((at, event));
            }
        };
        for (id, line) in &self.lines {
            for side in 0..2 {
                offer(self.due(line, side), Event::Arrival(*id, side));
            }
        }
        for (place, dial) in self.dials.iter().enumerate() {
            offer(Some(dial.at), Event::Dial(place));
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let Some(running) = &node.running else {
                continue;
            };
            offer(running.commit_at, Event::Commit(place));
            offer(running.sync_at, Event::Sync(place));
            offer(running.idle_at, Event::Idle(place));
            offer(running.checkpoint_at, Event::Checkpoint(place));
            offer(running.timer_at, Event::Timer(place));
            for (id, (until, _)) in &running.calls {
                offer(Some(*until), Event::CallTimeout(place, *id));
            }
        }
        next
    }

    /// Runs all events of the next `ms` milliseconds.
    pub(super) fn run_for(&mut self, ms: u64) {
        let until = self.at + ms;
        while let Some((at, event)) = self.next(until) {
            self.set_time(at);
            self.events += 1;
            assert!(self.events < EVENTS_MAX, "they do not come to rest");
            match event {
                Event::Arrival(line, side) => self.arrive(line, side),
                Event::Dial(place) => {
                    let dial = self.dials.remove(place);
                    self.dialled(&dial);
                }
                Event::Commit(node) => self.commit(node),
                Event::Sync(node) => self.sync(node),
                Event::Idle(node) => self.idle(node),
                Event::Checkpoint(node) => self.advance_checkpoint(node),
                Event::Timer(node) => self.on_time(node),
                Event::CallTimeout(node, id) => self.call_timed_out(node, id),
            }
        }
        self.set_time(until);
    }

    fn set_time(&mut self, at: u64) {
        self.at = at;
        self.trace.set_time(at);
    }

    fn on_time(&mut self, node: usize) {
        let now = self.now(node);
        self.drive(node, crate::node::machine::Machine::on_time);
        let next = self.nodes[node].running.as_ref();
        let next = next.and_then(|running| running.timer_at);
        assert!(
            next.is_none_or(|next| next + 1 > now.monotonic.0),
            "{node} would spin: it was asked at {now:?} and wants to be asked at {next:?}"
        );
    }
}
