//! Openings and stops of nodes, and changes of a disk in between.

use std::collections::{BTreeMap, BTreeSet};

use super::conflicts::name_of;
use super::node::{LOG, Node, Running};
use super::schedule::{Copying, Stop};
use super::stream::{Packet, State};
use super::world::World;
use crate::core::identity::{Incarnation, Origin};
use crate::disk::memory::MemoryStorage;
use crate::disk::storage::Storage;
use crate::node::commit::backlog::{Backlog, RECEIVED_WAITING_BYTES_MAX};
use crate::node::machine::Machine;
use crate::store::conflict::policy::loser_of;
use crate::store::entry::Entry;
use crate::store::error::StoreError;
use crate::store::maintain::recovery::{self, OpenReport, Seeds};
use crate::store::tests::torture::making::Node as Store;
use crate::sync::replica::Replica;
use crate::sync::tests::dice::Dice;
use crate::wal::files::lease;

/// Bytes of a checkpoint that are cached; every other node reads each block anew.
const CACHE_BYTES: usize = 1 << 16;

impl<'d> World<'d> {
    fn seeds(&mut self) -> Seeds {
        let dice = &mut self.dice;
        Seeds {
            salt: dice.next(),
            file_id: dice.bytes(),
            origin: Origin(dice.bytes()),
            lease: dice.bytes(),
            incarnation: Incarnation(dice.bytes()),
        }
    }

    pub(super) fn open(&mut self, node: usize) {
        if self.nodes[node].running.is_none() && !self.nodes[node].is_lost {
            self.open_in(node, None);
        }
    }

    /// Opens a node; if an epoch is given, as if the process had gone on in it.
    fn open_in(&mut self, node: usize, epoch: Option<Incarnation>) {
        let mut seeds = self.seeds();
        seeds.incarnation = epoch.unwrap_or(seeds.incarnation);
        let Node {
            name, plan, disk, ..
        } = &self.nodes[node];
        let disk: &'d MemoryStorage = disk;
        let opened = if plan.options.durable {
            let cache_bytes = (node % 2) * CACHE_BYTES;
            recovery::open(disk, LOG, name, plan.durability, cache_bytes, &seeds)
                .unwrap_or_else(|error| panic!("{node} does not open: {error}"))
        } else {
            recovery::in_memory(name, &seeds)
        };
        let report = opened.report.clone();
        let mut store = Store::over(disk, opened);
        store.committer.set_conflict_policy(plan.policy);
        store.committer.set_siblings_max(plan.siblings_max);
        if epoch.is_some() {
            store.forget_the_opening();
        } else if plan.options.durable {
            // Before the node meets a peer, the epoch that it will tell has to be on disk.
            let told = store.committer.write_records(&[]);
            assert!(told.is_ok() || self.nodes[node].is_hurt, "{told:?}");
        }
        let replica = Replica::new(plan.options, store.committer.ledger(), &store.map);
        let ticked = if plan.options.automatic {
            u64::MAX
        } else {
            let refused = replica.refused_anywhere(&store.map);
            let on_record = store.committer.ledger().released;
            replica.recorded_anywhere().max(refused).max(on_record)
        };
        let mut machine = Machine::new(replica, name, Vec::new());
        machine.scope = plan.scope.clone();
        let running = Running {
            store,
            machine,
            queue: Backlog::new(RECEIVED_WAITING_BYTES_MAX),
            rest: Vec::new(),
            commit_at: None,
            sync_at: None,
            idle_at: Some(self.at + 1),
            checkpoint_at: None,
            timer_at: None,
            calls: BTreeMap::new(),
            identity_conflict: None,
            doubted_at: None,
            disowned: None,
            volatile: Vec::new(),
            volatile_cursors: Vec::new(),
            came: BTreeMap::new(),
            given_up: None,
            skews_told: BTreeSet::new(),
            losers: BTreeSet::new(),
            losers_told: 0,
            ticked,
            named: BTreeMap::new(),
        };
        self.nodes[node].running = Some(running);
        self.nodes[node].unfinished = std::sync::Arc::default();
        let origin = self.nodes[node].up().machine.replica.origin();
        self.trace.note(&origin.0);
        self.trace
            .say(|| format!("{node} opens as {origin}, {report:?}"));
        self.keep_holdings(node);
        self.check_opened(node, epoch.is_some());
        self.check_identity_told(node, &report);
        self.look_for_carried_off(node);
        self.carry_out(node);
    }

