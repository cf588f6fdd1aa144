//! What happens in one run, as values: drawn from the seed before anything runs, so that parts of it can be left out.

use std::collections::BTreeMap;

use crate::store::commit::committer::Durability;
use crate::store::conflict::policy::ConflictPolicy;
use crate::store::scope::Scope;
use crate::sync::options::ReplicaOptions;

/// One node.
#[derive(Debug, Clone)]
pub(super) struct NodePlan {
    pub(super) options: ReplicaOptions,
    pub(super) durability: Durability,
    pub(super) policy: ConflictPolicy,
    /// What it exchanges.
    pub(super) scope: Scope,
    /// What of that it exchanges with some of the others.
    pub(super) named: BTreeMap<usize, Scope>,
    /// What it writes carries what only a newer version knows.
    pub(super) is_newer: bool,
    /// How many losers of one key it keeps.
    pub(super) siblings_max: usize,
    /// How far its wall clock is off at first.
    pub(super) skew_ms: i64,
    /// Longest time that a commit waits.
    pub(super) commit_ms: u64,
}

/// A run.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) nodes: Vec<NodePlan>,
    /// No two writes have the same content, removals included.
    pub(super) is_unambiguous: bool,
    /// Nobody is connected at first, so that nodes meet with something on both sides.
    pub(super) begins_apart: bool,
    /// Pairs that want to be connected.
    pub(super) edges: Vec<(usize, usize)>,
    pub(super) steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its place among all that were drawn.
    pub(super) number: usize,
    pub(super) action: Action,
    /// Decides what the action leaves open.
    pub(super) seed: u64,
    /// What passes behind it.
    pub(super) pause_ms: u64,
}

/// How a node stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Cleanly,
    Killed,
    PowerCut,
}

/// How the disk of a node that runs on is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copying {
    /// All files at once, as a disk has them that is taken from under a machine.
    Snapshot,
    /// All files at once, between two calls of the next commit.
    InCommit,
    /// One file after another, which takes that many milliseconds.
    Files(u64),
}

/// A write; no length: a removal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) key: u64,
    pub(super) value_bytes: Option<usize>,
}

/// What is done or goes wrong.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Write(usize, Write),
    Batch(usize, Vec<Write>),
    /// Settles the conflict of a key, if there is one.
    Resolve(usize, Write),
    Tick(usize, bool),
    SetAutomatic(usize, bool),
    RetryFailed(usize),
    /// Calls; also if they are connected.
    Call(usize, usize, bool),
    Cut(usize, usize),
    /// Nothing passes in that direction for so long.
    Block(usize, usize, u64),
    /// Nothing passes in either direction, again and again: how often, and for how long.
    Flap(usize, usize, u64, u64),
    Delay(usize, usize, u64),
    /// It reads nothing for so long.
    Stall(usize, u64),
    Corrupt(usize, usize),
    Lie(usize, usize),
    /// The first says to the second what no node makes.
    Forge(usize, usize),
    Stop(usize, Stop),
    Start(usize),
    CrashInCommit(usize),
    FullDisk(usize),
    FailingDisk(usize),
    HealDisk(usize),
    Checkpoint(usize),
    /// Its disk is kept as it is.
    Keep(usize),
    /// It is opened from what was kept, as a backup that has no lease.
    Restore(usize),
    /// It is opened from what was kept, lease and all.
    RollBack(usize),
    /// It goes on from what was kept as if nothing had happened.
    GoBack(usize),
    /// The second gets a copy of the first's folder.
    Clone(usize, usize),
    /// The second gets what is on the first's disk while that runs on.
    CloneRunning(usize, usize, Copying),
    /// Its disk is gone; whether it comes back with an empty one.
    Lose(usize, bool),
    Clock(usize, i64),
    /// It opens anew, and exchanges something else from then on.
    Rescope(usize, Scope),
    /// It connects to the second one to exchange something else with that from then on.
    Name(usize, usize, Scope),
}

