//! Peers that break rules, and the answers that they get.

use std::time::Duration;
use tokio::time::sleep;

use super::recorder::{Event, Manner, Node, RawPeer, frame_of, hello_frame};
use crate::transport::session::close::CloseReason;
use crate::transport::session::pace::Pace;
use crate::transport::tcp::TcpSettings;
use crate::transport::tcp::connection::SendError;
use crate::transport::wire::frame::FrameError;
use crate::transport::wire::message::{GoodbyeReason, Message};

/// Settings with short times, also before the greeting.
fn impatient() -> TcpSettings {
    TcpSettings {
        hello_timeout_ms: 300,
        ..quick()
    }
}

fn quick() -> TcpSettings {
    TcpSettings {
        pace: Pace {
            bytes_per_second_min: 1024,
            grace_ms: 200,
        },
        stall_timeout_ms: 300,
        linger_ms: 300,
        ..TcpSettings::default()
    }
}

async fn reason_for(node: &mut Node) -> CloseReason {
    loop {
        if let Event::Closed(reason) = node.next().await {
            return reason;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_dropped_and_others_are_served() {
    let mut node = Node::new(Manner::Greets, quick());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::connect(&address).await;
    peer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert!(peer.read_to_end().await.is_empty());
    let reason = reason_for(&mut node).await;
    assert!(matches!(
        reason,
        CloseReason::Frame(FrameError::TooLong { .. })
    ));
    let mut peer = RawPeer::connect(&address).await;
    peer.write(&[3, 0, 0, 0, 1, 0xff, 0xff]).await;
    assert!(peer.read_to_end().await.is_empty());
    let reason = reason_for(&mut node).await;
    assert!(matches!(reason, CloseReason::Message { kind: 1, .. }));
    let _polite = RawPeer::greet(&address).await;
    node.opened().await;
    assert!(matches!(node.received().await.0, Message::Hello(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_four_gigabytes_ends_the_connection_with_its_size() {
    let mut node = Node::new(Manner::Greets, quick());
    let (_listener, address) = node.listen().await;
    for greets in [false, true] {
        let mut peer = RawPeer::connect(&address).await;
        if greets {
            peer.write(&hello_frame("raw")).await;
        }
        peer.write(&[0xff, 0xff, 0xff, 0xff, 2, 0, 0]).await;
        let said = peer.read_to_end().await;
        drop(peer);
        let reason = reason_for(&mut node).await;
        assert!(reason.to_string().contains("4294967295"), "{reason}");
        // A peer that has greeted gets a GOODBYE.
        assert_eq!(said.len(), usize::from(greets));
        if let [Message::Goodbye(goodbye)] = &said[..] {
            assert_eq!(goodbye.reason, GoodbyeReason::Malformed);
            assert!(goodbye.text.contains("4294967295"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_dropped_whichever_side_called() {
    let mut node = Node::new(Manner::Greets, impatient());
    let (_listener, address) = node.listen().await;
    let mut silent = RawPeer::connect(&address).await;
    assert_eq!(reason_for(&mut node).await, CloseReason::HelloTimeout);
    assert!(silent.read_to_end().await.is_empty());
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = deaf.local_addr().unwrap().port();
    let address = crate::transport::session::address::HostPort::new("127.0.0.1", port).unwrap();
    let connection = node.transport.dial(&address, 5_000, 0).await.unwrap();
    connection.send(&hello_frame("a")).unwrap();
    assert_eq!(reason_for(&mut node).await, CloseReason::HelloTimeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_never_accepts_a_peer_loses_it() {
    let mut node = Node::new(Manner::Waits, impatient());
    let (_listener, address) = node.listen().await;
    let _peer = RawPeer::greet(&address).await;
    assert_eq!(reason_for(&mut node).await, CloseReason::HelloTimeout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trickling_frame_is_dropped_and_a_pause_between_frames_is_not() {
    let mut node = Node::new(Manner::Greets, quick());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    node.opened().await;
    node.received().await;
    sleep(Duration::from_millis(500)).await;
    let ping = frame_of(&Message::Ping {
        nonce: 1,
        wall_ms: 1,
    });
    let (half, rest) = ping.split_at(6);
    peer.write(half).await;
    sleep(Duration::from_millis(50)).await;
    peer.write(rest).await;
    assert!(matches!(node.received().await.0, Message::Ping { .. }));
    peer.write(&[200, 0, 0, 0, 2]).await;
    let trickle = async {
        loop {
            sleep(Duration::from_millis(30)).await;
            let written = peer.stream.try_write(&[0]);
            if written.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reason = tokio::select! {
        () = trickle => unreachable!(),
        reason = node.closed() => reason,
    };
    assert_eq!(reason, CloseReason::Trickled);
}

/// Sends frames of a megabyte until the connection refuses one.
async fn fill(node: &mut Node, bytes_max: usize) -> (RawPeer, SendError) {
    let (_listener, address) = node.listen().await;
    let peer = RawPeer::greet(&address).await;
    let connection = node.opened().await;
    node.received().await;
    let frame = vec![0; 1 << 20];
    loop {
        match connection.send(&frame) {
            Ok(()) => assert!(connection.outgoing_bytes() <= bytes_max),
            Err(error) => return (peer, error),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_reads_is_dropped_when_the_queue_is_full() {
    let mut settings = quick();
    settings.stall_timeout_ms = 60_000;
    settings.outgoing_bytes_max = 3 << 20;
    let mut node = Node::new(Manner::Greets, settings);
    let (_peer, error) = fill(&mut node, 3 << 20).await;
    assert_eq!(error, SendError::Full);
    assert_eq!(node.closed().await, CloseReason::QueueFull);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_nothing_for_too_long_is_dropped() {
    let mut settings = quick();
    settings.outgoing_bytes_max = 256 << 20;
    let mut node = Node::new(Manner::Greets, settings);
    let (_listener, address) = node.listen().await;
    let _peer = RawPeer::greet(&address).await;
    let connection = node.opened().await;
    node.received().await;
    while connection.outgoing_bytes() == 0 {
        connection.send(&vec![0; 4 << 20]).unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.closed().await, CloseReason::Stalled);
    assert_eq!(connection.send(&[1]), Err(SendError::Closed));
    assert_eq!(connection.outgoing_bytes(), 0, "its memory is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_wait_in_the_backlog_when_there_are_too_many() {
    let mut settings = quick();
    settings.half_open_max = 2;
    settings.hello_timeout_ms = 60_000;
    let mut node = Node::new(Manner::Greets, settings);
    let (_listener, address) = node.listen().await;
    let _first = RawPeer::connect(&address).await;
    let _second = RawPeer::connect(&address).await;
    let mut waiting = RawPeer::connect(&address).await;
    let connection = node.opened().await;
    node.opened().await;
    waiting.write(&hello_frame("waiting")).await;
    assert!(node.is_quiet_for(150).await);
    connection.close(false);
    assert_eq!(node.closed().await, CloseReason::Requested);
    node.opened().await;
    assert!(matches!(node.received().await.0, Message::Hello(_)));
    let _fourth = RawPeer::connect(&address).await;
    node.opened().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_beyond_the_connections_that_are_served_is_told_so() {
    let mut settings = quick();
    settings.connections_max = 2;
    let mut node = Node::new(Manner::Greets, settings);
    let (_listener, address) = node.listen().await;
    let first = RawPeer::greet(&address).await;
    node.opened().await;
    node.received().await;
    let _second = RawPeer::greet(&address).await;
    node.opened().await;
    node.received().await;
    let mut third = RawPeer::connect(&address).await;
    third.write(&hello_frame("third")).await;
    let heard = third.read_to_end().await;
    assert!(
        matches!(&heard[..], [Message::Goodbye(goodbye)] if goodbye.reason == GoodbyeReason::Busy)
    );
    assert!(node.is_quiet_for(50).await, "it is no connection");
    drop((first, third));
    node.closed().await;
    let _fourth = RawPeer::greet(&address).await;
    node.opened().await;
    assert!(matches!(node.received().await.0, Message::Hello(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_sends_beyond_its_share_stays_in_its_socket() {
    let mut node = Node::new(Manner::Greets, quick());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    let _connection = node.opened().await;
    assert!(matches!(node.received().await.0, Message::Hello(_)));
    node.pause(true);
    let ping = |nonce| frame_of(&Message::Ping { nonce, wall_ms: 1 });
    for nonce in 0..1_000 {
        peer.write(&ping(nonce)).await;
    }
    assert!(matches!(
        node.received().await.0,
        Message::Ping { nonce: 0, .. }
    ));
    // The time is longer than frames may trickle, and than a peer may stall.
    assert!(node.is_quiet_for(600).await, "nothing more is read");
    node.pause(false);
    for expected in 1..1_000 {
        let (message, _) = node.received().await;
        assert!(matches!(message, Message::Ping { nonce, .. } if nonce == expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_connection_can_be_closed() {
    let mut node = Node::new(Manner::Greets, quick());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    let connection = node.opened().await;
    node.received().await;
    node.pause(true);
    peer.write(&frame_of(&Message::Ping {
        nonce: 1,
        wall_ms: 1,
    }))
    .await;
    node.received().await;
    connection.close(false);
    assert!(matches!(
        reason_for(&mut node).await,
        CloseReason::Requested
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_in_a_long_pause_is_gone_whatever_it_has_sent() {
    let mut node = Node::new(Manner::Greets, quick());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    let _connection = node.opened().await;
    node.received().await;
    node.pause(true);
    for nonce in 0..1_000 {
        peer.write(&frame_of(&Message::Ping { nonce, wall_ms: 1 }))
            .await;
    }
    node.received().await;
    drop(peer);
    assert!(matches!(
        node.closed().await,
        CloseReason::PeerClosed | CloseReason::Lost(_)
    ));
}
