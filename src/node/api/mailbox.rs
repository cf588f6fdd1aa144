//! Mailbox: a node's events until a busy program takes them, in bounded memory. Changes without room are merged into
//! later ones of their keys, other events without room are counted, and the program is told of both. Pure.

use std::collections::{HashMap, VecDeque};

use crate::core::error_kind::ErrorKind;
use crate::node::conflict::Conflict;
use crate::node::events::{Change, IdentityEvent};
use crate::node::failure::{ErrorCode, Failure};
use crate::node::machine::conversation::PeerEvent;

/// Most bytes of events that wait one by one: some seconds of a fast feed. Beyond that changes are merged.
pub const WAITING_BYTES_MAX: usize = 16 << 20;

/// Most bytes of merged changes besides: the newest value of each of some hundred thousand keys.
pub const MERGED_BYTES_MAX: usize = 16 << 20;

/// Approximate bytes of an event besides keys and values.
const EVENT_BYTES: usize = 128;

/// One event, for one call of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Keys changed, in this order.
    Changed(Vec<Change>),
    /// Writes lost against concurrent ones.
    Conflicted(Vec<Conflict>),
    /// A peer connected or disconnected.
    Peer(PeerEvent),
    /// The node noticed something about its identity.
    Identity(IdentityEvent),
    /// Something failed that no call can report.
    Failed(Failure),
}

#[derive(Debug)]
enum Slot {
    Event(Event),
    /// The place of the merged changes.
    Merged,
    /// The place of the notice of merged and dropped events.
    Counts,
}

/// Events in the order of their delivery.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// A smaller limit of waiting bytes, and of merged ones, where memory is scarce.
    bytes_max: Option<usize>,
    slots: VecDeque<Slot>,
    bytes: usize,
    /// The newest change of each key, in the order in which the keys came.
    merged: Vec<Change>,
    place: HashMap<Vec<u8>, usize>,
    merged_bytes: usize,
    /// True if a slot for the merged changes waits.
    is_merging: bool,
    /// True if a slot for the counts waits.
    is_counting: bool,
    merged_count: u64,
    left_out: u64,
}

/// Approximate memory of a change, in bytes. Its key counts twice, because merged changes are found by it.
fn change_bytes(change: &Change) -> usize {
    let label = change.node_id.as_ref().map_or(0, String::len);
    EVENT_BYTES + label + 2 * change.key.len() + change.value.as_ref().map_or(0, Vec::len)
}

fn failure_bytes(failure: &Failure) -> usize {
    let texts = [&failure.context, &failure.cause];
    let texts = texts.into_iter().flatten().map(String::len);
    failure.message.len() + texts.sum::<usize>()
}

fn event_bytes(event: &Event) -> usize {
    match event {
        Event::Changed(changes) => changes.iter().map(change_bytes).sum(),
        Event::Conflicted(conflicts) => {
            let versions = conflicts.iter().flat_map(|conflict| {
                let key = conflict.key.len();
                let values = conflict.versions.iter();
                values.map(move |version| {
                    let label = version.node_id.len();
                    key + label + EVENT_BYTES + version.value.as_ref().map_or(0, Vec::len)
                })
            });
            versions.sum()
        }
        Event::Peer(peer) => 2 * EVENT_BYTES + peer.node_id.len() + peer.host.len(),
        Event::Identity(_) => 2 * EVENT_BYTES,
        Event::Failed(failure) => 2 * EVENT_BYTES + failure_bytes(failure),
    }
}

impl Mailbox {
    /// Limits the bytes of events that wait one by one, and of merged changes, from now on.
    pub fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = Some(bytes_max);
    }

    fn waiting_bytes_max(&self) -> usize {
        WAITING_BYTES_MAX.min(self.bytes_max.unwrap_or(usize::MAX))
    }

    fn merged_bytes_max(&self) -> usize {
        MERGED_BYTES_MAX.min(self.bytes_max.unwrap_or(usize::MAX))
    }

    /// Adds an event. Returns the number of further calls of the program to make: each takes one event out with
    /// [`Self::take`].
    pub fn push(&mut self, event: Event) -> usize {
        let bytes = event_bytes(&event);
        // A first event always has room, however large.
        let fits = self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.waiting_bytes_max();
        // A change that follows merged ones would be delivered after a newer one of its key that is merged into those.
        let fits = fits && !(self.is_merging && matches!(event, Event::Changed(_)));
        if fits || matches!(event, Event::Identity(_)) {
            self.bytes = self.bytes.saturating_add(bytes);
            self.slots.push_back(Slot::Event(event));
            return 1;
        }
        let mut calls = 0;
        match event {
            Event::Changed(changes) => {
                for change in changes {
                    calls += self.merge(change);
                }
            }
            Event::Conflicted(conflicts) => self.left_out += conflicts.len() as u64,
            Event::Peer(_) | Event::Identity(_) | Event::Failed(_) => self.left_out += 1,
        }
        let has_counted = self.merged_count > 0 || self.left_out > 0;
        if has_counted && !std::mem::replace(&mut self.is_counting, true) {
            self.slots.push_back(Slot::Counts);
            calls += 1;
        }
        calls
    }

    fn merge(&mut self, change: Change) -> usize {
        let bytes = change_bytes(&change);
        let merged_bytes_max = self.merged_bytes_max();
        let earlier = self.place.get(&change.key);
        if let Some(earlier) = earlier.and_then(|place| self.merged.get_mut(*place)) {
            let rest = self.merged_bytes.saturating_sub(change_bytes(earlier));
            if rest + bytes > merged_bytes_max {
                // The waiting change of the key stays old, so its value has to be read anew, like those of all dropped
                // events.
                self.left_out += 1;
                return 0;
            }
            self.merged_bytes = rest + bytes;
            *earlier = change;
            self.merged_count += 1;
            return 0;
        }
        if self.merged_bytes + bytes > merged_bytes_max {
            self.left_out += 1;
            return 0;
        }
        self.merged_bytes += bytes;
        self.place.insert(change.key.clone(), self.merged.len());
        self.merged.push(change);
        if std::mem::replace(&mut self.is_merging, true) {
            return 0;
        }
        self.slots.push_back(Slot::Merged);
        1
    }

    /// Takes the next event.
    pub fn take(&mut self) -> Option<Event> {
        Some(match self.slots.pop_front()? {
            Slot::Event(event) => {
                self.bytes = self.bytes.saturating_sub(event_bytes(&event));
                event
            }
            Slot::Merged => {
                self.place.clear();
                (self.merged_bytes, self.is_merging) = (0, false);
                Event::Changed(std::mem::take(&mut self.merged))
            }
            Slot::Counts => {
                self.is_counting = false;
                let merged = std::mem::take(&mut self.merged_count);
                let left_out = std::mem::take(&mut self.left_out);
                Event::Failed(Failure::new(
                    ErrorCode::InvalidState,
                    ErrorKind::EventsMerged,
                    format!(
                        "the program was busy for too long: {merged} changes were told only as later ones of their keys, \
                         and {left_out} events were not told; what the store holds now can be read"
                    ),
                ))
            }
        })
    }
}
