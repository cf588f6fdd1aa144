//! What feed messages cost, so that a receiver can bound what a sender has under way.

use crate::sync::message::Feed;

/// What every entry costs in credit besides its bytes: about what holding it costs the receiver.
pub const ENTRY_CREDIT_BYTES: u64 = 32;

/// What a feed message takes from the credit that the receiver gave: the length of its body on the wire and a
/// fixed sum for each entry. Only BATCH, LARGE (one entry) and CHUNK (none) are counted; sender and receiver
/// compute the same. A length of 0 means a value that was put together from chunks, which were counted when
/// they came: it costs nothing more.
pub fn feed_cost(body_len: usize, entries: usize) -> u64 {
    if body_len == 0 {
        return 0;
    }
    (body_len as u64).saturating_add(ENTRY_CREDIT_BYTES.saturating_mul(entries as u64))
}

/// [`feed_cost`] of a message; 0 for those that need no credit.
pub fn feed_cost_of(feed: &Feed, body_len: usize) -> u64 {
    match feed {
        Feed::Batch(batch) => feed_cost(body_len, batch.entries.len()),
        Feed::Large(_) => feed_cost(body_len, 1),
        Feed::Chunk(_) => feed_cost(body_len, 0),
        Feed::End(_) | Feed::Ack(_) | Feed::Nack(_) | Feed::Have(_) => 0,
    }
}
