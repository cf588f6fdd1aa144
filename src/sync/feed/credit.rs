//! Credit (flow control) while a large value arrives: the sender learns how much of it has come, so that it may send
//! more and does not take a slow line for a lost peer.

use super::receive::{OVERDRAWN, acknowledgement, due_grant, is_overdrawn};
use crate::core::clock::Now;
use crate::sync::message::Feed;
use crate::sync::options::GRANT_INTERVAL_MS;
use crate::sync::peer::link::LinkId;
use crate::sync::replica::{Output, PartingReason, Replica};

impl Replica {
    /// Charges chunks of a large value before it is whole. On a slow line that takes long, so the sender is granted
    /// credit at intervals of [`GRANT_INTERVAL_MS`].
    pub fn charged(&mut self, id: LinkId, cost: u64, now: Now) {
        if let Some(link) = self.links.get_mut(&id) {
            link.receiving.consumed += cost;
            link.has_progressed = true;
            let output = if is_overdrawn(link) {
                Some(Output::Close(id, PartingReason::Breach(OVERDRAWN)))
            } else {
                let is_time = link.receiving.granted_at.after(GRANT_INTERVAL_MS) <= now.monotonic;
                let ack = due_grant(link).or_else(|| is_time.then(|| acknowledgement(link)));
                if ack.is_some() {
                    link.receiving.granted_at = now.monotonic;
                }
                ack.map(|ack| Output::Send(id, Feed::Ack(ack)))
            };
            self.outputs.extend(output);
        }
    }
}
