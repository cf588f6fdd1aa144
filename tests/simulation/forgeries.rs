//! What no node makes, and every node refuses (PROTOCOL section 3): a write that is stamped further beyond the year 9999
//! than all writes of a key could have brought it, whoever took which in could not overwrite it any more; a key that is no
//! text, or that lies in a reserved namespace; a value that is not the text that it is said to be.

use super::stream::Packet;
use super::world::World;
use crate::core::stamp::{STAMP_MS_END, Stamp};
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::lineage::LineageRecord;
use crate::sync::message::{Batch, Feed, Lane};
use crate::sync::tests::dice::Dice;
use crate::transport::codec::encode;
use crate::transport::message::Message;

/// How far beyond the year 9999 forgeries are dated at least, in milliseconds: no time of a run allows for as much.
pub(super) const FORGED_AHEAD_MS: u64 = STAMP_MS_END / 100;

/// A write like `row` that no node makes.
fn forged(row: &Entry, dice: &mut Dice) -> Option<Entry> {
    let mut key = row.key().to_vec();
    let mut value = row.value().unwrap_or_default().to_vec();
    let (mut flags, mut stamp) = (row.flags, row.stamp);
    match dice.below(4) {
        0 => {
            let ahead_ms = FORGED_AHEAD_MS + dice.below(STAMP_MS_END / 11);
            stamp = Stamp((STAMP_MS_END + ahead_ms) << 16);
        }
        1 => key = [&[0, 0xff], &key[..]].concat(),
        2 => key = [&[2], &key[..]].concat(),
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
    Entry::new(
        payload,
        key.len(),
        flags,
        row.dot,
        stamp,
        row.version,
        extra,
    )
}

fn frame_of(entry: Entry) -> Vec<u8> {
    let batch = Batch {
        lane: Lane::Relay,
        from: 0,
        to: 0,
        entries: vec![entry],
    };
    let mut frame = Vec::new();
    encode(&Message::Feed(Feed::Batch(batch)), &mut frame).unwrap();
    frame
}

/// Whether a node may hold it.
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
        && entry.stamp.0 < (STAMP_MS_END + FORGED_AHEAD_MS) << 16
}

impl World<'_> {
    /// One node sends the other a write that no node makes.
    pub(super) fn forge(&mut self, from: usize, to: usize, seed: u64) {
        let mut dice = Dice::new(seed);
        let is_well = !self.nodes[from].is_hurt;
        let running = self.nodes[from].running.as_ref();
        let Some(running) = running.filter(|_| is_well) else {
            return;
        };
        // In its own name it would notice for another reason.
        let theirs = self.nodes[to].running.as_ref();
        let theirs = theirs.map(|running| running.machine.replica.origin());
        let rows: Vec<Entry> = super::checks::all_rows(&running.store.map)
            .map(|(_, _, entry)| entry)
            .filter(|entry| entry.value_length() < 1_000 && Some(entry.dot.origin) != theirs)
            .collect();
        if rows.is_empty() {
            return;
        }
        let row = rows[dice.index(rows.len())].clone();
        let Some(forged) = forged(&row, &mut dice) else {
            return;
        };
        let frame = frame_of(forged);
        for (line, side) in self.hearing(from, to) {
            let at = self.at;
            // Whoever is told so blames the other one.
            self.excuses.damaged = true;
            let end = &mut self.lines.get_mut(&line).unwrap().ends[side];
            end.push(at, Packet::Bytes(frame.clone()));
        }
    }
}
