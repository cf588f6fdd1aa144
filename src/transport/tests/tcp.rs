//! Two transports over loopback.

use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::recorder::{Event, Manner, Node, REFUSAL_FRAMES, RawPeer, frame_of, hello_frame};
use super::samples::entry;
use crate::core::error_kind::ErrorKind;
use crate::sync::message::{Batch, Feed, Stream};
use crate::transport::session::Role;
use crate::transport::session::address::HostPort;
use crate::transport::session::close::CloseReason;
use crate::transport::tcp::TcpSettings;
use crate::transport::tcp::connection::SendError;
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

fn batch(lseq: u64, value_bytes: usize) -> Message {
    Message::Feed(Feed::Batch(Batch {
        stream: Stream::Own,
        from: lseq - 1,
        to: lseq,
        entries: vec![entry(b"key", &vec![7; value_bytes], 1, lseq, 1_000)],
    }))
}

fn ping(nonce: u64) -> Message {
    Message::Ping { nonce, wall_ms: 0 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_exchange_in_order_and_part() {
    let (mut a, mut b) = (Node::greeting(), Node::greeting());
    let (listener, address) = b.listen().await;
    let (here, there) = a.meet(&mut b, &address).await;
    assert_eq!((here.role(), there.role()), (Role::Dialled, Role::Accepted));
    assert_eq!(here.remote(), listener.local_addr());
    for lseq in 1..=200 {
        here.send(&frame_of(&batch(lseq, 20_000))).unwrap();
        there.send(&frame_of(&ping(lseq))).unwrap();
    }
    for lseq in 1..=200 {
        let (message, is_charged) = b.received().await;
        assert_eq!(message, batch(lseq, 20_000));
        assert!(!is_charged);
        assert_eq!(a.received().await.0, ping(lseq));
    }
    let goodbye = Message::Goodbye(Goodbye::new(GoodbyeReason::Closing, "bye", None));
    here.send(&frame_of(&goodbye)).unwrap();
    here.close(true);
    assert_eq!(here.send(b"more"), Err(SendError::Closed));
    assert_eq!(b.received().await.0, goodbye);
    assert_eq!(b.closed().await, CloseReason::PeerClosed);
    assert_eq!(a.closed().await, CloseReason::Requested);
    assert_eq!(here.bytes_sent(), there.bytes_received());
    assert_eq!(there.bytes_sent(), here.bytes_received());
    assert!(a.heard() > 0 && b.heard() > 0);
    a.transport.drained().await;
    b.transport.drained().await;
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_of_many_threads_stay_whole() {
    let (mut a, mut b) = (Node::greeting(), Node::greeting());
    let (_listener, address) = b.listen().await;
    let (here, _there) = a.meet(&mut b, &address).await;
    let sender = std::sync::Arc::clone(&here);
    tokio::task::spawn_blocking(move || {
        std::thread::scope(|scope| {
            for thread in 1..=4_u64 {
                let sender = &sender;
                scope.spawn(move || {
                    for n in 0..200 {
                        let message = batch(thread * 1_000 + n, 3_000);
                        sender.send(&frame_of(&message)).unwrap();
                    }
                });
            }
        });
    })
    .await
    .unwrap();
    let mut last = [0; 5];
    for _ in 0..800 {
        let Message::Feed(Feed::Batch(batch)) = b.received().await.0 else {
            panic!("a batch");
        };
        let thread = usize::try_from(batch.to / 1_000).unwrap();
        assert!(last[thread] < batch.to, "each thread's frames in order");
        last[thread] = batch.to;
    }
    here.close(false);
    assert_eq!(a.closed().await, CloseReason::Requested);
    assert_eq!(here.outgoing_bytes(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_after_flush_delivers_what_waits_even_while_the_peer_talks() {
    let (mut a, mut b) = (Node::greeting(), Node::greeting());
    let (_listener, address) = b.listen().await;
    let (here, there) = a.meet(&mut b, &address).await;
    for lseq in 1..=30 {
        here.send(&frame_of(&batch(lseq, 200_000))).unwrap();
    }
    here.close(true);
    for nonce in 1..=30 {
        // The other side may have closed already.
        let _ = there.send(&frame_of(&ping(nonce)));
    }
    for lseq in 1..=30 {
        assert_eq!(b.received().await.0, batch(lseq, 200_000));
    }
    assert_eq!(b.closed().await, CloseReason::PeerClosed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_port_and_a_refused_call_say_so() {
    let mut a = Node::greeting();
    let (listener, address) = a.listen().await;
    let other = Node::greeting();
    let busy = other.transport.listen(&address).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::AddressInUse);
    assert_eq!(
        busy.to_string(),
        format!("failed to start transport: port already in use ({address})")
    );
    let name = HostPort::new("localhost", address.port).unwrap();
    let busy = other.transport.listen(&name).await.unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::AddressInUse);
    listener.stop().await;
    let refused = other.transport.dial(&address, 5_000, 0).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let text = refused.to_string();
    assert!(text.starts_with("connection refused (127.0.0.1:"), "{text}");
    assert!(std::error::Error::source(&refused).is_some());
    assert!(a.is_quiet_for(1).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_beyond_this_machine_is_refused_without_protection() {
    let node = Node::greeting();
    let everywhere = HostPort::new("0.0.0.0", 0).unwrap();
    let error = node.transport.listen(&everywhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InsecureHost);
    let error = node.transport.dial(&everywhere, 100, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InsecureHost);
    let mut settings = TcpSettings::default();
    settings.protection.allow_insecure = true;
    let open = Node::new(Manner::Greets, settings);
    let listener = open.transport.listen(&everywhere).await.unwrap();
    listener.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_listener_leaves_its_port_free_and_its_connections_alive() {
    let (mut a, mut b) = (Node::greeting(), Node::greeting());
    let (listener, address) = b.listen().await;
    let (here, _there) = a.meet(&mut b, &address).await;
    listener.stop().await;
    let again = b.transport.listen(&address).await.unwrap();
    here.send(&frame_of(&ping(1))).unwrap();
    assert_eq!(b.received().await.0, ping(1));
    here.close(false);
    assert_eq!(b.closed().await, CloseReason::PeerClosed);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_hello_waits_until_the_peer_is_accepted() {
    let mut node = Node::new(Manner::Waits, TcpSettings::default());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    peer.write(&frame_of(&batch(1, 250_000))).await;
    let connection = node.opened().await;
    assert!(matches!(node.received().await.0, Message::Hello(_)));
    assert!(node.is_quiet_for(100).await);
    connection.greeted();
    assert_eq!(node.received().await.0, batch(1, 250_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_not_accepted_hears_why() {
    let mut node = Node::new(Manner::Refuses, TcpSettings::default());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    // Unread bytes must not turn the farewell into a reset.
    peer.write(&[0; 100]).await;
    let said = peer.read_to_end().await;
    assert_eq!(said.len(), REFUSAL_FRAMES);
    drop(peer);
    assert!(matches!(node.next().await, Event::Opened(..)));
    assert!(matches!(node.next().await, Event::Received(..)));
    assert_eq!(node.closed().await, CloseReason::NotAccepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_an_owner_still_closes_once() {
    let mut node = Node::new(Manner::Panics, TcpSettings::default());
    let (_listener, address) = node.listen().await;
    let mut peer = RawPeer::greet(&address).await;
    assert!(peer.read_to_end().await.is_empty());
    node.opened().await;
    node.received().await;
    node.closed().await;
    node.transport.drained().await;
    assert!(node.is_quiet_for(50).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_answers_times_out() {
    // Nothing accepts there, and the backlog is full: most systems do not answer any more, some refuse.
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&any.into()).unwrap();
    deaf.listen(1).unwrap();
    let full = deaf.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let call = timeout(Duration::from_millis(50), TcpStream::connect(full));
        waiting.extend(call.await);
    }
    let node = Node::greeting();
    let address = HostPort::new("127.0.0.1", full.port()).unwrap();
    let error = node.transport.dial(&address, 100, 0).await.unwrap_err();
    if error.kind() == ErrorKind::TimedOut {
        let text = error.to_string();
        assert!(text.starts_with("connection timed out ("), "{text}");
    } else {
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    assert!(error.is_retryable());
    assert_eq!(node.transport.live_connections(), 0);
}

#[test]
fn a_runtime_that_goes_away_closes_its_connections() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (mut node, connection) = runtime.block_on(async {
        let mut node = Node::greeting();
        let (listener, address) = node.listen().await;
        let mut peer = RawPeer::greet(&address).await;
        let connection = node.opened().await;
        node.received().await;
        peer.write(&[]).await;
        listener.stop().await;
        (node, connection)
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    assert_eq!(
        connection.send(&hello_frame("late")),
        Err(SendError::Closed)
    );
    assert_eq!(node.transport.live_connections(), 0);
    let other = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    other.block_on(async {
        node.closed().await;
        let address = HostPort::new("127.0.0.1", 1).unwrap();
        let error = node.transport.dial(&address, 100, 0).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stopped);
    });
}