    /// Takes another identity if there is a conflict, as `node::commit::new_identity` does.
    pub(super) fn renew_on_identity_conflict(&mut self, node: usize) {
        let running = self.nodes[node].up_mut();
        if running.store.is_making() || running.store.is_poisoned() {
            return;
        }
        let Some(identity_conflict) = running.identity_conflict.take() else {
            return;
        };
        let seeds = self.seeds();
        let now = self.now(node);
        let (disk, is_hurt) = (self.nodes[node].disk, self.nodes[node].is_hurt);
        let is_durable = self.nodes[node].plan.options.durable;
        let written = !is_durable || lease::write(disk, LOG, seeds.lease).is_ok();
        let running = self.nodes[node].up_mut();
        let renewed = written && running.store.committer.renew(&seeds).is_ok();
        assert!(renewed || is_hurt, "{node} cannot take another identity");
        if !renewed {
            return;
        }
        let ledger = running.store.committer.ledger();
        let last_lseq = ledger.last_lseq;
        running.store.map.know_authorship(ledger);
        running.machine.renewed(ledger, now, &running.store.map);
        self.keep_holdings(node);
        self.excuses.renewed = true;
        self.origins.insert(seeds.origin);
        self.trace.note(&seeds.origin.0);
        self.trace
            .say(|| format!("{node} goes on as {}: {identity_conflict:?}", seeds.origin));
        self.nodes[node].settle(last_lseq);
        let rows = super::checks::all_rows(&self.nodes[node].up().store.map);
        let rows: Vec<_> = rows.map(|(_, lseq, entry)| (lseq, entry)).collect();
        let feed = self.feeds.entry(seeds.incarnation).or_default();
        for (lseq, entry) in rows {
            feed.entry(lseq).or_default().insert(name_of(&entry));
        }
        self.carry_out(node);
    }

    /// Carries over to a new identity the positions that peers held of the node's own writes.
    fn keep_holdings(&mut self, node: usize) {
        let origin = self.nodes[node].up().machine.replica.origin();
        let before = std::mem::replace(&mut self.nodes[node].identity, origin);
        if before != origin && before != Origin::default() {
            self.successors.insert(origin);
        }
        if let Some(held) = self.held.get(&before).cloned() {
            self.held.entry(origin).or_insert(held);
        }
    }

    pub(super) fn stop(&mut self, node: usize, how: Stop, seed: u64) {
        if self.nodes[node].running.is_none() {
            return;
        }
        self.trace.say(|| format!("{node} stops: {how:?}"));
        if how == Stop::Cleanly {
            self.finish(node);
            if self.nodes[node].running.is_none() {
                // The power failed meanwhile.
                return;
            }
        }
        self.leave_lines(node, how);
        let mut running = self.nodes[node].running.take().unwrap();
        let is_durable = self.nodes[node].plan.options.durable;
        let is_kept = match how {
            Stop::Cleanly => {
                // A disk that was to fail next does so now: then this was no clean stop.
                let closed = running.store.committer.close();
                let is_hurt = self.nodes[node].is_hurt;
                assert!(
                    closed.is_ok() || is_hurt,
                    "{node} does not close: {closed:?}"
                );
                closed.is_ok()
            }
            Stop::Killed => !running.store.is_poisoned(),
            Stop::PowerCut => false,
        };
        if is_kept {
            for (_, entry) in std::mem::take(&mut running.volatile) {
                self.nodes[node].remember(entry);
            }
        }
        let image = self.nodes[node].disk.image();
        let disk = match how {
            Stop::PowerCut => image.power_cut(seed),
            Stop::Cleanly | Stop::Killed => image.process_killed(),
        };
        self.replace_disk(node, disk);
        if !is_durable {
            self.nodes[node].forget();
        }
    }

    /// Leaves the peers, and commits the queue.
    fn finish(&mut self, node: usize) {
        self.drive(node, Machine::leave_all);
        self.drive(node, |machine, _, _| machine.replica.remember_all());
        while self.nodes[node].up().commit_at.is_some() {
            self.commit(node);
            if self.nodes[node].running.is_none() {
                return;
            }
        }
    }

