//! Sends large values in chunks: an announcement, then as many bytes as credit allows. A value that lies in the
//! checkpoint is read once, and kept until it is sent.

use std::borrow::Cow;
use std::sync::Arc;

use crate::core::limits::CHUNK_BYTES_MAX;
use crate::store::entry::{Entry, EntryFlags, Extra};
use crate::store::error::StoreError;
use crate::store::state::map::EntryMap;
use crate::sync::message::{Chunk, Feed, Large, Resumption, Stream, ValueId};
use crate::sync::peer::link::{Course, LargeSend, Link, LinkId};
use crate::sync::replica::Replica;

/// An entry whose value goes in chunks, in memory or read from the checkpoint.
enum LargeEntry<'m> {
    Held(&'m Entry),
    Read(Arc<Entry>),
}

impl LargeEntry<'_> {
    fn as_entry(&self) -> &Entry {
        match self {
            Self::Held(entry) => entry,
            Self::Read(entry) => entry,
        }
    }

    /// The entry if it was read from the checkpoint, to be kept until it is sent, since reading it again is costly;
    /// `None` if the map holds it.
    fn into_shared(self) -> Option<Arc<Entry>> {
        match self {
            Self::Held(_) => None,
            Self::Read(entry) => Some(entry),
        }
    }
}

impl Replica {
    /// Announces an entry whose value goes in chunks.
    pub(in crate::sync) fn begin_large(
        &mut self,
        id: LinkId,
        link: &mut Link,
        (stream, lseq): (Stream, u64),
        course: Course,
        map: &EntryMap,
    ) {
        let read = match self.read_large(lseq, map) {
            Ok(Some(read)) => read,
            Ok(None) => return,
            Err(error) => return self.unreadable(id, &error),
        };
        let entry = read.as_entry();
        let extra = Extra {
            vector: entry.vector().to_vec(),
            extension: entry.extension().to_vec(),
        };
        // An announcement has no value, but it is no removal.
        let flags = EntryFlags(entry.flags.0 & !EntryFlags::TOMBSTONE.0);
        let (key, version) = (entry.key(), entry.version);
        let Some(bare) = Entry::new(
            key.into(),
            key.len(),
            flags,
            entry.dot,
            entry.stamp,
            version,
            extra,
        ) else {
            return;
        };
        let (from, to) = match course {
            Course::InOrder => (link.sending.reported.get(stream), lseq),
            Course::Again => (lseq, lseq),
            Course::Reconciled => (0, 0),
        };
        let value_length = entry.value_length() as u64;
        let content = entry.content_hash().filter(|_| link.resumes);
        let part = content.map(|content| ValueId {
            dot: entry.dot,
            content,
            length: value_length,
        });
        let has_part = part.map_or(0, |id| link.take_part(id));
        // At least one byte is sent: an offset at the value's end begins anew at 0.
        let offset = usize::try_from(has_part).unwrap_or(0);
        let offset = if has_part < value_length { offset } else { 0 };
        let resumption = content.map(|content| Resumption {
            content,
            offset: offset as u64,
        });
        if course == Course::InOrder {
            *link.sending.looked_ahead.get_mut(stream) = lseq;
        }
        self.push_feed(
            id,
            link,
            Feed::Large(Large {
                stream,
                from,
                to,
                entry: bare,
                value_length,
                resumption,
            }),
        );
        link.sending.large = Some(LargeSend {
            stream,
            lseq,
            offset,
            course,
            part,
            read: read.into_shared(),
        });
        self.send_large(id, link, map);
    }

    /// Sends the next chunk of a large value, if there is credit.
    pub(in crate::sync) fn send_large(&mut self, id: LinkId, link: &mut Link, map: &EntryMap) {
        if link.sending.spent < link.sending.credit
            && let Some(mut large) = link.sending.large.take()
        {
            let read = match (map.is_at(large.lseq), large.read.take()) {
                (Ok(false), _) => Ok(None),
                (Ok(true), Some(read)) => Ok(Some(LargeEntry::Read(read))),
                (Ok(true), None) => self.read_large(large.lseq, map),
                (Err(error), _) => Err(error),
            };
            let read = match read {
                Ok(read) => read,
                Err(error) => {
                    link.sending.large = Some(large);
                    return self.unreadable(id, &error);
                }
            };
            let value = read.as_ref().and_then(|read| read.as_entry().value());
            let Some(rest) = value
                .and_then(|value| value.get(large.offset..))
                .filter(|rest| !rest.is_empty())
            else {
                // The entry was replaced meanwhile: an empty chunk gives it up. Its successor has its own place in the
                // feed.
                self.push_feed(id, link, Feed::Chunk(Chunk { bytes: Vec::new() }));
                return;
            };
            let bytes = rest.get(..CHUNK_BYTES_MAX).unwrap_or(rest).to_vec();
            let is_last = bytes.len() == rest.len();
            if is_last && large.course == Course::InOrder {
                for place in [&mut link.sending.sent, &mut link.sending.reported] {
                    let place = place.get_mut(large.stream);
                    *place = large.lseq.max(*place);
                }
            }
            link.sending.large = (!is_last).then(|| LargeSend {
                offset: large.offset + bytes.len(),
                read: read.and_then(LargeEntry::into_shared),
                ..large
            });
            self.sent_entries += u64::from(is_last);
            self.push_feed(id, link, Feed::Chunk(Chunk { bytes }));
            let has_credit = link.sending.spent < link.sending.credit;
            link.sending.has_more |= !is_last && has_credit;
        }
    }

    /// The entry at a local sequence number, read from the checkpoint at most once for all links that send it; `None`
    /// if it was replaced.
    fn read_large<'m>(
        &self,
        lseq: u64,
        map: &'m EntryMap,
    ) -> Result<Option<LargeEntry<'m>>, StoreError> {
        let mut others = self
            .links
            .values()
            .filter_map(|link| link.sending.large.as_ref());
        let same = others.find_map(|large| large.read.clone().filter(|_| large.lseq == lseq));
        if let Some(read) = same
            && map.is_at(lseq)?
        {
            return Ok(Some(LargeEntry::Read(read)));
        }
        Ok(map.at(lseq)?.map(|held| match held {
            Cow::Borrowed(held) => LargeEntry::Held(&held.entry),
            Cow::Owned(held) => LargeEntry::Read(Arc::new(held.entry)),
        }))
    }
}
