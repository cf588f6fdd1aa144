//! Records read back as they were written, and hostile ones are refused.

use super::*;
use crate::store::commit::ledger::Rejected;
use crate::store::entry::Namespace;
use proptest::prelude::*;

fn origins() -> impl Strategy<Value = Origin> {
    (0_u8..4).prop_map(|byte| Origin([byte; 16]))
}

fn entries() -> impl Strategy<Value = Entry> {
    let key = proptest::collection::vec(any::<u8>(), 1..40);
    let value = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80));
    let vector = proptest::collection::btree_map(4_u8..9, 1_u64..1000, 0..4);
    let extension = proptest::collection::vec(any::<u8>(), 0..10);
    (
        key,
        value,
        origins(),
        1_u64..u64::MAX,
        any::<u64>(),
        1_u64..u64::MAX,
        vector,
        extension,
    )
        .prop_map(
            |(key, value, origin, sequence, stamp, version, vector, extension)| {
                let mut payload = vec![Namespace::User as u8];
                payload.extend(&key);
                payload.extend(value.iter().flatten());
                let flags = if value.is_none() {
                    EntryFlags::TOMBSTONE
                } else {
                    EntryFlags::default()
                };
                let seen = |(byte, sequence)| Dot {
                    origin: Origin([byte; 16]),
                    sequence,
                };
                let extra = Extra {
                    vector: vector.into_iter().map(seen).collect(),
                    extension,
                };
                let dot = Dot { origin, sequence };
                Entry::new(
                    payload.into(),
                    key.len() + 1,
                    flags,
                    dot,
                    Stamp(stamp),
                    version,
                    extra,
                )
                .unwrap()
            },
        )
}

fn some_scopes() -> impl Strategy<Value = Scope> {
    let prefix = proptest::collection::vec(any::<u8>(), 1..9);
    proptest::collection::vec(prefix, 0..5).prop_map(Scope::of)
}

fn scopes() -> impl Strategy<Value = Scope> {
    let some = some_scopes().prop_filter("a cursor of nothing is not kept", |scope| {
        !scope.is_nothing()
    });
    proptest::option::of(some).prop_map(Option::unwrap_or_default)
}

fn positions() -> impl Strategy<Value = FeedPosition> {
    (any::<[u8; 16]>(), any::<u64>(), any::<u64>()).prop_map(|(incarnation, own, relay)| {
        FeedPosition {
            incarnation: Incarnation(incarnation),
            own,
            relay,
        }
    })
}

fn records() -> impl Strategy<Value = Record> {
    let rejected =
        proptest::collection::vec((any::<u64>(), any::<u8>()), 0..5).prop_map(|rejected| {
            rejected
                .into_iter()
                .map(|(lseq, code)| Rejected { lseq, code })
                .collect::<Vec<_>>()
                .into()
        });
    prop_oneof![
        (entries(), any::<u64>()).prop_map(|(entry, lseq)| Record::Entry { entry, lseq }),
        (origins(), any::<[u8; 16]>(), "\\PC{0,20}", any::<bool>()).prop_map(
            |(origin, lease, node_id, fresh_chain)| Record::Identity {
                origin,
                lease,
                node_id,
                fresh_chain
            }
        ),
        (any::<[u8; 16]>(), any::<u64>()).prop_map(|(incarnation, began_after)| Record::Stretch {
            incarnation: Incarnation(incarnation),
            began_after
        }),
        (origins(), positions(), scopes()).prop_map(|(peer, position, scope)| Record::Cursor {
            peer,
            position,
            scope
        }),
        (origins(), (positions(), some_scopes()))
            .prop_map(|(peer, about)| Record::PeerScope { peer, about }),
        (
            origins(),
            any::<(bool, bool)>(),
            "\\PC{0,20}",
            positions(),
            rejected
        )
            .prop_map(
                |(peer, (durable, is_superseded), node_id, acknowledged, rejected)| Record::Peer {
                    peer,
                    record: PeerRecord {
                        node_id,
                        durable,
                        is_superseded,
                        is_named: !is_superseded && durable,
                        acknowledged,
                        rejected,
                        scope: Scope::ALL
                    },
                }
            ),
        (any::<u64>(), any::<u64>()).prop_map(|(sequence, clock)| Record::Reserve {
            sequence,
            clock: Stamp(clock)
        }),
        any::<u64>().prop_map(|lseq| Record::Pruned { lseq }),
        any::<u64>().prop_map(|lost| Record::Salvaged { lost }),
        any::<u64>().prop_map(|lseq| Record::Released { lseq }),
        (origins(), any::<u8>(), "[a-z]{0,9}").prop_map(|(origin, reason, node_id)| {
            Record::Doubt(KnownIdentityConflict {
                origin,
                reason,
                node_id,
            })
        }),
        proptest::option::of(origins()).prop_map(|peer| Record::Source { peer }),
    ]
}