    /// Ends the connections of a node: those of a killed process are reset, and a node without power may send nothing.
    fn leave_lines(&mut self, node: usize, how: Stop) {
        let lines: Vec<u64> = self.lines.keys().copied().collect();
        for line in lines {
            for side in 0..2 {
                let silent = how == Stop::PowerCut && self.dice.one_in(2);
                let at = self.at + self.dice.below(200);
                let ends = &mut self.lines.get_mut(&line).unwrap().ends;
                if ends[side].node != node || ends[side].state == State::Shut {
                    continue;
                }
                ends[side].shut();
                if !silent {
                    ends[1 - side].push(at, Packet::Closed("the node is gone"));
                }
            }
            self.clear_line(line);
        }
        self.dials.retain(|dial| dial.node != node);
    }

    fn replace_disk(&mut self, node: usize, disk: MemoryStorage) {
        let disk = self.shelve(disk);
        let node = &mut self.nodes[node];
        node.disk = disk;
        (node.is_hurt, node.crash) = (false, None);
    }

    /// Cuts the power at some call of the commit that was just made, before anything was answered.
    pub(super) fn crash_in_commit(&mut self, node: usize, seed: u64) {
        let disk = self.nodes[node].disk;
        let points = disk.take_crash_points();
        disk.record_crash_points(false);
        let place = usize::try_from(seed % points.len() as u64).unwrap();
        self.trace
            .say(|| format!("{node} loses power at call {place} of {}", points.len()));
        self.leave_lines(node, Stop::PowerCut);
        self.nodes[node].running = None;
        if self.nodes[node].plan.options.durable {
            let cut = points[place].image.power_cut(seed);
            self.replace_disk(node, cut);
        } else {
            self.nodes[node].forget();
        }
    }

    /// Keeps the present disk of a node.
    pub(super) fn keep(&mut self, node: usize) {
        let kept = &mut self.nodes[node];
        if let Some(running) = &kept.running
            && kept.plan.options.durable
            && !kept.is_hurt
        {
            let epoch = running.machine.replica.incarnation();
            kept.kept = Some((kept.disk.image(), epoch));
            self.trace.say(|| format!("{node} is backed up"));
        }
    }

    /// Opens a node from its kept disk. `has_lease`: as the disk was, not as a backup.
    pub(super) fn go_back(&mut self, node: usize, has_lease: bool, goes_on: bool, seed: u64) {
        let Some((image, epoch)) = self.nodes[node].kept.take() else {
            return;
        };
        self.stop(node, Stop::PowerCut, seed);
        let disk = if goes_on {
            image.process_killed()
        } else {
            image.power_cut(seed)
        };
        self.replace_disk(node, disk);
        self.nodes[node].forget();
        self.excuses.went_back |= has_lease;
        self.excuses.went_back_unnoticed |= goes_on;
        if !has_lease {
            self.lose_lease(node);
        }
        self.trace.say(|| format!("{node} is taken back in time"));
        self.open_in(node, goes_on.then_some(epoch));
        self.repeat(node);
    }

    /// Allows an identity conflict where a copy may hold writes of this node that a power cut took from it: to the
    /// node they are writes in its name that it has not made. A copy that went on in its name has made such writes
    /// too.
    fn look_for_carried_off(&mut self, node: usize) {
        let running = self.nodes[node].up();
        let (origin, map) = (running.machine.replica.origin(), &running.store.map);
        let is_gone = |entry: &&Entry| {
            let held = map.entry(entry.key()).ok().flatten();
            entry.dot.origin == origin && held.is_none_or(|held| entry.order(&held).is_gt())
        };
        if self.carried_off.iter().any(|entry| is_gone(&entry)) {
            self.repeated.insert(origin);
        }
    }

    /// Notes that the node's identity may have been in use before.
    fn repeat(&mut self, node: usize) {
        if let Some(running) = &self.nodes[node].running {
            self.repeated.insert(running.machine.replica.origin());
        }
    }

    fn lose_lease(&mut self, node: usize) {
        let disk = self.nodes[node].disk;
        let lease = format!("{LOG}.lease");
        if disk.list().unwrap().contains(&lease) {
            disk.remove(&lease).unwrap();
            disk.sync_directory().unwrap();
        }
    }

    /// Gives the second node a copy of the first's folder, and opens it.
    pub(super) fn copy_folder(&mut self, from: usize, to: usize, has_lease: bool, seed: u64) {
        let copy = self.nodes[from].disk.image().process_killed();
        self.receive_copy(from, to, &copy, has_lease, seed);
    }

