//! What a node tells, until a busy program takes it: in bounded memory. Changes that have no place are merged into later
//! ones of their keys, what cannot be merged is counted, and the program is told of both. Pure.

use std::collections::{HashMap, VecDeque};

use crate::core::error_kind::ErrorKind;
use crate::node::conflict::Conflict;
use crate::node::events::{Change, IdentityEvent};
use crate::node::failure::{ErrorCode, Failure};
use crate::node::machine::conversation::PeerEvent;

/// Bytes of events that wait one by one at most: some seconds of a fast feed. From then on changes are merged.
pub const WAITING_BYTES_MAX: usize = 16 << 20;

/// Bytes of merged changes besides, at most: the newest value of each of some hundred thousand keys.
pub const MERGED_BYTES_MAX: usize = 16 << 20;

/// About what an event takes besides keys and values, in bytes.
const EVENT_BYTES: usize = 128;

/// One call of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Keys changed, in this order.
    Changed(Vec<Change>),
    /// Writes lost against ones that did not know of them.
    Conflicted(Vec<Conflict>),
    /// A peer came or went.
    Peer(PeerEvent),
    /// The node noticed something about itself.
    Identity(IdentityEvent),
    /// Something failed that no call is there to be told of.
    Failed(Failure),
}

#[derive(Debug)]
enum Slot {
    Event(Event),
    /// The merged changes.
    Merged,
    /// How much was merged and left out.
    Counts,
}

/// Events in the order in which they are told.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Where memory is scarce: fewer bytes that wait, and as many of merged changes.
    bytes_max: Option<usize>,
    slots: VecDeque<Slot>,
    bytes: usize,
    /// The newest change of each key, in the order in which keys came.
    merged: Vec<Change>,
    place: HashMap<Vec<u8>, usize>,
    merged_bytes: usize,
    /// Whether a slot for them waits.
    is_merging: bool,
    /// Whether a slot for the counts waits.
    is_counting: bool,
    merged_count: u64,
    left_out: u64,
}

/// About the memory that a change takes, in bytes. Its key counts twice: what is merged is found by it.
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
    /// Lets no more than so many bytes wait one by one, and as many merged, from now on.
    pub fn limit(&mut self, bytes_max: usize) {
        self.bytes_max = Some(bytes_max);
    }

    fn waiting_bytes_max(&self) -> usize {
        WAITING_BYTES_MAX.min(self.bytes_max.unwrap_or(usize::MAX))
    }

    fn merged_bytes_max(&self) -> usize {
        MERGED_BYTES_MAX.min(self.bytes_max.unwrap_or(usize::MAX))
    }

    /// Adds an event. Gives how many more calls of the program there are to make: each takes one event out with
    /// [`Self::take`].
    pub fn push(&mut self, event: Event) -> usize {
        let bytes = event_bytes(&event);
        // The first one always has a place, however large.
        let fits = self.bytes == 0 || self.bytes.saturating_add(bytes) <= self.waiting_bytes_max();
        // A change behind merged ones would be told after a newer one of its key that is merged into those.
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
                // What waits of the key is old, and has to be looked up anew, like all that was left out.
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

    /// The next event.
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
