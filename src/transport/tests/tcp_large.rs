//! Large values over loopback.

use std::time::Duration;
use tokio::runtime::Handle;

use super::recorder::{Event, Manner, Node, RawPeer, frame_of};
use super::samples::entry;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::sync::message::{Chunk, Feed, Large, RefusalCode, Resumption, Stream};
use crate::transport::session::chunks::AssemblyError;
use crate::transport::session::close::CloseReason;
use crate::transport::tcp::TcpSettings;
use crate::transport::wire::codec::decode;
use crate::transport::wire::message::Message;

fn large_frame(value_length: u64) -> Vec<u8> {
    frame_of(&Message::Feed(Feed::Large(Large {
        stream: Stream::Own,
        from: 0,
        to: 7,
        entry: entry(b"big", b"", 1, 1, 1_000),
        value_length,
        resumption: None,
    })))
}

fn chunk_frame(bytes: &[u8]) -> Vec<u8> {
    frame_of(&Message::Feed(Feed::Chunk(Chunk {
        bytes: bytes.to_vec(),
    })))
}

/// Credit that a frame uses at its receiver.
fn cost_of(frame: &[u8]) -> u64 {
    match decode(frame[4], &frame[5..]).unwrap() {
        Some(Message::Feed(feed)) => feed.cost(),
        other => panic!("instead of a feed: {other:?}"),
    }
}

fn ping_frame() -> Vec<u8> {
    frame_of(&Message::Ping {
        nonce: 5,
        wall_ms: 5,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_megabytes_arrive_whole_and_are_paid_for_chunk_by_chunk() {
    let (mut a, mut b) = (Node::greeting(), Node::greeting());
    let (_listener, address) = b.listen().await;
    let (here, there) = a.meet(&mut b, &address).await;
    let value: Vec<u8> = (0..5_000_000_u32)
        .map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap())
        .collect();
    let announced = large_frame(value.len() as u64);
    let mut sent = vec![cost_of(&announced)];
    here.send(&announced).unwrap();
    for piece in value.chunks(CHUNK_BYTES_MAX) {
        let frame = chunk_frame(piece);
        sent.push(cost_of(&frame));
        here.send(&frame).unwrap();
        here.send(&ping_frame()).unwrap();
    }
    let (mut paid, mut pings) = (Vec::new(), 0);
    let batch = loop {
        match b.next().await {
            Event::Charged(cost) => paid.push(cost),
            Event::Received(Message::Ping { .. }, _) => pings += 1,
            Event::Received(Message::Feed(Feed::Batch(batch)), true) => break batch,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(paid, sent);
    assert_eq!(pings, sent.len() - 2, "other messages come in between");
    assert_eq!((batch.from, batch.to), (0, 7));
    assert_eq!(batch.entries.len(), 1);
    assert_eq!(batch.entries[0].value(), Some(&value[..]));
    assert!(matches!(
        b.next().await,
        Event::Received(Message::Ping { .. }, _)
    ));
    there.close(true);
    assert_eq!(b.closed().await, CloseReason::Requested);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_over_the_limit_is_refused_and_the_connection_goes_on() {
    let settings = TcpSettings {
        value_bytes_max: 400_000,
        ..TcpSettings::default()
    };
    let mut node = Node::new(Manner::Greets, settings);
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    node.opened().await;
    node.received().await;
    peer.write(&large_frame(400_001)).await;
    assert!(matches!(node.next().await, Event::Charged(_)));
    assert!(matches!(
        node.next().await,
        Event::Refused(Stream::Own, 7, RefusalCode::ValueTooLarge)
    ));
    peer.write(&chunk_frame(&vec![1; 200_000])).await;
    peer.write(&chunk_frame(&vec![1; 200_001])).await;
    peer.write(&ping_frame()).await;
    assert!(matches!(node.next().await, Event::Charged(200_064)));
    assert!(matches!(node.next().await, Event::Charged(200_065)));
    assert!(matches!(node.received().await.0, Message::Ping { .. }));
    peer.write(&large_frame(400_000)).await;
    peer.write(&chunk_frame(&[])).await;
    peer.write(&chunk_frame(&[1])).await;
    drop(peer.read_to_end().await);
    drop(peer);
    assert!(matches!(node.next().await, Event::Charged(_)));
    assert!(matches!(node.next().await, Event::Charged(64)));
    let reason = node.closed().await;
    assert_eq!(reason, CloseReason::Assembly(AssemblyError::Unannounced));
}

/// The announcement of a value of that length that can be resumed.
fn resumable_frame(value_length: u64) -> Vec<u8> {
    frame_of(&Message::Feed(Feed::Large(Large {
        stream: Stream::Own,
        from: 0,
        to: 7,
        entry: entry(b"big", b"", 1, 1, 1_000),
        value_length,
        resumption: Some(Resumption {
            content: 1,
            offset: 0,
        }),
    })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_connections_leave_a_value_one_task_waits_to_forget_them() {
    let mut node = Node::greeting();
    let (_listener, address) = node.listen().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for _ in 0..20 {
        let mut peer = RawPeer::greet(&address).await;
        node.opened().await;
        node.received().await;
        peer.write(&resumable_frame(400_000)).await;
        peer.write(&chunk_frame(&[1; 1000])).await;
        assert!(matches!(node.next().await, Event::Charged(_)));
        assert!(matches!(node.next().await, Event::Charged(_)));
        drop(peer);
        node.closed().await;
    }
    for _ in 0..80 {
        if tasks() <= before + 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{before} tasks have become {}", tasks());
}
