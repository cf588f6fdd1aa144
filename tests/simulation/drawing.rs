//! Drawing of a schedule from a seed. Each seed has only some kinds of faults, so that checks that some of them excuse
//! are made without excuse where they do not occur.

use std::collections::{BTreeMap, VecDeque};

use super::schedule::{Action, Copying, NodePlan, Schedule, Step, Stop, Write};
use super::wanted::{name_some, some_keys};
use super::weather::Weather;
use crate::node::options::Options;
use crate::store::commit::committer::Durability;
use crate::store::conflict::policy::ConflictPolicy::Manual;
use crate::store::conflict::sibling_limit::SIBLINGS_MAX;
use crate::store::scope::Scope;
use crate::sync::options::{AckPolicy, ReplicaOptions};
use crate::sync::tests::dice::Dice;

const DAY_MS: u64 = 86_400_000;

/// Largest value that a node with a limit takes, in bytes.
const SMALL_LIMIT_BYTES: u64 = 40;

fn options(dice: &mut Dice, weather: &Weather) -> ReplicaOptions {
    let value_bytes_max = if weather.has_limits && dice.one_in(2) {
        SMALL_LIMIT_BYTES
    } else {
        64 << 20
    };
    ReplicaOptions {
        automatic: !dice.one_in(3),
        batch_size: if dice.one_in(3) { 3 } else { 1024 },
        durable: !dice.one_in(8),
        value_bytes_max,
        ..Options::local("").replica()
    }
}

fn nodes(dice: &mut Dice, weather: &Weather) -> Vec<NodePlan> {
    let count = [2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6, 7][dice.index(12)];
    let commit_ms = [0, 5, 200][dice.index(3)];
    let written_in = if weather.is_unsynced { 1 } else { 4 };
    let skew_ms = [0, 2, 4_000][dice.index(3)];
    let mut nodes: Vec<NodePlan> = (0..count)
        .map(|_| NodePlan {
            options: options(dice, weather),
            durability: if dice.one_in(written_in) {
                Durability::Written
            } else {
                Durability::Synced
            },
            policy: weather.policies[dice.index(weather.policies.len())],
            scope: Scope::ALL,
            named: BTreeMap::new(),
            is_newer: false,
            siblings_max: SIBLINGS_MAX,
            skew_ms: i64::try_from(dice.below(skew_ms + 1)).unwrap(),
            commit_ms,
        })
        .collect();
    let all_durable = nodes.iter().all(|node| node.options.durable);
    if weather.keeps_identities() && all_durable && dice.one_in(3) {
        let policy = [AckPolicy::All, AckPolicy::Count(2)][dice.index(2)];
        for node in &mut nodes {
            node.options.ack_policy = policy;
        }
    }
    nodes
}

fn edges(dice: &mut Dice, count: usize) -> Vec<(usize, usize)> {
    let all = |keep: &dyn Fn(usize, usize) -> bool| {
        (0..count)
            .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
            .filter(|(a, b)| keep(*a, *b))
            .collect()
    };
    match dice.below(4) {
        0 => all(&|a, b| b == a + 1),
        1 => all(&|a, _| a == 0),
        2 => all(&|a, b| b == a + 1 || (a, b + 1) == (0, count)),
        _ => all(&|_, _| true),
    }
}

struct Drawing<'a> {
    dice: &'a mut Dice,
    weather: Weather,
    nodes: usize,
    edges: Vec<(usize, usize)>,
    keys: u64,
    ahead: VecDeque<(Action, u64)>,
    /// Dice for other scopes of nodes.
    parting: Dice,
    /// Dice for scopes of single peers.
    naming: Dice,
    /// Dice for forged messages.
    forging: Dice,
    /// Dice for copies of running nodes, and for clocks that go back with their disks.
    copying: Dice,
}