impl Action {
    /// What it is called; all of one kind can be left out at once.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Write(..) => "write",
            Self::Batch(..) => "batch",
            Self::Resolve(..) => "resolve",
            Self::Tick(..) => "tick",
            Self::SetAutomatic(..) => "automatic",
            Self::RetryFailed(..) => "retry",
            Self::Call(..) => "call",
            Self::Cut(..) => "cut",
            Self::Block(..) => "block",
            Self::Flap(..) => "flap",
            Self::Delay(..) => "delay",
            Self::Stall(..) => "stall",
            Self::Corrupt(..) => "corrupt",
            Self::Lie(..) => "lie",
            Self::Forge(..) => "forge",
            Self::Stop(..) => "stop",
            Self::Start(..) => "start",
            Self::CrashInCommit(..) => "crash",
            Self::FullDisk(..) => "full",
            Self::FailingDisk(..) => "failing",
            Self::HealDisk(..) => "heal",
            Self::Checkpoint(..) => "checkpoint",
            Self::Keep(..) => "keep",
            Self::Restore(..) => "restore",
            Self::RollBack(..) => "rollback",
            Self::GoBack(..) => "goback",
            Self::Clone(..) => "clone",
            Self::CloneRunning(..) => "running",
            Self::Lose(..) => "lose",
            Self::Clock(..) => "clock",
            Self::Rescope(..) => "rescope",
            Self::Name(..) => "name",
        }
    }

    /// The greatest node that it is about.
    pub(super) fn last_node(&self) -> usize {
        match self {
            Self::Call(a, b, _)
            | Self::Cut(a, b)
            | Self::Block(a, b, _)
            | Self::Flap(a, b, ..)
            | Self::Delay(a, b, _)
            | Self::Corrupt(a, b)
            | Self::Lie(a, b)
            | Self::Forge(a, b)
            | Self::Name(a, b, _)
            | Self::CloneRunning(a, b, _)
            | Self::Clone(a, b) => *a.max(b),
            Self::Write(node, _)
            | Self::Batch(node, _)
            | Self::Resolve(node, _)
            | Self::Tick(node, _)
            | Self::SetAutomatic(node, _)
            | Self::RetryFailed(node)
            | Self::Stall(node, _)
            | Self::Stop(node, _)
            | Self::Start(node)
            | Self::CrashInCommit(node)
            | Self::FullDisk(node)
            | Self::FailingDisk(node)
            | Self::HealDisk(node)
            | Self::Checkpoint(node)
            | Self::Keep(node)
            | Self::Restore(node)
            | Self::RollBack(node)
            | Self::GoBack(node)
            | Self::Lose(node, _)
            | Self::Clock(node, _)
            | Self::Rescope(node, _) => *node,
        }
    }
}

impl Schedule {
    /// Whether some connection may carry only a part of the keys.
    pub(super) fn has_prefixes(&self) -> bool {
        let is_change = |step: &Step| matches!(step.action, Action::Rescope(..) | Action::Name(..));
        let has_all = |node: &NodePlan| node.scope.is_all() && node.named.is_empty();
        !self.nodes.iter().all(has_all) || self.steps.iter().any(is_change)
    }

    /// The schedule with these steps only, for the first nodes.
    pub(super) fn with(&self, nodes: usize, keeps: impl Fn(&Step) -> bool) -> Self {
        let fits = |step: &&Step| step.action.last_node() < nodes && keeps(step);
        Self {
            seed: self.seed,
            is_unambiguous: self.is_unambiguous,
            begins_apart: self.begins_apart,
            nodes: self.nodes.iter().take(nodes).cloned().collect(),
            edges: {
                let edges = self.edges.iter().copied();
                edges.filter(|(a, b)| *a < nodes && *b < nodes).collect()
            },
            steps: self.steps.iter().filter(fits).cloned().collect(),
        }
    }

    /// The schedule in lines.
    pub(super) fn shown(&self) -> String {
        let mut lines = vec![format!("edges {:?}", self.edges)];
        for (place, node) in self.nodes.iter().enumerate() {
            let age = if node.is_newer { ", newer" } else { "" };
            lines.push(format!(
                "node {place}{age}: {:?}, {:?}, prefixes {:?}, of single peers {:?}, {} ms off, {:?}",
                node.durability, node.policy, node.scope, node.named, node.skew_ms, node.options
            ));
        }
        for step in &self.steps {
            lines.push(format!(
                "{:>4} {:?}, then {} ms",
                step.number, step.action, step.pause_ms
            ));
        }
        lines.join("\n")
    }
}
