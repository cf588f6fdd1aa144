//! A connection between two hosts: messages arrive in order, late, or not at all once it is cut.

use std::collections::VecDeque;

use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::{Entry, Extra};
use crate::store::scope::Scope;
use crate::sync::message::{Batch, Begun, BegunValues, Chunk, Feed, Greeting, Large, ValueId};
use crate::sync::peer::link::LinkId;

#[derive(Debug, Clone)]
pub(super) enum Packet {
    Greeting(Box<Greeting>),
    Feed(Feed),
}

/// One end of a connection: its host, and the packets on their way to it.
pub(super) struct End {
    pub(super) host: usize,
    pub(super) link: LinkId,
    /// The scope that the host asks for.
    pub(super) wanted: Scope,
    pub(super) arriving: VecDeque<(u64, Packet)>,
    /// Nothing arrives before this moment.
    pub(super) stalled_until: u64,
    pub(super) greeted: bool,
    pub(super) large: Option<(Large, Vec<u8>)>,
    /// Received part of a large value whose transfer was interrupted.
    pub(super) begun: Option<(ValueId, Vec<u8>)>,
    /// True if large values are dropped for lack of room.
    pub(super) skips_large: bool,
}

impl End {
    pub(super) fn new(host: usize, link: LinkId, wanted: Scope) -> Self {
        Self {
            host,
            link,
            wanted,
            arriving: VecDeque::new(),
            stalled_until: 0,
            greeted: false,
            large: None,
            begun: None,
            skips_large: false,
        }
    }

    pub(super) fn push(&mut self, at: u64, packet: Packet) {
        let last = self.arriving.back().map_or(0, |(at, _)| *at);
        self.arriving
            .push_back((at.max(last).max(self.stalled_until), packet));
    }

    /// Keeps the received part of a large value for another announcement of it.
    pub(super) fn leave_large(&mut self) {
        if let Some((large, value)) = self.large.take()
            && let Some(id) = large.value_id()
            && !value.is_empty()
            && !self.skips_large
        {
            self.begun = Some((id, value));
        }
    }

    /// Parts of large values that the host keeps.
    pub(super) fn begun_values(&self) -> BegunValues {
        let begun = self.begun.iter().map(|(id, value)| Begun {
            id: *id,
            bytes: value.len() as u64,
        });
        begun.collect()
    }

    pub(super) fn due(&self) -> Option<u64> {
        let at = self.arriving.front().map(|(at, _)| *at)?;
        Some(at.max(self.stalled_until))
    }

    /// Assembles large values, as a transport does, and checks the order of chunks.
    pub(super) fn assemble(&mut self, feed: Feed) -> Option<(Feed, bool)> {
        match feed {
            Feed::Large(large) => {
                assert!(
                    self.large.is_none(),
                    "a large value was announced before the last one was complete"
                );
                assert!(large.value_length > CHUNK_BYTES_MAX as u64);
                let offset = large.resumption.map_or(0, |begun| begun.offset);
                let begun = self.begun.take_if(|(id, _)| Some(*id) == large.value_id());
                let mut value = begun.map_or_else(Vec::new, |(_, value)| value);
                value.truncate(usize::try_from(offset).unwrap());
                assert_eq!(
                    value.len() as u64,
                    offset,
                    "it goes on behind what is not there"
                );
                self.large = Some((large, value));
                None
            }
            Feed::Chunk(Chunk { bytes }) => {
                let (large, mut value) = self
                    .large
                    .take()
                    .expect("a chunk came without an announcement");
                if bytes.is_empty() {
                    self.large = Some((large, value));
                    self.leave_large();
                    return None;
                }
                assert!(bytes.len() <= CHUNK_BYTES_MAX);
                value.extend_from_slice(&bytes);
                let length = value.len() as u64;
                assert!(
                    length <= large.value_length,
                    "a large value is longer than announced"
                );
                if length < large.value_length {
                    self.large = Some((large, value));
                    return None;
                }
                (!self.skips_large).then(|| (Feed::Batch(whole(&large, &value)), true))
            }
            other => Some((other, false)),
        }
    }
}

fn whole(large: &Large, value: &[u8]) -> Batch {
    let bare = &large.entry;
    let payload = [bare.key(), value].concat();
    let extra = Extra {
        vector: bare.vector().to_vec(),
        extension: bare.extension().to_vec(),
    };
    let entry = Entry::new(
        payload.into(),
        bare.key().len(),
        bare.flags,
        bare.dot,
        bare.stamp,
        bare.version,
        extra,
    );
    Batch {
        stream: large.stream,
        from: large.from,
        to: large.to,
        entries: vec![entry.unwrap()],
    }
}

/// A connection.
pub(super) struct Wire {
    pub(super) ends: [End; 2],
    pub(super) delay: u64,
}

impl Wire {
    pub(super) fn touches(&self, host: usize) -> bool {
        self.ends.iter().any(|end| end.host == host)
    }
}

/// Short text of a message, for traces.
pub(super) fn shown(feed: &Feed) -> String {
    match feed {
        Feed::Batch(batch) => {
            let keys: Vec<String> = batch
                .entries
                .iter()
                .map(|entry| {
                    format!(
                        "{}@{}",
                        String::from_utf8_lossy(&entry.key()[1..]),
                        entry.dot.sequence
                    )
                })
                .collect();
            format!(
                "batch {:?} ({}, {}] {keys:?}",
                batch.stream, batch.from, batch.to
            )
        }
        Feed::Large(large) => format!("large {:?} ({}, {}]", large.stream, large.from, large.to),
        Feed::Chunk(chunk) => format!("chunk of {}", chunk.bytes.len()),
        other => format!("{other:?}"),
    }
}
