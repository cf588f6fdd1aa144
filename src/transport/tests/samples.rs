//! Sample values, and strategies for property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::core::identity::{Dot, Incarnation, Origin};
use crate::core::stamp::{STAMP_MS_END, Stamp};
use crate::store::entry::{Entry, EntryFlags, Extra, Summary};
use crate::store::scope::Scope;
use crate::sync::message::{
    Ack, BEGUN_MAX, Batch, Begun, Chunk, Cursor, DotRange, End, Epoch, Feed, Greeting, Have, Large,
    Nack, Positions, RefusalCode, RefusedWrite, Resumption, Stream, ValueId,
};
use crate::transport::wire::message::{
    Goodbye, GoodbyeReason, Hello, Message, PROTOCOL_MAX, PROTOCOL_MIN,
};

use super::samples_ranges::any_ranges;

/// A plain HELLO.
pub(super) fn hello(node_id: &str, instance: u64) -> Hello {
    Hello {
        protocol_min: PROTOCOL_MIN,
        protocol_max: PROTOCOL_MAX,
        greeting: Greeting {
            node_id: node_id.to_owned(),
            origin: Origin([3; 16]),
            epochs: vec![Epoch {
                incarnation: Incarnation([4; 16]),
                began_after: 0,
            }],
            durable: true,
            scope: Scope::ALL,
            summary: Summary::default(),
            last_lseq: 0,
            value_bytes_max: 64 << 20,
            wall_ms: 1_700_000_000_000,
            reconciles: false,
            sums_content: true,
            resumes: true,
        },
        expected_node_id: None,
        instance,
        keepalive_ms: 10_000,
        node_info: Vec::new(),
    }
}

/// An entry of the user's namespace.
pub(super) fn entry(key: &[u8], value: &[u8], origin: u8, sequence: u64, wall_ms: u64) -> Entry {
    let mut payload = vec![0];
    payload.extend_from_slice(key);
    let key_length = payload.len();
    payload.extend_from_slice(value);
    Entry::new(
        payload.into_boxed_slice(),
        key_length,
        EntryFlags::ASCII,
        Dot {
            origin: Origin([origin; 16]),
            sequence,
        },
        Stamp(wall_ms << 16),
        1,
        Extra::default(),
    )
    .unwrap()
}

/// Any origin, few of them, so that entries share them.
pub(super) fn any_origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        (0_u8..4).prop_map(|byte| Origin([byte; 16])),
        any::<[u8; 16]>().prop_map(Origin),
    ]
}

pub(super) fn any_sequence() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..2000, 1..=u64::MAX]
}

pub(super) fn any_stamp() -> impl Strategy<Value = Stamp> {
    let wall_ms = prop_oneof![1_700_000_000_000_u64..1_700_000_100_000, 0..STAMP_MS_END];
    (wall_ms, any::<u16>()).prop_map(|(wall_ms, counter)| Stamp(wall_ms << 16 | u64::from(counter)))
}

fn any_stream() -> impl Strategy<Value = Stream> {
    prop_oneof![Just(Stream::Own), Just(Stream::Relay)]
}

fn any_positions() -> impl Strategy<Value = Positions> {
    (any::<u64>(), any::<u64>()).prop_map(|(own, relay)| Positions { own, relay })
}

pub(super) fn any_summary() -> impl Strategy<Value = Summary> {
    (any::<u64>(), any::<u128>()).prop_map(|(count, fingerprint)| Summary { count, fingerprint })
}

fn any_extra() -> impl Strategy<Value = Extra> {
    let plain = Just(Extra::default());
    let rich = (
        vec((any_origin(), any_sequence()), 0..6),
        vec(any::<u8>(), 0..20),
    )
        .prop_map(|(dots, extension)| {
            let mut vector: Vec<Dot> = dots
                .into_iter()
                .map(|(origin, sequence)| Dot { origin, sequence })
                .collect();
            vector.sort_unstable();
            vector.dedup_by_key(|dot| dot.origin);
            Extra { vector, extension }
        });
    prop_oneof![3 => plain, 1 => rich]
}

