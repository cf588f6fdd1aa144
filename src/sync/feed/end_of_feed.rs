//! Proof of equality at the end of a feed: both sides compare entry counts and fingerprints
//! (`docs/internals/replication.md`, rule 3). Unequal states are reconciled, or repaired by sending the feed from its
//! start if the peer is too old for that.

use super::receive::take_in;
use crate::core::clock::{MonotonicMs, Now};
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::state::map::EntryMap;
use crate::sync::message::{Ack, End, Feed, Positions};
use crate::sync::options::{PROVE_DELAY_MS, REPAIR_DELAY_MS, REPAIR_DELAY_MS_MAX};
use crate::sync::peer::link::{Link, LinkId, Proof, Rewound};
use crate::sync::peer::scope_sums::state_of;
use crate::sync::replica::{Output, Replica};

/// Unequal ends in a row before the feed is asked for anew: one may be a matter of timing.
pub(in crate::sync) const UNEQUAL_ENDS: u32 = 2;

/// Delay between the first unequal end and the next comparison, in milliseconds.
const COMPARE_AGAIN_MS: u64 = 4 * PROVE_DELAY_MS;

impl Replica {
    /// The end of this node's feed for a link, and whether the feed is complete up to it; `None` until the state is
    /// summed up.
    fn end_of(&self, link: &Link, map: &EntryMap) -> Option<End> {
        let sent = link.sending.sent;
        let behind = map.has_own_after(sent.own) || map.has_relay_after(sent.relay);
        let peer = self.peers.get(&link.origin);
        // A peer that can reconcile finds that only rejected entries differ. Without reconciliation everything would
        // be sent again and again.
        let is_short = !link.reconciles && peer.is_some_and(|peer| !peer.rejected.is_empty());
        let is_under_way = link.sending.large.is_some() || !link.sending.again.is_empty();
        let is_held_back = !link.sending.removals.is_empty();
        let can_complete = !behind && !is_short && !is_under_way && !is_held_back;
        // A peer whose fingerprints leave out the content must not take equal states for different.
        let complete = can_complete && link.sums_content;
        let last = Positions {
            own: self.last_lseq,
            relay: self.last_lseq,
        };
        Some(End {
            positions: unless(Rule::EndTooFar, sent, last),
            summary: state_of(link, map)?,
            complete,
        })
    }

