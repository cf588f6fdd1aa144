//! Admission of entries from peers: every node checks each entry before it takes it in. An entry that breaks a rule is
//! refused by itself, named to the peer and counted, and the feed goes on after it: an honest peer may relay what
//! another node made up.

use crate::core::bytes::{is_ascii, is_utf8};
use crate::core::clock::WallMs;
use crate::core::limits::VERSION_MAX;
use crate::core::rules::{Rule, is_broken};
use crate::store::conflict::policy::user_key_in;
use crate::store::entry::{Entry, EntryFlags, Namespace};
use crate::store::state::authors::RefusedEntry;
use crate::store::system_keys::is_owned_system_key;
use crate::sync::message::{
    Batch, Feed, Nack, PLACE_UNKNOWN, REFUSED_WRITES_MAX, RefusalCode, RefusedWrite, Stream,
};
use crate::sync::peer::link::{Link, LinkId};
use crate::sync::replica::{Output, Replica};

/// Highest sequence that is well formed: no node writes that often, and counting on from it cannot overflow.
const SEQUENCE_MAX: u64 = 1 << 62;

/// The first false statement that an entry makes about itself, independent of author and time; `None` if there is
/// none. No node of this version stores or sends such an entry, so the connection with its sender ends.
pub(in crate::sync) fn lie_of(entry: &Entry) -> Option<&'static str> {
    let key = entry.key();
    let is_text = entry.flags.contains(EntryFlags::ASCII);
    let is_told_as_it_is = !is_text || entry.value().is_none_or(is_ascii);
    if !is_told_as_it_is && !is_broken(Rule::TextUnchecked) {
        return Some("a value that is not the text that it is said to be");
    }
    let is_allowed = match Namespace::of(key) {
        Some(Namespace::User | Namespace::Conflict) => true,
        Some(Namespace::System) => is_owned_system_key(entry) || is_broken(Rule::SystemKeysTaken),
        Some(Namespace::Local) | None => false,
    };
    (!is_allowed).then_some("a key in a namespace that is not the peer's to write")
}

/// Reason for people to refuse an entry that is not a lie; `None` if it may be taken in.
pub(in crate::sync) fn fault_of(entry: &Entry, now: WallMs) -> Option<&'static str> {
    let is_numbered = |sequence: u64| (1..=SEQUENCE_MAX).contains(&sequence);
    if !is_numbered(entry.dot.sequence) {
        Some("a sequence that no node reaches")
    } else if !entry.vector().iter().all(|seen| is_numbered(seen.sequence)) {
        Some("a vector with a sequence that no node reaches")
    } else if !(1..=VERSION_MAX).contains(&entry.version) && !is_broken(Rule::VersionUnbounded) {
        Some("a version that no key reaches")
    } else if !entry.stamp.is_credible(now) {
        Some("a stamp that nobody can have given yet")
    } else if !has_text_for_key(entry) && !is_broken(Rule::KeysUnchecked) {
        Some("a key that is no text")
    } else {
        None
    }
}

fn has_text_for_key(entry: &Entry) -> bool {
    let key = entry.key();
    let user_key = match Namespace::of(key) {
        Some(Namespace::User) => key.get(1..),
        Some(Namespace::Conflict) => user_key_in(key),
        _ => return true,
    };
    user_key.is_some_and(is_utf8)
}

impl Replica {
    /// Refuses entries whose authors the store has no room for. Each sender is told which were refused; its feed goes
    /// on after them.
    pub fn refused_by_store(&mut self, refused: &[RefusedEntry]) {
        if refused.is_empty() {
            return;
        }
        self.refused_entries += refused.len() as u64;
        tracing::warn!(
            entries = refused.len(),
            "entries of peers name more authors than a store has room for, and were refused"
        );
        for of_one in refused.chunk_by(|a, b| a.token == b.token) {
            let Some(id) = of_one.first().map(|refused| refused.token) else {
                continue;
            };
            if !self.links.contains_key(&id) {
                // The sender has disconnected. As long as the entries are missing here the states differ, and it is
                // told when they come again.
                continue;
            }
            let name = |refused: &RefusedEntry| RefusedWrite {
                key: refused.key.clone(),
                dot: refused.dot,
            };
            let writes = of_one.iter().map(name).collect();
            self.name_refused(id, Stream::Relay, writes, RefusalCode::TooManyAuthors, None);
        }
    }

