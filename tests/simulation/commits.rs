//! The simulated work of `node::commit` and `node::checkpoint`: groups, syncs, idle watermarks, checkpoints.

use super::newer::extend;
use super::world::World;
use crate::store::commit::committer::Committed;
use crate::store::commit::install::install_some;
use crate::store::commit::operation::Request;
use crate::store::conflict::policy::loser_of;
use crate::store::tests::torture::making::Node as Store;

/// Longest time that an accepted write may lie unsynced with `autoFlush` off, in milliseconds.
const SYNC_AFTER_MS: u64 = 1_000;

/// Longest time that a write may lie unsynced while a peer waits for it, in milliseconds.
const PEER_SYNC_AFTER_MS: u64 = 5;

/// Time without a write after which the log gets a mark that its last group is durable, in milliseconds.
const IDLE_AFTER_MS: u64 = 50;

/// Longest time between two pages of a checkpoint, in milliseconds.
const PAGE_MS: u64 = 12;

impl World<'_> {
    pub(super) fn request(&mut self, node: usize, request: Request) {
        let wait = self.nodes[node].plan.commit_ms + 1;
        let at = self.at + self.dice.below(wait);
        let Some(running) = &mut self.nodes[node].running else {
            return;
        };
        if running.store.is_poisoned() && request.ticket().is_some() {
            // The request is refused before it is queued.
            return;
        }
        running.queue.push(request);
        running.commit_at.get_or_insert(at);
    }

    /// Commits one group of the queue, now.
    pub(super) fn commit(&mut self, node: usize) {
        let now = self.now(node);
        let latest = &mut self.nodes[node].latest_wall;
        *latest = now.wall.max(*latest);
        let again = self.at + self.dice.below(self.nodes[node].plan.commit_ms + 1);
        let (is_hurt, crash) = (self.nodes[node].is_hurt, self.nodes[node].crash.take());
        let running = self.nodes[node].up_mut();
        let group = if running.rest.is_empty() {
            running.queue.take_group(now.monotonic)
        } else {
            std::mem::take(&mut running.rest)
        };
        running.commit_at = (!running.queue.is_empty()).then_some(again);
        if is_hurt || crash.is_some() {
            // The group may be found on the disk although no node was told of it.
            self.foresee(node, &group);
        }
        let copied = self.nodes[node].copied.take();
        if crash.is_some() || copied.is_some() {
            self.nodes[node].disk.record_crash_points(true);
        }
        let asked = group.clone();
        let is_newer = self.nodes[node].plan.is_newer;
        let store = &mut self.nodes[node].up_mut().store;
        let mut plan = store.committer.plan(group, &store.map, now.wall);
        if is_newer {
            let (made, told) = Store::made_in(&mut plan);
            extend(made, told);
        }
        let outcome = store.committer.write(plan);
        if let Some(seed) = crash {
            return self.crash_in_commit(node, seed);
        }
        let disk = self.nodes[node].disk;
        let moments = copied.map(|_| disk.take_crash_points()).unwrap_or_default();
        disk.record_crash_points(false);
        match outcome {
            Ok(committed) => {
                let rest = committed.rest.clone();
                self.install(node, &asked, committed);
                if !rest.is_empty() {
                    let running = self.nodes[node].up_mut();
                    running.rest = rest;
                    running.commit_at = Some(again);
                }
            }
            Err(refused) => {
                self.trace
                    .say(|| format!("{node} could not commit: {}", refused.error));
                assert!(is_hurt, "{node} could not commit: {}", refused.error);
                let machine = &mut self.nodes[node].up_mut().machine;
                for token in refused.tokens {
                    machine.replica.received_in_vain(token);
                }
            }
        }
        self.carry_out(node);
        self.check_holdings(node);
        if let Some((to, seed)) = copied {
            let moment = usize::try_from(seed % moments.len() as u64).unwrap();
            self.receive_copy(
                node,
                to,
                &moments[moment].image.process_killed(),
                true,
                seed,
            );
        }
    }

    fn foresee(&mut self, node: usize, group: &[Request]) {
        let wall = self.now(node).wall;
        let running = self.nodes[node].up();
        // The call that is to fail may be one that reads the checkpoint here, so that the commit does not meet it.
        let foresee = || running.store.foresee(group.to_vec(), wall);
        let planned = foresee().or_else(foresee);
        let mut planned = planned.map(|(planned, _)| planned).unwrap_or_default();
        if self.nodes[node].plan.is_newer {
            let own = planned.iter_mut().filter(|(.., from)| from.is_none());
            extend(own.map(|(entry, ..)| entry), &mut []);
        }
        let all = planned.iter();
        let all: Vec<_> = all.map(|(entry, _, from)| (entry.clone(), *from)).collect();
        self.learn_writes(node, group, &all);
        planned.retain(|(.., from)| from.is_none());
        for (entry, ..) in planned {
            if loser_of(&entry).is_none() {
                self.written.entry(entry.dot).or_default().push(entry);
            }
        }
    }

    fn install(&mut self, node: usize, asked: &[Request], mut committed: Committed) {
        let now = self.now(node);
        let planned = committed.entries();
        let planned: Vec<_> = planned.map(|(entry, from)| (entry.clone(), from)).collect();
        self.learn_writes(node, asked, &planned);
        self.check_committed(node, &committed);
        self.check_conflicts(node, asked, &committed);
        let replica = &self.nodes[node].up().machine.replica;
        let has_peers = !replica.acknowledged_links().is_empty();
        let sync_after = if replica.is_automatic() && has_peers {
            PEER_SYNC_AFTER_MS
        } else {
            SYNC_AFTER_MS
        };
        let sync_at = self.at + sync_after;
        let idle_at = self.at + IDLE_AFTER_MS;
        let running = self.nodes[node].up_mut();
        loop {
            let some = install_some(&mut committed, &mut running.store.map);
            if some.is_empty() {
                break;
            }
            running.machine.replica.installed(&some, now);
        }
        let (last, durable) = (committed.last_lseq, committed.durable_lseq);
        running.machine.replica.committed(last, durable);
        self.nodes[node].settle(durable);
        let running = self.nodes[node].up_mut();
        let refused = std::mem::take(&mut committed.refused_entries);
        running.machine.replica.refused_by_store(&refused);
        for (token, peer, position, scope) in &committed.acknowledge {
            let replica = &mut running.machine.replica;
            replica.received_durably(*token, *peer, *position, scope, now);
        }
        for token in &committed.refused {
            running.machine.replica.received_in_vain(*token);
        }
        running.machine.replica.send_some(now, &running.store.map);
        if running.store.committer.is_behind() {
            running.sync_at.get_or_insert(sync_at);
        }
        running.idle_at = Some(idle_at);
        self.trace
            .note(&[last.to_le_bytes(), durable.to_le_bytes()].concat());
        self.trace
            .say(|| format!("{node} committed to {last}, durable to {durable}"));
    }

    pub(super) fn sync(&mut self, node: usize) {
        let now = self.now(node);
        let is_hurt = self.nodes[node].is_hurt;
        let running = self.nodes[node].up_mut();
        running.sync_at = None;
        match running.store.committer.sync() {
            Ok(durable) => {
                running.machine.replica.committed(durable, durable);
                running.machine.replica.send_some(now, &running.store.map);
                self.trace.say(|| format!("{node} synced to {durable}"));
                self.nodes[node].settle(durable);
                self.carry_out(node);
            }
            Err(error) => assert!(is_hurt, "{node} cannot sync: {error}"),
        }
    }

    /// Marks the log after a while without writes.
    pub(super) fn idle(&mut self, node: usize) {
        let is_hurt = self.nodes[node].is_hurt;
        let running = self.nodes[node].up_mut();
        running.idle_at = None;
        let store = &mut running.store;
        while store.map.unsorted() > 0 {
            store.map.sort_some();
        }
        while store.map.base_unknown() > 0 && store.map.look_up_base().is_ok() {}
        if !store.committer.is_behind() {
            let marked = store.committer.watermark();
            assert!(
                marked.is_ok() || is_hurt,
                "{node} cannot mark its log: {marked:?}"
            );
        }
        self.check_totals(node);
    }

    /// Takes the next step of a checkpoint; begins one if there is none.
    pub(super) fn advance_checkpoint(&mut self, node: usize) {
        let is_hurt = self.nodes[node].is_hurt;
        let running = self.nodes[node].up_mut();
        running.checkpoint_at = None;
        if running.store.is_poisoned() {
            return;
        }
        if !running.store.is_making() && running.store.committer.is_behind() {
            // The seal would make the group durable too, but nobody would tell the links that wait to send it.
            self.sync(node);
        }
        let again = self.at + 1 + self.dice.below(PAGE_MS);
        let running = self.nodes[node].up_mut();
        let advanced = running.store.advance();
        self.trace
            .say(|| format!("{node} goes on with a checkpoint: {advanced:?}"));
        if let Err(error) = advanced {
            assert!(is_hurt, "{node} cannot make a checkpoint: {error}");
            return;
        }
        let running = self.nodes[node].up_mut();
        if running.store.is_making() {
            running.checkpoint_at = Some(again);
        } else {
            self.check_totals(node);
        }
        self.carry_out(node);
    }
}