    /// Tells each quiet peer where the feed ends, once per state.
    pub(in crate::sync) fn prove_all(&mut self, now: Now, map: &EntryMap) {
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            let Some(mut link) = self.links.remove(&id) else {
                continue;
            };
            if is_quiet(&link, now.monotonic) {
                self.sum_up(id, &mut link, now.monotonic, map);
                self.compare(id, &mut link, now, map);
                self.tell_end(id, &mut link, now.monotonic, map);
            }
            self.links.insert(id, link);
        }
    }

    /// Tells the peer where the feed ends, if that is news.
    pub(in crate::sync) fn tell_end(
        &mut self,
        id: LinkId,
        link: &mut Link,
        now: MonotonicMs,
        map: &EntryMap,
    ) {
        let end = self.end_of(link, map);
        if let Some(end) = end.filter(|end| is_news(link, end)) {
            link.sending.end = Some(end);
            link.sending.passed_over_at = None;
            link.sending.reported = end.positions;
            // The feed has nothing between the acknowledged position and its end, and a peer that claims to be there
            // does not say so again.
            let there = end.positions.nearest(link.sending.claimed);
            let acknowledged = there.furthest(link.sending.acknowledged);
            if acknowledged != link.sending.acknowledged {
                link.sending.acknowledged = acknowledged;
                self.record_acknowledged(link, now);
            }
            // Nothing was owed before, so the retry timer starts now.
            link.sending.progress_at = now;
            self.outputs.push_back(Output::Send(id, Feed::End(end)));
        }
    }

    /// When [`Self::prove_all`] has something to do next.
    pub(in crate::sync) fn prove_deadline(&self, map: &EntryMap) -> Option<MonotonicMs> {
        let due = |link: &Link| {
            let sending = &link.sending;
            let is_sending = sending.large.is_some() || link.is_recording();
            let is_busy = link.is_owed() || link.is_reconciling() || is_sending;
            let can_be_quiet = sending.started && !is_busy;
            if !can_be_quiet || link.scope.is_nothing() {
                return None;
            }
            let quiet = link
                .active_at
                .after(PROVE_DELAY_MS)
                .max(sending.paused_until);
            let Some(mine) = self.end_of(link, map) else {
                // While summing up takes several steps, the next step is due then.
                return Some(self.reconcile_due.map_or(quiet, |due| due.max(quiet)));
            };
            let can_compare = link
                .receiving
                .end
                .is_some_and(|end| is_settled(link, &mine, &end));
            let is_news = is_news(link, &mine);
            (is_news || can_compare).then(|| {
                if !is_news && link.proof.unequal.0 >= UNEQUAL_ENDS {
                    quiet.max(link.proof.repair_after)
                } else {
                    quiet
                }
            })
        };
        self.links.values().filter_map(due).min()
    }

    /// Takes in that the peer's feed is at its end.
    pub(in crate::sync) fn end(
        &mut self,
        id: LinkId,
        link: &mut Link,
        end: End,
        now: Now,
        map: &EntryMap,
    ) {
        (link.receiving.end, link.receiving.reported) = (Some(end), Some(end));
        let Positions { own, relay } = end.positions;
        let pending = &mut link.receiving.pending;
        let moved = Positions {
            own: own.max(pending.own),
            relay: relay.max(pending.relay),
        };
        if moved != *pending || link.receiving.recorded.incarnation != link.incarnation {
            // Everything up to the end is known here, also what the peer passed over: the cursor goes on, in the
            // peer's current epoch.
            *pending = moved;
            link.receiving.rewound = Rewound::default();
            let request = take_in(id, link, Vec::new());
            self.outputs.push_back(Output::Commit(request));
        }
        self.sum_up(id, link, now.monotonic, map);
        self.compare(id, link, now, map);
    }

    /// Compares the peer's summary at its end with the state here. While something is under way the comparison waits
    /// for it.
    fn compare(&mut self, id: LinkId, link: &mut Link, now: Now, map: &EntryMap) {
        if !link.sums_content {
            return;
        }
        // Summaries that were unequal when reported may be equal by now, and the peer has no reason to report them
        // again.
        let is_unproven = link.proof.equal_at != Some(self.last_lseq);
        let reported = link.receiving.reported.filter(|_| is_unproven);
        let Some(theirs) = link.receiving.end.or(reported) else {
            return;
        };
        let Some(mine) = self.end_of(link, map) else {
            // The comparison is repeated once the state is summed up.
            return;
        };
        let is_hinted = is_broken(Rule::HintProves) && !link.sending.peer_has.is_empty();
        if theirs.summary == mine.summary || is_broken(Rule::ProofSkipped) || is_hinted {
            link.receiving.end = None;
            link.has_progressed = true;
            if link.sending.again.is_empty() {
                self.forget_all_rejected(link.origin, now.monotonic);
            }
            link.proof = Proof {
                equal_at: Some(self.last_lseq),
                equal: mine.summary,
                ..Proof::default()
            };
            return;
        }
        link.proof.equal_at = None;
        let is_settled = is_settled(link, &mine, &theirs);
        if link.receiving.end.is_none() || !is_settled || is_broken(Rule::UnequalIgnored) {
            return;
        }
        link.receiving.end = None;
        let again = (link.proof.unequal.1, link.proof.unequal.2) == (mine.summary, theirs.summary);
        let count = if again { link.proof.unequal.0 + 1 } else { 1 };
        link.proof.unequal = (count, mine.summary, theirs.summary);
        if count < unless(Rule::UnequalOnce, UNEQUAL_ENDS, 1) {
            // Both sides tell their ends once more, with nothing in between.
            link.sending.end = None;
            link.active_at = now.monotonic.after(COMPARE_AGAIN_MS - PROVE_DELAY_MS);
        } else if link.proof.repaired == Some((mine.summary, theirs.summary)) {
            // A repair changed nothing: the sides differ only in entries that one of them refuses, and those are
            // listed.
        } else if now.monotonic >= link.proof.repair_after {
            link.proof.unequal.0 = 0;
            let delay = REPAIR_DELAY_MS << link.proof.repairs.min(6);
            let delay = unless(Rule::RepairWithoutDelay, delay.min(REPAIR_DELAY_MS_MAX), 0);
            link.proof.repair_after = now.monotonic.after(delay);
            link.proof.repairs += 1;
            if link.reconciles {
                link.proof.repaired = Some((mine.summary, theirs.summary));
                tracing::info!(peer = %link.node_id, "states differ with nothing under way: reconciling");
                self.ask_to_reconcile(id, link);
                return;
            }
            (link.receiving.held, link.receiving.pending) = Default::default();
            (link.receiving.recorded, link.receiving.handed) = Default::default();
            tracing::info!(peer = %link.node_id, "states differ with nothing under way: asking for the whole feed");
            let ack = Ack {
                cursor: None,
                credit: link.receiving.granted,
                void: None,
                reconcile: false,
                ..Ack::default()
            };
            self.outputs.push_back(Output::Send(id, Feed::Ack(ack)));
        } else {
            // It is too soon after the last repair. The end is kept, so that it is compared again when the delay is
            // over.
            link.receiving.end = Some(theirs);
        }
    }
}

/// True if unequal summaries would prove different states, because nothing is under way or held back.
fn is_settled(link: &Link, mine: &End, theirs: &End) -> bool {
    let is_under_way = link.is_owed() || link.is_reconciling() || link.receiving.commits > 0;
    theirs.complete && mine.complete && !is_under_way
}

fn is_quiet(link: &Link, now: MonotonicMs) -> bool {
    link.sending.started
        && !link.scope.is_nothing()
        && !link.is_owed()
        && !link.is_reconciling()
        && link.sending.large.is_none()
        && !link.is_recording()
        && now >= link.active_at.after(PROVE_DELAY_MS)
        && now >= link.sending.paused_until
}

/// True if an end is worth telling: it moves the peer's cursor, or it is complete and proves something.
fn is_news(link: &Link, end: &End) -> bool {
    link.sending.end != Some(*end) && (end.complete || end.positions != link.sending.reported)
}
