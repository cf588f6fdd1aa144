//! Forged messages, which no node makes. Every node refuses some of them (`docs/internals/replication.md`, section 3):
//! a write that is stamped further beyond the year 9999 than all writes of a key could have brought it, which a node
//! that took it in could not overwrite any more; a key that is no text, or that lies in a reserved namespace; a value
//! flagged as text that is none; a version that no key reaches; an acknowledgement or a refusal of entries that were
//! never sent. Others cannot be told from a write, and do as little harm as one: another content under a number that
//! was given, and a number far beyond those that its author gave.

use super::stream::Packet;
use super::world::World;
use crate::core::identity::{Dot, Origin};
use crate::core::limits::VERSION_MAX;
use crate::core::stamp::{STAMP_MS_END, Stamp};
use crate::node::machine::conversation::ConversationId;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::lineage::LineageRecord;
use crate::store::state::totals::is_user;
use crate::sync::message::{Ack, Batch, Cursor, Feed, Nack, Positions, RefusalCode, Stream};
use crate::sync::tests::dice::Dice;
use crate::transport::wire::codec::encode;
use crate::transport::wire::message::Message;

/// Least time by which forgeries are dated beyond the year 9999, in milliseconds: no run is long enough to allow it.
pub(super) const FORGED_AHEAD_MS: u64 = STAMP_MS_END / 100;

/// Forged sequence numbers are greater than this, and no run comes that far.
pub(super) const FORGED_SEQUENCE: u64 = 1 << 40;

/// A forged write based on `row`, for a node that writes under `author` now. With it, true if no node can tell that it
/// is forged.
fn forged(row: &Entry, author: Origin, dice: &mut Dice) -> Option<(Entry, bool)> {
    let mut key = row.key().to_vec();
    let mut value = row.value().unwrap_or_default().to_vec();
    let (mut flags, mut stamp, mut version, mut dot) = (row.flags, row.stamp, row.version, row.dot);
    let is_credible = is_user(row) && !row.is_tombstone();
    let mut kind = dice.below(7);
    kind = if kind < 2 && !is_credible { 6 } else { kind };
    match kind {
        0 => value = format!("forged {}", dice.below(9)).into_bytes(),
        1 => {
            dot = Dot {
                origin: author,
                sequence: FORGED_SEQUENCE + dice.below(9),
            };
        }
        2 => version = VERSION_MAX + 1 + dice.below(9),
        3 => {
            let ahead_ms = FORGED_AHEAD_MS + dice.below(STAMP_MS_END / 11);
            stamp = Stamp((STAMP_MS_END + ahead_ms) << 16);
        }
        4 => key = [&[0, 0xff], &key[..]].concat(),
        5 => key = [&[2], &key[..]].concat(),
        _ => {
            (flags, value) = (EntryFlags::ASCII, vec![0xc3, 0xa9]);
            key = [&[0], "forged".as_bytes()].concat();
        }
    }
    let payload = [&key[..], &value].concat().into_boxed_slice();
    let extra = Extra {
        vector: row.vector().to_vec(),
        extension: Vec::new(),
    };
    let forged = Entry::new(payload, key.len(), flags, dot, stamp, version, extra)?;
    Some((forged, kind < 2))
}

fn frame_of(entry: Entry) -> Vec<u8> {
    let batch = Batch {
        stream: Stream::Relay,
        from: 0,
        to: 0,
        entries: vec![entry],
    };
    let mut frame = Vec::new();
    encode(&Message::Feed(Feed::Batch(batch)), &mut frame).unwrap();
    frame
}

/// True if a node may hold the entry.
pub(super) fn is_sound(entry: &Entry) -> bool {
    let is_text = |key: &[u8]| std::str::from_utf8(key).is_ok();
    let is_ascii = entry.flags.contains(EntryFlags::ASCII);
    let value = entry.value().unwrap_or_default();
    let is_named = match entry.key().split_first() {
        Some((0, key)) => is_text(key),
        Some((1, rest)) => rest.len() > 24 && is_text(&rest[..rest.len() - 24]),
        Some((2, _)) => LineageRecord::of(entry).is_some(),
        _ => false,
    };
    is_named
        && (!is_ascii || value.is_ascii())
        && entry.version <= VERSION_MAX
        && entry.stamp.0 < (STAMP_MS_END + FORGED_AHEAD_MS) << 16
}

