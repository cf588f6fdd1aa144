//! The place where this node's feed begins on a connection. A peer's cursor is a claim: it may save bytes, and it
//! never acknowledges rows that this node has not sent.

use crate::core::clock::Now;
use crate::core::rules::{Rule, is_broken, unless};
use crate::store::commit::ledger::FeedPosition;
use crate::store::state::map::EntryMap;
use crate::sync::message::{Cursor, Positions};
use crate::sync::peer::link::{Link, LinkId};
use crate::sync::peer::scope_sums::state_of;
use crate::sync::replica::Replica;

/// Most places of the feed that are sent again where a peer claims more than is on record for it; beyond that the two
/// reconcile instead. The record lags about a second of acknowledgements behind, which is about as much.
const RESENT_PLACES_MAX: u64 = 8_192;

impl Replica {
    /// Begins the feed at the position in the first acknowledgement of a connection. The position counts as far as the
    /// record goes, or as far as the peer's state was shown to equal this node's; what it claims beyond is sent again,
    /// or compared by a reconciliation if it is more than [`RESENT_PLACES_MAX`].
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

    /// The credible part of a claimed position: as far as the peer's record goes, or to where its state was shown
    /// equal.
    fn credible(&self, link: &Link, claimed: Positions) -> Positions {
        if is_broken(Rule::CursorWithoutIncarnation) || is_broken(Rule::StretchWithoutEnd) {
            // The record would hide the fault that these broken rules seed.
            return claimed;
        }
        let on_record = self.on_record(link).unwrap_or_default();
        let shown = self.released_of(link.sending.shown_equal);
        claimed.nearest(on_record.furthest(shown))
    }

    /// The part of a position that may be sent: a claim releases no own write that waits for a tick.
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

    /// Position up to which the record says that the peer holds this node's feed.
    fn on_record(&self, link: &Link) -> Option<Positions> {
        let FeedPosition { own, relay, .. } = self.peers.get(&link.origin)?.acknowledged;
        Some(Positions { own, relay })
    }

    /// Start of the feed for a peer without a good cursor: its end if the states are equal, else its beginning.
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
