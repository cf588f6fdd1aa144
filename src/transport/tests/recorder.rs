//! Events that a test can wait for, and peers that are only a socket.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::samples::hello;
use crate::core::limits::CHUNK_BYTES_MAX;
use crate::sync::message::{Chunk, Feed, RefusalCode, Stream};
use crate::transport::session::Role;
use crate::transport::session::address::HostPort;
use crate::transport::session::close::CloseReason;
use crate::transport::tcp::{
    Connection, ConnectionEvents, ConnectionId, Listener, Reception, TcpSettings, TcpTransport,
};
use crate::transport::wire::codec::{decode, encode};
use crate::transport::wire::frame::FrameDecoder;
use crate::transport::wire::message::Message;

/// Longest time that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(8);

/// Frames that a refusing owner sends: 7 MiB.
pub(super) const REFUSAL_FRAMES: usize = 28;

#[derive(Debug)]
pub(super) enum Event {
    Opened(Arc<Connection>),
    Received(Message, bool),
    Charged(u64),
    Refused(Stream, u64, RefusalCode),
    Closed(CloseReason),
}

/// Behavior of the owner of connections when HELLO comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Accepts the peer at once.
    Greets,
    /// Leaves the answer to the test.
    Waits,
    /// Sends more than a socket holds, and does not accept the peer.
    Refuses,
    /// Panics, as an owner with a bug does.
    Panics,
}

pub(super) struct Recorder {
    manner: Manner,
    events: UnboundedSender<Event>,
    connections: Mutex<Vec<Arc<Connection>>>,
    heard: Mutex<u64>,
    /// True if nothing more is to be read.
    pauses: AtomicBool,
}

impl Recorder {
    fn connection(&self, id: ConnectionId) -> Arc<Connection> {
        let connections = self.connections.lock();
        let found = connections.iter().find(|one| one.id() == id);
        Arc::clone(found.expect("opened before anything else"))
    }

    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

impl ConnectionEvents for Recorder {
    fn opened(&self, connection: &Arc<Connection>, role: Role, _purpose: u64) {
        assert_eq!(connection.role(), role);
        self.connections.lock().push(Arc::clone(connection));
        self.tell(Event::Opened(Arc::clone(connection)));
    }

    fn received(&self, id: ConnectionId, message: Message, is_charged: bool) -> Reception {
        let is_hello = matches!(message, Message::Hello(_));
        // The flag is read before the test hears of the message.
        let pauses = self.pauses.load(Ordering::Relaxed);
        self.tell(Event::Received(message, is_charged));
        if is_hello {
            let connection = self.connection(id);
            match self.manner {
                Manner::Greets => connection.greeted(),
                Manner::Waits => {}
                Manner::Refuses => {
                    for _ in 0..REFUSAL_FRAMES {
                        let bytes = vec![0; CHUNK_BYTES_MAX];
                        let chunk = Message::Feed(Feed::Chunk(Chunk { bytes }));
                        connection.send(&frame_of(&chunk)).unwrap();
                    }
                    return Reception::Refused;
                }
                Manner::Panics => panic!("on purpose"),
            }
        }
        if pauses {
            Reception::Paused
        } else {
            Reception::Taken
        }
    }

    fn pause_ms(&self, _id: ConnectionId) -> u64 {
        u64::from(self.pauses.load(Ordering::Relaxed)) * 60
    }

    fn heard(&self, _id: ConnectionId) {
        *self.heard.lock() += 1;
    }

    fn charged(&self, _id: ConnectionId, cost: u64) {
        self.tell(Event::Charged(cost));
    }

    fn refused(&self, _id: ConnectionId, stream: Stream, lseq_to: u64, code: RefusalCode) {
        self.tell(Event::Refused(stream, lseq_to, code));
    }

