//! The work that a message causes at its receiver, where no credit bounds it, in units of about a microsecond: a
//! message that is cheap to send and expensive to answer is charged to its sender.

use crate::sync::message::{Claim, Feed, Part};
use crate::transport::wire::message::Message;

/// Cost of any message: it is decoded, the machine is locked for it, and deadlines are computed anew.
const MESSAGE_WORK: u64 = 20;

/// Cost of an END: states are summed up and compared, and a cursor may be made durable.
const END_WORK: u64 = 200;

/// Cost of a RANGES that opens a reconciliation: the one under way is thrown away, and both states may be scanned.
const OPENING_WORK: u64 = 20_000;

/// Cost of a range with a sum: the range is summed up here, and may be split.
const SUM_WORK: u64 = 20;

/// Cost of a write named by a NACK: it is looked up by its key, and put on a list.
const REFUSED_WORK: u64 = 4;

/// Entries that are listed, asked for, or named by a hint, for one unit of work.
const NAMES_FOR_A_UNIT: usize = 4;

/// The work of a message. Entries and their parts cost credit, and no work; an acknowledgement costs only as a
/// message.
pub fn work_of(message: &Message) -> u64 {
    match message {
        Message::Hello(_) | Message::Goodbye(_) => 0,
        Message::Ping { .. } | Message::Pong { .. } => MESSAGE_WORK,
        Message::Feed(feed) => match feed {
            Feed::Batch(_) | Feed::Large(_) | Feed::Chunk(_) => 0,
            Feed::Ack(_) => MESSAGE_WORK,
            Feed::Nack(nack) => MESSAGE_WORK + REFUSED_WORK * nack.writes.len() as u64,
            Feed::End(_) => END_WORK,
            Feed::Have(have) => MESSAGE_WORK + names(have.ranges.len()),
            Feed::Ranges(ranges) => {
                let opening = if ranges.step <= 1 { OPENING_WORK } else { 0 };
                let parts = ranges.parts.iter().map(work_of_part).sum::<u64>();
                MESSAGE_WORK + opening + parts
            }
        },
    }
}

fn work_of_part(part: &Part) -> u64 {
    match &part.claim {
        Claim::Settled | Claim::All => 1,
        Claim::Sum(_) => SUM_WORK,
        Claim::List(list) => SUM_WORK + names(list.len()),
        Claim::These(keys) => 1 + names(keys.len()),
    }
}

fn names(count: usize) -> u64 {
    count.div_ceil(NAMES_FOR_A_UNIT) as u64
}