    /// Gives the second node a copy of the first's disk while the first runs on.
    pub(super) fn copy_running(&mut self, from: usize, to: usize, how: Copying, seed: u64) {
        if from == to || self.nodes[from].running.is_none() {
            return;
        }
        let image = self.nodes[from].disk.image();
        match how {
            Copying::Snapshot => {
                self.receive_copy(from, to, &image.power_cut(seed), true, seed);
            }
            Copying::InCommit => self.nodes[from].copied = Some((to, seed)),
            Copying::Files(ms) => {
                self.run_for(ms);
                let later = self.nodes[from].disk.image();
                let names = image.names().into_iter().chain(later.names());
                let names: BTreeSet<String> = names.collect();
                let mut dice = Dice::new(seed);
                let files = names.into_iter().filter_map(|name| {
                    let moment = if dice.one_in(2) { &image } else { &later };
                    Some((name.clone(), moment.file(&name)?))
                });
                let mut copy = MemoryStorage::from_files(files);
                if let Err(error) = self.try_to_open(to, &copy) {
                    // A node with files that do not belong together gets an error, and begins anew.
                    self.trace
                        .say(|| format!("a copy of {from} does not open: {error}"));
                    copy = MemoryStorage::new();
                }
                self.receive_copy(from, to, &copy, true, seed);
            }
        }
    }

    /// Gives the second node a copy of the first's disk at some moment of this epoch, and opens it.
    pub(super) fn receive_copy(
        &mut self,
        from: usize,
        to: usize,
        copy: &MemoryStorage,
        has_lease: bool,
        seed: u64,
    ) {
        let are_durable = [from, to].map(|node| self.nodes[node].plan.options.durable);
        if are_durable != [true, true] || self.nodes[from].is_hurt || self.nodes[to].is_lost {
            return;
        }
        if let Some(running) = &self.nodes[from].running {
            let origin = running.machine.replica.origin();
            let volatile = running.volatile.iter().map(|(_, entry)| entry);
            let own = volatile.filter(|entry| entry.dot.origin == origin);
            let writes = own.filter(|entry| loser_of(entry).is_none());
            self.carried_off.extend(writes.cloned());
        }
        self.stop(to, Stop::PowerCut, seed);
        self.replace_disk(to, copy.image().process_killed());
        self.nodes[to].forget();
        self.nodes[to].kept = None;
        self.nodes[to].identity = self.nodes[from].identity;
        let latest = self.nodes[from].latest_wall;
        self.nodes[to].latest_wall = latest.max(self.nodes[to].latest_wall);
        self.excuses.had_twins |= has_lease;
        if !has_lease {
            self.lose_lease(to);
        }
        self.trace.say(|| format!("{to} gets a copy of {from}"));
        self.open(to);
        self.repeat(to);
    }

    /// Tries to open a disk as a node would, without changing it.
    fn try_to_open(&self, node: usize, disk: &MemoryStorage) -> Result<(), StoreError> {
        let disk = disk.image().process_killed();
        let Node { name, plan, .. } = &self.nodes[node];
        let seeds = Seeds {
            salt: 1,
            file_id: [1; 16],
            origin: Origin([1; 16]),
            lease: [1; 16],
            incarnation: Incarnation([1; 16]),
        };
        recovery::open(&disk, LOG, name, plan.durability, CACHE_BYTES, &seeds).map(drop)
    }

    /// Section 2: an opening that takes another identity than the folder had reports it.
    fn check_identity_told(&mut self, node: usize, report: &OpenReport) {
        let origin = self.nodes[node].up().machine.replica.origin();
        let is_new = self.origins.insert(origin);
        // The folder had another identity if its log holds any frame.
        let had_another = report.log.as_ref().is_some_and(|log| log.frames > 0);
        assert!(
            report.copy_noticed || !is_new || !had_another,
            "2: {node} opens as {origin}, and says {report:?}"
        );
    }

    /// Loses the disk of a node.
    pub(super) fn lose(&mut self, node: usize, comes_back: bool, seed: u64) {
        let left = self.nodes.iter().filter(|node| !node.is_lost).count();
        if left <= 2 && !comes_back {
            return;
        }
        self.excuses.lost = true;
        self.stop(node, Stop::PowerCut, seed);
        self.replace_disk(node, MemoryStorage::new());
        self.nodes[node].forget();
        self.nodes[node].kept = None;
        self.nodes[node].is_lost = !comes_back;
        self.trace.say(|| format!("{node} has lost its disk"));
    }
}
