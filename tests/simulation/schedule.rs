//! The events of one run, as values: drawn from the seed before anything runs, so that parts of it can be left out.

use std::collections::BTreeMap;

use crate::store::commit::committer::Durability;
use crate::store::conflict::policy::ConflictPolicy;
use crate::store::scope::Scope;
use crate::sync::options::ReplicaOptions;

/// Settings of one node.
#[derive(Debug, Clone)]
pub(super) struct NodePlan {
    pub(super) options: ReplicaOptions,
    pub(super) durability: Durability,
    pub(super) policy: ConflictPolicy,
    /// Keys that the node exchanges.
    pub(super) scope: Scope,
    /// Scopes for single peers, within `scope`.
    pub(super) named: BTreeMap<usize, Scope>,
    /// True if the node's writes carry an extension that only a newer version knows.
    pub(super) is_newer: bool,
    /// Most losers of one key that the node keeps.
    pub(super) siblings_max: usize,
    /// Skew of the wall clock at the beginning, in milliseconds.
    pub(super) skew_ms: i64,
    /// Longest time that a commit waits, in milliseconds.
    pub(super) commit_ms: u64,
}

/// One run as a value: its nodes, connections and steps.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) nodes: Vec<NodePlan>,
    /// True if no two writes have the same content, removals included.
    pub(super) is_unambiguous: bool,
    /// True if no nodes are connected at first, so that they meet with entries on both sides.
    pub(super) begins_apart: bool,
    /// Pairs of nodes that want to be connected.
    pub(super) edges: Vec<(usize, usize)>,
    pub(super) steps: Vec<Step>,
}

/// One step of a run.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Place of the step among all that were drawn.
    pub(super) number: usize,
    pub(super) action: Action,
    /// Seed for the choices that the action leaves open.
    pub(super) seed: u64,
    /// Time that passes after the step, in milliseconds.
    pub(super) pause_ms: u64,
}

/// The way in which a node stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Cleanly,
    Killed,
    PowerCut,
}

/// The way in which the disk of a running node is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copying {
    /// All files at once, like a disk that is taken from under a machine.
    Snapshot,
    /// All files at once, between two calls of the next commit.
    InCommit,
    /// One file after another, which takes that many milliseconds.
    Files(u64),
}

/// A write; a removal if it has no length.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    pub(super) key: u64,
    pub(super) value_bytes: Option<usize>,
}

/// An action of a program, or a fault.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Write(usize, Write),
    Batch(usize, Vec<Write>),
    /// Settles the conflict of a key, if there is one.
    Resolve(usize, Write),
    Tick(usize, bool),
    SetAutomatic(usize, bool),
    RetryFailed(usize),
    /// Calls a peer, even if they are connected.
    Call(usize, usize, bool),
    Cut(usize, usize),
    /// Blocks that direction for a time.
    Block(usize, usize, u64),
    /// Blocks both directions again and again: the number of blocks, and the duration of each.
    Flap(usize, usize, u64, u64),
    Delay(usize, usize, u64),
    /// Keeps a node from reading for a time.
    Stall(usize, u64),
    Corrupt(usize, usize),
    Lie(usize, usize),
    /// Makes the first node send the second a forged message.
    Forge(usize, usize),
    Stop(usize, Stop),
    Start(usize),
    CrashInCommit(usize),
    FullDisk(usize),
    FailingDisk(usize),
    HealDisk(usize),
    Checkpoint(usize),
    /// Keeps the present disk.
    Keep(usize),
    /// Opens the node from the kept disk, as from a backup without a lease.
    Restore(usize),
    /// Opens the node from the kept disk, lease included.
    RollBack(usize),
    /// Lets the node go on from the kept disk as if nothing had happened.
    GoBack(usize),
    /// Gives the second node a copy of the first's folder.
    Clone(usize, usize),
    /// Gives the second node a copy of the first's disk while the first runs on.
    CloneRunning(usize, usize, Copying),
    /// Loses the disk; true if the node comes back with an empty one.
    Lose(usize, bool),
    Clock(usize, i64),
    /// Opens the node anew with another scope.
    Rescope(usize, Scope),
    /// Makes the node connect to the second one with another scope for that peer.
    Name(usize, usize, Scope),
}

impl Action {
    /// Name of the action; all actions of one name can be left out at once.
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

    /// The greatest number of a node in the action.
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
    /// True if some connection may carry only a part of the keys.
    pub(super) fn has_prefixes(&self) -> bool {
        let is_change = |step: &Step| matches!(step.action, Action::Rescope(..) | Action::Name(..));
        let has_all = |node: &NodePlan| node.scope.is_all() && node.named.is_empty();
        !self.nodes.iter().all(has_all) || self.steps.iter().any(is_change)
    }

    /// The schedule with these steps only, for the first `nodes` nodes.
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

    /// The schedule as text, in lines.
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