impl Drawing<'_> {
    fn node(&mut self) -> usize {
        self.dice.index(self.nodes)
    }

    fn edge(&mut self) -> (usize, usize) {
        let (a, b) = self.edges[self.dice.index(self.edges.len())];
        if self.dice.one_in(2) { (a, b) } else { (b, a) }
    }

    fn write(&mut self) -> Write {
        let value_bytes = match self.dice.below(24) {
            0..6 | 12 if self.weather.is_unambiguous => Some(8),
            0..6 => None,
            6 if self.weather.has_large_values => Some(1_300_000 + self.dice.index(900_000)),
            7 if self.weather.has_large_values => Some(262_000 + self.dice.index(400)),
            8..12 if self.weather.has_limits => Some(60),
            12 => Some(0),
            13..15 if self.weather.has_disk_faults => Some(40_000),
            _ => Some(8),
        };
        Write {
            key: self.dice.below(self.keys),
            value_bytes,
        }
    }

    fn action(&mut self) -> Action {
        match self.dice.below(100) {
            0..5 if self.weather.policies.contains(&Manual) => {
                let node = self.node();
                Action::Resolve(node, self.write())
            }
            0..36 => {
                let node = self.node();
                if self.dice.one_in(6) {
                    let most = if self.weather.has_many_keys { 60 } else { 5 };
                    let count = 1 + self.dice.below(most);
                    Action::Batch(node, (0..count).map(|_| self.write()).collect())
                } else {
                    Action::Write(node, self.write())
                }
            }
            36..46 => {
                let (a, b) = self.edge();
                Action::Call(a, b, self.dice.one_in(4))
            }
            46..56 => Action::Tick(self.node(), self.dice.one_in(3)),
            56..62 => Action::Start(self.node()),
            62 => Action::SetAutomatic(self.node(), self.dice.one_in(2)),
            63 => Action::RetryFailed(self.node()),
            64 => {
                let (a, b) = self.edge();
                Action::Delay(a, b, [0, 1, 20, 200, 900][self.dice.index(5)])
            }
            65..72 => self.network_fault(),
            72..81 => self.crash(),
            81..85 if self.weather.has_checkpoints => Action::Checkpoint(self.node()),
            85..87 if self.weather.has_clock_jumps => self.clock(),
            87..91 if self.weather.has_disk_faults => self.disk_fault(),
            91..96 if self.weather.goes_back => self.going_back(),
            96..98 if self.weather.has_copies => {
                let from = self.node();
                let to = self.node();
                if from == to {
                    Action::Keep(from)
                } else {
                    Action::Clone(from, to)
                }
            }
            98 if self.weather.loses_disks => Action::Lose(self.node(), self.dice.one_in(2)),
            _ => {
                let node = self.node();
                Action::Write(node, self.write())
            }
        }
    }

    fn network_fault(&mut self) -> Action {
        let (a, b) = self.edge();
        match self.dice.below(8) {
            0 | 1 if self.weather.has_partitions => {
                let ms = [50, 700, 4_000, 20_000, 90_000][self.dice.index(5)];
                Action::Block(a, b, ms)
            }
            2 if self.weather.has_partitions => {
                let (times, period) = (2 + self.dice.below(5), 30 + self.dice.below(3_000));
                Action::Flap(a, b, times, period)
            }
            3 | 4 if self.weather.has_corruption => Action::Corrupt(a, b),
            4 | 5 if self.weather.has_lies => Action::Lie(a, b),
            6 => {
                let node = self.node();
                Action::Stall(
                    node,
                    [500, 4_000, 11_000, 40_000, 70_000][self.dice.index(5)],
                )
            }
            _ => Action::Cut(a, b),
        }
    }

    fn crash(&mut self) -> Action {
        let node = self.node();
        if !self.weather.has_crashes {
            return Action::Stop(node, Stop::Cleanly);
        }
        match self.dice.below(6) {
            0 => Action::Stop(node, Stop::Cleanly),
            1 => Action::Stop(node, Stop::Killed),
            2 | 3 => Action::Stop(node, Stop::PowerCut),
            _ => Action::CrashInCommit(node),
        }
    }

    fn disk_fault(&mut self) -> Action {
        let node = self.node();
        match self.dice.below(5) {
            0 | 1 => Action::FullDisk(node),
            2 => Action::FailingDisk(node),
            _ => Action::HealDisk(node),
        }
    }

    fn going_back(&mut self) -> Action {
        let node = self.node();
        match self.dice.below(6) {
            0 => Action::Restore(node),
            2 if self.weather.goes_back_unnoticed => Action::GoBack(node),
            1 | 2 => Action::RollBack(node),
            _ => Action::Keep(node),
        }
    }

    fn clock(&mut self) -> Action {
        let node = self.node();
        let ms = match self.dice.below(3) {
            0 => DAY_MS,
            1 => self.dice.below(DAY_MS),
            _ => self.dice.below(20_000),
        };
        let ms = i64::try_from(ms).unwrap();
        Action::Clock(node, if self.dice.one_in(2) { ms } else { -ms })
    }

    /// Draws an action. New scopes and forged messages, each with dice of its own, take the place of some.
    fn varied_action(&mut self) -> Action {
        let mut action = self.action();
        if self.weather.has_prefixes && self.parting.one_in(14) {
            let node = self.parting.index(self.nodes);
            action = Action::Rescope(node, some_keys(&mut self.parting, self.keys));
        } else if self.weather.names_peers && self.naming.one_in(12) {
            let (a, b) = self.edges[self.naming.index(self.edges.len())];
            let (a, b) = if self.naming.one_in(2) {
                (a, b)
            } else {
                (b, a)
            };
            action = Action::Name(a, b, some_keys(&mut self.naming, self.keys));
        }
        if self.weather.has_forgeries && self.forging.one_in(16) {
            let (a, b) = self.edges[self.forging.index(self.edges.len())];
            let is_told_forth = self.forging.one_in(2);
            action = if is_told_forth {
                Action::Forge(a, b)
            } else {
                Action::Forge(b, a)
            };
        }
        action
    }

    /// Draws one step with its pause.
    fn step(&mut self, number: usize) -> Step {
        let action = self.varied_action();
        let drawn = (action, self.dice.next(), self.pause());
        let (mut action, seed, mut pause_ms) = drawn;
        let was_planned = !self.ahead.is_empty();
        if !was_planned {
            action = harden(action, &mut self.copying, &mut self.ahead);
        }
        if !was_planned && !self.ahead.is_empty() {
            pause_ms = 0;
        } else if let Some(planned) = self.planned() {
            (action, pause_ms) = planned;
        }
        Step {
            number,
            action,
            seed,
            pause_ms,
        }
    }

    /// The next step of an action that takes several, with the pause after it.
    fn planned(&mut self) -> Option<(Action, u64)> {
        if self.ahead.is_empty() && self.weather.loses_overwrites && self.dice.one_in(6) {
            self.ahead = self.lost_overwrite().into();
        }
        self.ahead.pop_front()
    }

    /// A write that waits for a tick is durable, is overwritten, and comes back with a power cut, after peers were
    /// sent the durable entries.
    fn lost_overwrite(&mut self) -> [(Action, u64); 7] {
        let (node, peer) = self.edge();
        let write = self.write();
        [
            (Action::SetAutomatic(node, false), 0),
            (Action::Call(node, peer, false), 300),
            (Action::Write(node, write), 1_500),
            (Action::Write(node, write), 250),
            (Action::Tick(node, false), 250),
            (Action::Stop(node, Stop::PowerCut), 50),
            (Action::Start(node), 300),
        ]
    }

    fn pause(&mut self) -> u64 {
        match self.dice.below(20) {
            0..12 => self.dice.below(20),
            12..18 => self.dice.below(600),
            18 => self.dice.below(12_000),
            _ => [0, 1_000, 70_000][self.dice.index(3)],
        }
    }
}