    fn closed(&self, id: ConnectionId, reason: CloseReason) {
        let was_open = self.connections.lock().iter().any(|one| one.id() == id);
        assert!(was_open, "closed without having been opened");
        self.tell(Event::Closed(reason));
    }
}

/// A transport whose events a test waits for.
pub(super) struct Node {
    pub(super) transport: TcpTransport,
    pub(super) recorder: Arc<Recorder>,
    events: UnboundedReceiver<Event>,
}

impl Node {
    pub(super) fn new(manner: Manner, settings: TcpSettings) -> Self {
        let (sender, events) = unbounded_channel();
        let recorder = Arc::new(Recorder {
            manner,
            events: sender,
            connections: Mutex::new(Vec::new()),
            heard: Mutex::new(0),
            pauses: AtomicBool::new(false),
        });
        let owner: Arc<dyn ConnectionEvents> = Arc::<Recorder>::clone(&recorder);
        Self {
            transport: TcpTransport::new(Handle::current(), settings, owner),
            recorder,
            events,
        }
    }

    pub(super) fn greeting() -> Self {
        Self::new(Manner::Greets, TcpSettings::default())
    }

    pub(super) async fn listen(&self) -> (Listener, HostPort) {
        let any = HostPort::new("127.0.0.1", 0).unwrap();
        let listener = self.transport.listen(&any).await.unwrap();
        let address = HostPort::new("127.0.0.1", listener.local_addr().port()).unwrap();
        (listener, address)
    }

    /// Pauses reading on all connections, or resumes it.
    pub(super) fn pause(&self, pauses: bool) {
        self.recorder.pauses.store(pauses, Ordering::Relaxed);
    }

    pub(super) fn heard(&self) -> u64 {
        *self.recorder.heard.lock()
    }

    pub(super) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv())
            .await
            .expect("an event in time")
            .expect("an event")
    }

    /// True if no event comes for `ms` milliseconds.
    pub(super) async fn is_quiet_for(&mut self, ms: u64) -> bool {
        timeout(Duration::from_millis(ms), self.events.recv())
            .await
            .is_err()
    }

    pub(super) async fn opened(&mut self) -> Arc<Connection> {
        match self.next().await {
            Event::Opened(connection) => connection,
            other => panic!("instead of opening: {other:?}"),
        }
    }

    pub(super) async fn received(&mut self) -> (Message, bool) {
        match self.next().await {
            Event::Received(message, is_charged) => (message, is_charged),
            other => panic!("instead of a message: {other:?}"),
        }
    }

    pub(super) async fn closed(&mut self) -> CloseReason {
        match self.next().await {
            Event::Closed(reason) => reason,
            other => panic!("instead of closing: {other:?}"),
        }
    }

    /// Opens a connection to `other`, with both sides greeted.
    pub(super) async fn meet(
        &mut self,
        other: &mut Self,
        address: &HostPort,
    ) -> (Arc<Connection>, Arc<Connection>) {
        let here = self.transport.dial(address, 5_000, 0).await.unwrap();
        assert_eq!(self.opened().await.id(), here.id());
        let there = other.opened().await;
        here.send(&hello_frame("here")).unwrap();
        there.send(&hello_frame("there")).unwrap();
        assert!(matches!(self.received().await.0, Message::Hello(_)));
        assert!(matches!(other.received().await.0, Message::Hello(_)));
        (here, there)
    }
}

pub(super) fn hello_frame(node_id: &str) -> Vec<u8> {
    frame_of(&Message::Hello(Box::new(hello(node_id, 1))))
}

pub(super) fn frame_of(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    encode(message, &mut frame).unwrap();
    frame
}

/// A peer that is only a socket.
pub(super) struct RawPeer {
    pub(super) stream: TcpStream,
}

impl RawPeer {
    pub(super) async fn connect(address: &HostPort) -> Self {
        let stream = TcpStream::connect((address.host.as_str(), address.port))
            .await
            .unwrap();
        Self { stream }
    }

    /// Connects and sends HELLO.
    pub(super) async fn greet(address: &HostPort) -> Self {
        let mut peer = Self::connect(address).await;
        peer.write(&hello_frame("raw")).await;
        peer
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// All messages until the other side closes.
    pub(super) async fn read_to_end(&mut self) -> Vec<Message> {
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, self.stream.read_to_end(&mut bytes));
        // A reset ends the stream as well.
        let _ = read.await.expect("the other side closes in time");
        let mut decoder = FrameDecoder::new();
        decoder.raise_limit();
        decoder.push(&bytes);
        let mut messages = Vec::new();
        while let Some(frame) = decoder.next_frame().unwrap() {
            messages.extend(decode(frame.kind, frame.payload).unwrap());
        }
        messages
    }
}