    /// Removes inadmissible entries from a batch and names them to the peer. Returns the reason to end the connection,
    /// if there is one: even then the cursor goes on after the batch, so that an older node which was sent a lie gets
    /// past it.
    pub(in crate::sync) fn refuse_faulty(
        &mut self,
        id: LinkId,
        link: &Link,
        batch: &mut Batch,
        now: WallMs,
    ) -> Option<&'static str> {
        let count = batch.entries.len();
        let (mut lie, mut fault) = (None, None);
        let mut writes = Vec::new();
        batch.entries.retain(|entry| {
            let (lies, found) = (lie_of(entry), fault_of(entry, now));
            lie = lie.or(lies);
            fault = fault.or(lies).or(found);
            let is_refused = lies.is_some() || found.is_some();
            if is_refused {
                writes.push(RefusedWrite {
                    key: entry.key().to_vec(),
                    dot: entry.dot,
                });
            }
            !is_refused
        });
        let fault = fault?;
        let refused = writes.len();
        self.refused_entries += refused as u64;
        tracing::warn!(peer = %link.node_id, refused, fault, "entries of a peer were refused");
        let is_alone = count == 1 && batch.to > 0;
        if lie.is_none() {
            let place = is_alone.then_some(batch.to);
            self.name_refused(id, batch.stream, writes, RefusalCode::Malformed, place);
        }
        lie
    }

    /// Sends NACKs that name writes refused for good, with the place in the feed by which an older node finds them, if
    /// given.
    fn name_refused(
        &mut self,
        id: LinkId,
        stream: Stream,
        mut writes: Vec<RefusedWrite>,
        code: RefusalCode,
        place: Option<u64>,
    ) {
        if is_broken(Rule::RefusedUnnamed) {
            writes.truncate(usize::from(place.is_some()));
        }
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(REFUSED_WRITES_MAX));
            let nack = Nack {
                stream,
                lseq: place.unwrap_or(PLACE_UNKNOWN),
                code,
                retryable: false,
                writes: std::mem::replace(&mut writes, rest),
            };
            self.outputs.push_back(Output::Send(id, Feed::Nack(nack)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::identity::{Dot, Origin};
    use crate::core::stamp::{STAMP_MS_END, Stamp};
    use crate::store::conflict::policy::sibling_key;
    use crate::store::entry::Extra;

    const NOW: WallMs = WallMs(1_790_000_000_000);

    const DOT: Dot = Dot {
        origin: Origin([7; 16]),
        sequence: 3,
    };

    fn entry(key: &[u8], value: &[u8], flags: EntryFlags) -> Entry {
        let payload = [key, value].concat();
        let stamp = Stamp::at(NOW);
        let extra = Extra::default();
        Entry::new(payload.into(), key.len(), flags, DOT, stamp, 1, extra).unwrap()
    }

    fn plain() -> Entry {
        entry(b"\0key", "caf\u{e9}".as_bytes(), EntryFlags::default())
    }

    #[test]
    fn what_honest_nodes_write_is_taken() {
        let kept = entry(
            &sibling_key("\u{e9}".as_bytes(), DOT),
            b"1",
            EntryFlags::ASCII,
        );
        let removal = entry(b"\0key", b"", EntryFlags::TOMBSTONE.with(EntryFlags::ASCII));
        for honest in [plain(), kept, removal] {
            assert_eq!((lie_of(&honest), fault_of(&honest, NOW)), (None, None));
        }
    }

    #[test]
    fn numbers_beyond_what_a_node_reaches_are_refused() {
        let mut faulty = [plain(), plain(), plain(), plain(), plain()];
        faulty[0].dot.sequence = SEQUENCE_MAX + 1;
        faulty[1].version = VERSION_MAX + 1;
        faulty[2].version = 0;
        faulty[3].stamp = Stamp(u64::MAX);
        faulty[4].dot.sequence = 0;
        for entry in faulty {
            assert!(fault_of(&entry, NOW).is_some(), "{entry:?}");
        }
        let mut last = plain();
        (last.dot.sequence, last.version) = (SEQUENCE_MAX, VERSION_MAX);
        last.stamp = Stamp((STAMP_MS_END << 16) + (1 << 40));
        assert_eq!(fault_of(&last, NOW), None);
    }

    #[test]
    fn keys_are_text_and_values_are_what_they_are_said_to_be() {
        let name = sibling_key(b"\xff", DOT);
        let faulty = [
            entry(b"\0\xff\xfe", b"1", EntryFlags::default()),
            entry(&name, b"1", EntryFlags::default()),
            entry(b"\x01short", b"1", EntryFlags::default()),
        ];
        for entry in faulty {
            assert!(fault_of(&entry, NOW).is_some(), "{entry:?}");
            assert_eq!(lie_of(&entry), None, "who relays it may be honest");
        }
        let lies = [
            entry(b"\x02anything", b"1", EntryFlags::default()),
            entry(b"\x03own", b"1", EntryFlags::default()),
            entry(b"\x63unknown", b"1", EntryFlags::default()),
            entry(b"\0key", b"\xc3\xa9", EntryFlags::ASCII),
        ];
        for entry in lies {
            assert!(lie_of(&entry).is_some(), "{entry:?}");
        }
    }
}