/// The schedule of a seed.
pub(super) fn draw(seed: u64) -> Schedule {
    // The dice are their own, so that the rest of the schedule stays as it was.
    match (parting_dice(seed).one_in(5), naming_dice(seed).one_in(2)) {
        (true, true) => draw_in(seed, |weather| {
            (weather.has_prefixes, weather.names_peers) = (true, true);
        }),
        (true, false) => draw_in(seed, |weather| weather.has_prefixes = true),
        (false, _) => draw_in(seed, |_| {}),
    }
}

fn parting_dice(seed: u64) -> Dice {
    Dice::new(seed ^ 0x5c09e)
}

fn naming_dice(seed: u64) -> Dice {
    Dice::new(seed ^ 0x4a3e5)
}

fn forging_dice(seed: u64) -> Dice {
    Dice::new(seed ^ 0xf06e5)
}

fn copying_dice(seed: u64) -> Dice {
    Dice::new(seed ^ 0xc09e5)
}

/// Turns some copies into copies of running nodes, and sets the clocks of some disks that go back in time behind their
/// writes.
fn harden(action: Action, dice: &mut Dice, ahead: &mut VecDeque<(Action, u64)>) -> Action {
    match action {
        Action::Clone(from, to) if dice.one_in(2) => {
            let how = match dice.below(3) {
                0 => Copying::Snapshot,
                1 => Copying::InCommit,
                _ => Copying::Files(dice.below(400)),
            };
            Action::CloneRunning(from, to, how)
        }
        Action::RollBack(node) | Action::Restore(node) | Action::GoBack(node)
            if ahead.is_empty() && dice.one_in(2) =>
        {
            let ms = [20_000, DAY_MS / 24, DAY_MS][dice.index(3)];
            let ms = i64::try_from(ms + dice.below(20_000)).unwrap();
            ahead.push_back((action, 0));
            Action::Clock(node, -ms)
        }
        action => action,
    }
}

