//! Where the feed of this node begins on a connection: what a peer says that it holds is a claim. It may save bytes, and
//! it is no acknowledgement of what this node has never sent.

use crate::core::clock::Now;
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::commit::ledger::FeedPosition;
use crate::store::state::map::EntryMap;
use crate::sync::message::{Cursor, Positions};
use crate::sync::peer::link::{Link, LinkId};
use crate::sync::peer::scope_sums::state_of;
use crate::sync::replica::Replica;

/// How many places of the feed are sent once more where a peer claims more than it is on record to hold, before the two
/// reconcile instead. The record lags behind by a second of acknowledgements, which is about as much.
const RESENT_PLACES_MAX: u64 = 8_192;

impl Replica {
    /// The first acknowledgement of a connection tells where the peer is. It counts as far as the peer is on record to
    /// hold the feed, or was shown to hold the same state as this node; what it claims beyond is sent again, or compared
    /// where that is much.
    pub(in crate::sync) fn begin_feed(
        &mut self,
        id: LinkId,
        link: &mut Link,
        cursor: Option<Cursor>,
        now: Now,
        map: &EntryMap,
    ) {
        let claimed = cursor.filter(|cursor| self.has_reached(*cursor));
        let claimed = claimed.map(|cursor| cursor.positions);
        let claimed = unless(Rule::SenderRemembers, claimed, self.on_record(link));
        let credible = claimed.map(|claimed| self.credible(link, claimed));
        link.sending.reported = credible.unwrap_or_default();
        link.sending.acknowledged = link.sending.reported;
        link.sending.begun = link.sending.reported;
        link.sending.claimed = claimed.unwrap_or_default();
        link.sending.sent = if link.is_reconciling() {
            link.sending.reported
        } else {
            credible.unwrap_or_else(|| self.start_of_unknown(link, map))
        };
        if claimed.is_some() {
            self.kept_ahead.come_back(link);
        }
        link.sending.lineage_reported = link.sending.sent.relay;
        link.sending.progress_at = now.monotonic;
        self.record_acknowledged(link, now.monotonic);
        self.recount_rejected(link, map);
        if let (Some(claimed), Some(credible)) = (claimed, credible) {
            let places = (claimed.own - credible.own).max(claimed.relay - credible.relay);
            if places > RESENT_PLACES_MAX && link.reconciles && !link.scope.is_nothing() {
                self.ask_to_reconcile(id, link);
            }
        }
    }

    /// How much of what a peer claims to hold it was sent: by its record, or by its state, which is the same as here.
    fn credible(&self, link: &Link, claimed: Positions) -> Positions {
        if is_broken(Rule::CursorWithoutIncarnation) || is_broken(Rule::StretchWithoutEnd) {
            // What is on record would hide both.
            return claimed;
        }
        let on_record = self.on_record(link).unwrap_or_default();
        let shown = self.released_of(link.sending.shown_equal);
        claimed.nearest(on_record.furthest(shown))
    }

    /// As much of a place as may be sent at all: what waits for a tick is not given away because somebody claims it.
    fn released_of(&self, place: Positions) -> Positions {
        let is_waiting = !self.options.automatic;
        Positions {
            own: if is_waiting {
                place.own.min(self.released)
            } else {
                place.own
            },
            relay: place.relay,
        }
    }

    /// How far a peer is on record to hold this node's feed.
    fn on_record(&self, link: &Link) -> Option<Positions> {
        let FeedPosition { own, relay, .. } = self.peers.get(&link.origin)?.acknowledged;
        Some(Positions { own, relay })
    }

    /// Where to begin with a peer that has no good cursor: at the end if it holds the same, else at the start.
    fn start_of_unknown(&self, link: &Link, map: &EntryMap) -> Positions {
        let state = state_of(link, map);
        let is_same = state.is_some() && state == link.greeting_summary;
        let is_same = is_same && self.durable_lseq == self.last_lseq;
        let end = Positions {
            own: self.last_lseq,
            relay: self.last_lseq,
        };
        if is_broken(Rule::UnknownPeerAtEnd) {
            end
        } else if is_same {
            self.released_of(end)
        } else {
            Positions::default()
        }
    }
}
