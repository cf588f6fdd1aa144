use super::*;
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
    let parked = proptest::collection::vec((any::<u64>(), any::<u8>()), 0..5).prop_map(|parked| {
        parked
            .into_iter()
            .map(|(lseq, code)| Parked { lseq, code })
            .collect()
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
        (origins(), positions()).prop_map(|(peer, position)| Record::Cursor { peer, position }),
        (
            origins(),
            any::<(bool, bool)>(),
            "\\PC{0,20}",
            positions(),
            parked
        )
            .prop_map(
                |(peer, (durable, is_superseded), node_id, acknowledged, parked)| Record::Peer {
                    peer,
                    record: PeerRecord {
                        node_id,
                        durable,
                        is_superseded,
                        acknowledged,
                        parked
                    },
                }
            ),
        (any::<u64>(), any::<u64>()).prop_map(|(sequence, clock)| Record::Reserve {
            sequence,
            clock: Stamp(clock)
        }),
        any::<u64>().prop_map(|lseq| Record::Pruned { lseq }),
        any::<u64>().prop_map(|lost| Record::Salvaged { lost }),
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