fn crowding_dice(seed: u64) -> Dice {
    Dice::new(seed ^ 0xc0d5)
}

fn aging_dice(seed: u64) -> Dice {
    Dice::new(seed ^ 0xa6e5)
}

/// The schedule of a seed with some kinds of faults made certain.
pub(super) fn draw_in(seed: u64, force: fn(&mut Weather)) -> Schedule {
    let mut dice = Dice::new(seed);
    let mut weather = Weather::draw(&mut dice);
    let mut aging = aging_dice(seed);
    weather.has_newer = aging.one_in(8);
    let mut forging = forging_dice(seed);
    weather.has_forgeries = forging.one_in(12);
    let mut crowding = crowding_dice(seed);
    weather.keeps_few = crowding.one_in(6);
    force(&mut weather);
    let mut nodes = nodes(&mut dice, &weather);
    for node in nodes.iter_mut().filter(|_| weather.has_newer) {
        node.is_newer = aging.one_in(2);
    }
    let siblings_max = 1 + crowding.index(3);
    for node in nodes.iter_mut().filter(|_| weather.keeps_few) {
        node.siblings_max = siblings_max;
    }
    let edges = edges(&mut dice, nodes.len());
    let few = if weather.is_unsynced { 4 } else { 16 };
    let keys = 1 + dice.below(few);
    let keys = if weather.has_many_keys { 300 } else { keys };
    let mut parting = Dice::new(parting_dice(seed).next());
    for node in nodes.iter_mut().filter(|_| weather.has_prefixes) {
        node.scope = some_keys(&mut parting, keys);
    }
    let mut naming = Dice::new(naming_dice(seed).next());
    if weather.names_peers {
        name_some(&mut naming, &mut nodes, &edges, keys);
    }
    let count = 20 + dice.index(100);
    let (is_unambiguous, begins_apart) = (weather.is_unambiguous, weather.begins_apart);
    let mut drawing = Drawing {
        dice: &mut dice,
        weather,
        nodes: nodes.len(),
        edges: edges.clone(),
        keys,
        ahead: VecDeque::new(),
        parting,
        naming,
        forging,
        copying: copying_dice(seed),
    };
    let steps = (0..count).map(|number| drawing.step(number)).collect();
    Schedule {
        seed,
        nodes,
        is_unambiguous,
        begins_apart,
        edges,
        steps,
    }
}