/// Any entry that may be sent, with a value of the given strategy, or a tombstone.
fn any_entry_with(
    value: impl Strategy<Value = Vec<u8>>,
    tombstones: bool,
) -> impl Strategy<Value = Entry> {
    (
        0_u8..3,
        vec(any::<u8>(), 1..40),
        value,
        any::<u8>(),
        (any_origin(), any_sequence()),
        any_stamp(),
        prop_oneof![Just(1_u64), 1..=u64::MAX],
        any_extra(),
    )
        .prop_map(
            move |(namespace, key, value, flags, dot, stamp, version, mut extra)| {
                let flags = if tombstones {
                    EntryFlags(flags)
                } else {
                    EntryFlags(flags & !EntryFlags::TOMBSTONE.0)
                };
                extra.vector.retain(|seen| seen.origin != dot.0);
                let mut payload = vec![namespace];
                payload.extend_from_slice(&key);
                let key_length = payload.len();
                if !flags.contains(EntryFlags::TOMBSTONE) {
                    payload.extend_from_slice(&value);
                }
                Entry::new(
                    payload.into_boxed_slice(),
                    key_length,
                    flags,
                    Dot {
                        origin: dot.0,
                        sequence: dot.1,
                    },
                    stamp,
                    version,
                    extra,
                )
                .unwrap()
            },
        )
}

/// Any batch.
pub(super) fn any_batch() -> impl Strategy<Value = Batch> {
    let entries = vec(any_entry_with(vec(any::<u8>(), 0..200), true), 0..20);
    (any_stream(), any::<u64>(), any::<u64>(), entries).prop_map(|(stream, a, b, entries)| Batch {
        stream,
        from: a.min(b),
        to: a.max(b),
        entries,
    })
}

fn any_large() -> impl Strategy<Value = Large> {
    (
        any_stream(),
        any::<u64>(),
        any::<u64>(),
        any_entry_with(Just(Vec::new()), false),
        1..=u64::MAX,
        option::of((any::<u64>(), any::<u64>())),
    )
        .prop_map(|(stream, a, b, entry, value_length, resumption)| Large {
            stream,
            from: a.min(b),
            to: a.max(b),
            entry,
            value_length,
            resumption: resumption.map(|(content, offset)| Resumption {
                content,
                offset: offset % value_length,
            }),
        })
}

fn any_part() -> impl Strategy<Value = Begun> {
    let dot = (any::<[u8; 16]>(), any::<u64>());
    let numbers = (any::<u64>(), 1..=u64::MAX, any::<u64>());
    (dot, numbers).prop_map(|((origin, sequence), (content, length, bytes))| Begun {
        id: ValueId {
            dot: Dot {
                origin: Origin(origin),
                sequence,
            },
            content,
            length,
        },
        bytes: bytes % length,
    })
}

fn any_ack() -> impl Strategy<Value = Ack> {
    let cursor = || {
        (any::<[u8; 16]>(), any_positions()).prop_map(|(incarnation, positions)| Cursor {
            incarnation: Incarnation(incarnation),
            positions,
        })
    };
    let cursors = (option::of(cursor()), option::of(cursor()));
    let numbers = (any::<u64>(), any::<u64>());
    let parts = vec(any_part(), 0..=BEGUN_MAX);
    (cursors, numbers, any::<bool>(), parts).prop_map(
        |((cursor, void), (credit, aside), reconcile, parts)| Ack {
            cursor,
            credit,
            void,
            reconcile,
            aside,
            parts,
        },
    )
}

fn any_nack() -> impl Strategy<Value = Nack> {
    let code = prop_oneof![
        Just(RefusalCode::ValueTooLarge),
        Just(RefusalCode::StorageFailed),
        Just(RefusalCode::Malformed),
        Just(RefusalCode::TooManyAuthors),
        Just(RefusalCode::Other),
    ];
    let write = (any_origin(), any_sequence(), vec(any::<u8>(), 0..40)).prop_map(
        |(origin, sequence, key)| RefusedWrite {
            key,
            dot: Dot { origin, sequence },
        },
    );
    let place = (any_stream(), any::<u64>());
    (place, code, any::<bool>(), vec(write, 0..4)).prop_map(
        |((stream, lseq), code, retryable, writes)| Nack {
            stream,
            lseq,
            code,
            retryable,
            writes,
        },
    )
}

