//! What no node makes, and every node refuses: a write that is stamped beyond the year 9999 (PROTOCOL section 3). Whoever
//! took it in could not be overwritten any more.

use super::stream::Packet;
use super::world::World;
use crate::core::bytes::ByteWriter;
use crate::core::clock::WallMs;
use crate::core::stamp::{STAMP_MS_END, Stamp};
use crate::store::entry::Entry;
use crate::sync::message::{Batch, Feed, Lane};
use crate::sync::tests::dice::Dice;
use crate::transport::codec::encode;
use crate::transport::message::Message;

/// What the varint of a difference to 0 is.
fn bytes_of(wall_ms: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_varint(wall_ms << 1);
    bytes
}

/// The frame of a message with a write, dated beyond what can be encoded.
fn dated(mut entry: Entry, wall_ms: u64) -> Option<Vec<u8>> {
    // The latest that can be: it takes as many bytes.
    entry.stamp = Stamp::at(WallMs(STAMP_MS_END));
    let before = bytes_of(entry.stamp.wall().0);
    let behind = bytes_of(wall_ms);
    let batch = Batch {
        lane: Lane::Relay,
        from: 0,
        to: 0,
        entries: vec![entry],
    };
    let mut frame = Vec::new();
    encode(&Message::Feed(Feed::Batch(batch)), &mut frame).unwrap();
    let mut windows = frame.windows(before.len());
    let place = windows.position(|window| window == before)?;
    frame
        .get_mut(place..place + behind.len())?
        .copy_from_slice(&behind);
    Some(frame)
}

impl World<'_> {
    /// One node sends the other a write that it holds, dated so late that no clock means it.
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
        let wall_ms = STAMP_MS_END + dice.below(STAMP_MS_END / 10);
        let Some(frame) = dated(row, wall_ms) else {
            return;
        };
        for (line, side) in self.hearing(from, to) {
            let at = self.at;
            // Whoever is told so blames the other one.
            self.excuses.damaged = true;
            let end = &mut self.lines.get_mut(&line).unwrap().ends[side];
            end.push(at, Packet::Bytes(frame.clone()));
        }
    }
}