impl World<'_> {
    /// One node sends the other a forged write.
    pub(super) fn forge(&mut self, from: usize, to: usize, seed: u64) {
        let mut dice = Dice::new(seed);
        if dice.one_in(4) {
            return self.forge_claim(from, to, &mut dice);
        }
        let is_well = !self.nodes[from].is_hurt;
        let running = self.nodes[from].running.as_ref();
        let Some(running) = running.filter(|_| is_well) else {
            return;
        };
        // A write in the receiver's own name would be noticed for another reason.
        let theirs = self.nodes[to].running.as_ref();
        let author = theirs.map(|running| running.store.committer.ledger().authorship.current);
        let theirs = theirs.map(|running| running.machine.replica.origin());
        let rows: Vec<Entry> = super::checks::all_rows(&running.store.map)
            .map(|(_, _, entry)| entry)
            .filter(|entry| entry.value_length() < 1_000 && Some(entry.dot.origin) != theirs)
            .collect();
        if rows.is_empty() {
            return;
        }
        let row = rows[dice.index(rows.len())].clone();
        let author = author.unwrap_or_default();
        let Some((forged, is_credible)) = forged(&row, author, &mut dice) else {
            return;
        };
        if is_credible {
            // From now on the entry counts as written.
            self.knowledge.distrust(&forged);
            self.see_forged_name(forged.dot);
            // The entry is not sent back to the peer that it came from, which does not hold it; and a hint for its
            // number names both contents. Only the comparison of states shows that, as it does a wrong hint.
            self.excuses.lied = true;
            self.written
                .entry(forged.dot)
                .or_default()
                .push(forged.clone());
        }
        self.trace.say(|| format!("{from} forges {forged:?}"));
        self.utter(from, to, &frame_of(forged));
    }

    /// Allows an identity conflict for nodes that see a write in their name that they never made.
    fn see_forged_name(&mut self, dot: Dot) {
        for node in &self.nodes {
            let is_another = node.running.as_ref().is_some_and(|running| {
                let author = running.store.committer.ledger().authorship.current;
                !running.store.map.lineage().is_own(author, dot) && author != dot.origin
            });
            if !is_another {
                self.repeated.insert(node.identity);
            }
        }
    }

    /// One node claims to the other that it holds, or refuses, entries that it cannot have been sent.
    fn forge_claim(&mut self, from: usize, to: usize, dice: &mut Dice) {
        let Some(running) = &self.nodes[to].running else {
            return;
        };
        let replica = &running.machine.replica;
        let last = running.store.committer.ledger().last_lseq;
        let sent = replica.watermarks().sent;
        let unsent = running.store.map.own_after(sent).map(Result::unwrap);
        let unsent: Vec<u64> = unsent.map(|held| held.lseq).collect();
        let claim = if dice.one_in(2) || unsent.is_empty() {
            let beyond = last + 1 + dice.below(9);
            Feed::Ack(Ack {
                cursor: Some(Cursor {
                    incarnation: replica.incarnation(),
                    positions: Positions {
                        own: beyond,
                        relay: beyond,
                    },
                }),
                credit: 0,
                void: None,
                reconcile: false,
                ..Ack::default()
            })
        } else {
            Feed::Nack(Nack {
                stream: Stream::Own,
                lseq: unsent[dice.index(unsent.len())],
                code: RefusalCode::Malformed,
                retryable: false,
                writes: Vec::new(),
            })
        };
        let mut frame = Vec::new();
        encode(&Message::Feed(claim.clone()), &mut frame).unwrap();
        self.trace.say(|| format!("{from} claims {claim:?}"));
        self.utter(from, to, &frame);
    }

    /// Delivers a frame to the second node on its connections with the first.
    fn utter(&mut self, from: usize, to: usize, frame: &[u8]) {
        self.forged_on.insert((from, to));
        for (line, side) in self.hearing(from, to) {
            let at = self.at;
            // The receiver may blame its peer for the frame.
            self.excuses.damaged = true;
            let end = &mut self.lines.get_mut(&line).unwrap().ends[side];
            end.push(at, Packet::Bytes(frame.to_vec()));
        }
    }

    /// The row that a peer is about to refuse, if no peer was sent it.
    pub(super) fn refused_unsent(
        &self,
        node: usize,
        id: ConversationId,
        message: &Message,
    ) -> Option<(Origin, u64)> {
        let Message::Feed(Feed::Nack(nack)) = message else {
            return None;
        };
        let replica = &self.nodes[node].running.as_ref()?.machine.replica;
        let links = replica.acknowledged_links();
        let (_, peer, _) = links.into_iter().find(|(other, ..)| *other == id)?;
        let is_unsent = nack.stream == Stream::Own && nack.lseq > replica.watermarks().sent;
        let is_known = self.excuses.limited || replica.is_rejected(peer, nack.lseq);
        (is_unsent && !nack.retryable && !is_known).then_some((peer, nack.lseq))
    }

    /// Checks that a refusal of an entry that was not sent has no effect.
    pub(super) fn check_refused_unsent(&self, node: usize, (peer, lseq): (Origin, u64)) {
        let running = self.nodes[node].running.as_ref();
        assert!(
            running.is_none_or(|running| !running.machine.replica.is_rejected(peer, lseq)),
            "6: {node} believes that {peer} refuses its write at {lseq}, which nobody was sent"
        );
    }
}