fn any_have() -> impl Strategy<Value = Have> {
    let range =
        (any_origin(), any_sequence(), any_sequence()).prop_map(|(origin, a, b)| DotRange {
            origin,
            first: a.min(b),
            last: a.max(b),
        });
    vec(range, 0..30).prop_map(|ranges| Have { ranges })
}

fn any_feed() -> impl Strategy<Value = Feed> {
    let end = (any_positions(), any_summary(), any::<bool>()).prop_map(
        |(positions, summary, complete)| End {
            positions,
            summary,
            complete,
        },
    );
    prop_oneof![
        any_batch().prop_map(Feed::Batch),
        any_large().prop_map(Feed::Large),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Feed::Chunk(Chunk { bytes })),
        end.prop_map(Feed::End),
        any_ack().prop_map(Feed::Ack),
        any_nack().prop_map(Feed::Nack),
        any_have().prop_map(Feed::Have),
        any_ranges().prop_map(Feed::Ranges),
    ]
}

fn any_greeting() -> impl Strategy<Value = Greeting> {
    let epoch = (any::<[u8; 16]>(), any::<u64>()).prop_map(|(incarnation, began_after)| Epoch {
        incarnation: Incarnation(incarnation),
        began_after,
    });
    (
        "\\PC{1,40}",
        any_origin(),
        vec(epoch, 1..64),
        any::<bool>(),
        option::of(vec(vec(any::<u8>(), 1..20), 0..5)),
        any_summary(),
        any::<u64>(),
        any::<u64>(),
        (any::<u64>(), any::<bool>()),
    )
        .prop_map(
            |(
                node_id,
                origin,
                epochs,
                durable,
                prefixes,
                summary,
                last_lseq,
                value_bytes_max,
                (wall_ms, reconciles),
            )| {
                Greeting {
                    node_id,
                    origin,
                    epochs,
                    durable,
                    scope: prefixes.map_or(Scope::ALL, Scope::of),
                    summary,
                    last_lseq,
                    value_bytes_max,
                    wall_ms,
                    reconciles,
                    sums_content: !reconciles,
                    resumes: reconciles,
                }
            },
        )
}

fn any_hello() -> impl Strategy<Value = Hello> {
    (
        (1..=u16::MAX, 1..=u16::MAX),
        any_greeting(),
        option::of("\\PC{1,40}"),
        any::<u64>(),
        any::<u64>(),
        vec(any::<u8>(), 0..100),
    )
        .prop_map(
            |((a, b), greeting, expected_node_id, instance, keepalive_ms, node_info)| Hello {
                protocol_min: a.min(b),
                protocol_max: a.max(b),
                greeting,
                expected_node_id,
                instance,
                keepalive_ms,
                node_info,
            },
        )
}

fn any_goodbye() -> impl Strategy<Value = Goodbye> {
    (any::<u8>(), "\\PC{0,80}", option::of(any::<u64>())).prop_map(
        |(reason, text, come_back_ms)| Goodbye {
            reason: GoodbyeReason::from_byte(reason).unwrap_or(GoodbyeReason::Other),
            text,
            come_back_ms,
        },
    )
}

/// Any message that may be sent.
pub(super) fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        2 => any_hello().prop_map(|hello| Message::Hello(Box::new(hello))),
        8 => any_feed().prop_map(Message::Feed),
        1 => (any::<u64>(), any::<u64>())
            .prop_map(|(nonce, wall_ms)| Message::Ping { nonce, wall_ms }),
        1 => (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(nonce, echoed_wall_ms, wall_ms)| Message::Pong { nonce, echoed_wall_ms, wall_ms }
        ),
        1 => any_goodbye().prop_map(Message::Goodbye),
    ]
}