proptest! {
    #[test]
    fn records_read_back_as_they_were_written(written in proptest::collection::vec(records(), 0..12)) {
        let (mut body, mut origins) = (Vec::new(), OriginDictionary::default());
        for record in &written {
            encode(&mut body, &mut origins, record);
        }
        let mut read = Vec::new();
        decode(&body, &mut OriginDictionary::default(), |record| read.push(record)).unwrap();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn any_bytes_decode_without_a_panic(body: Vec<u8>) {
        let _ = decode(&body, &mut OriginDictionary::default(), |_| {});
    }

    #[test]
    fn damaged_records_decode_without_a_panic(written in records(), at: prop::sample::Index, bits in 1_u8..) {
        let (mut body, mut origins) = (Vec::new(), OriginDictionary::default());
        encode(&mut body, &mut origins, &written);
        let at = at.index(body.len());
        body[at] ^= bits;
        let _ = decode(&body, &mut OriginDictionary::default(), |_| {});
    }
}

#[test]
fn the_scope_of_a_peer_follows_its_record() {
    let peer = Origin([1; 16]);
    let scope = Scope::of([b"team/7/".to_vec()]);
    let acknowledged = FeedPosition {
        incarnation: Incarnation([2; 16]),
        own: 7,
        relay: 8,
    };
    let known = |scope, acknowledged| PeerRecord {
        node_id: "b".to_owned(),
        scope,
        acknowledged,
        ..PeerRecord::default()
    };
    let mut body = Vec::new();
    let record = known(scope.clone(), acknowledged);
    let written = Record::Peer { peer, record };
    encode(&mut body, &mut OriginDictionary::default(), &written);
    let mut read = Vec::new();
    let origins = &mut OriginDictionary::default();
    decode(&body, origins, |record| read.push(record)).unwrap();
    // Alone, as older versions read it, the record claims no acknowledged position.
    let record = known(Scope::ALL, FeedPosition::default());
    let about = (acknowledged, scope);
    assert_eq!(
        read,
        [
            Record::Peer { peer, record },
            Record::PeerScope { peer, about }
        ]
    );
}

#[test]
fn an_unknown_kind_is_passed_over_only_if_it_says_so() {
    let unknown = |kind: u8| [&[kind][..], &3_u32.to_le_bytes(), b"abc"].concat();
    let read = |body: &[u8]| {
        decode(body, &mut OriginDictionary::default(), |_| {
            panic!("nothing is known here")
        })
    };
    assert_eq!(read(&unknown(0x55 | MAY_BE_IGNORED)), Ok(()));
    assert_eq!(
        read(&unknown(0x55)),
        Err(DecodeError::Malformed("record kind"))
    );
}

#[test]
fn what_was_not_written_is_taken_back_from_the_dictionary() {
    let mut origins = OriginDictionary::default();
    let (first, second) = (Origin([1; 16]), Origin([2; 16]));
    origins.number(first, &mut Vec::new());
    let before = origins.len();
    origins.number(second, &mut Vec::new());
    origins.forget_from(before);
    let mut body = Vec::new();
    assert_eq!(
        origins.number(second, &mut body),
        1,
        "the number is given anew"
    );
    assert!(!body.is_empty(), "and told again");
}
