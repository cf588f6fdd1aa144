//! The reading half of a connection: bytes to frames, frames to messages, chunks to values.

use socket2::SockRef;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use tokio::io::{Interest, Ready};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::connection::Connection;
use super::events::Reception;
use super::outgoing::Phase;
use crate::core::clock::MonotonicMs;
use crate::sync::message::{Feed, Large};
use crate::transport::session::chunks::{Assembled, Assembler, AssemblyError};
use crate::transport::session::close::CloseReason;
use crate::transport::wire::codec::decode;
use crate::transport::wire::frame::FrameDecoder;
use crate::transport::wire::message::Message;

/// Room made for one read before the peer has greeted, in bytes.
const STRANGER_READ_BYTES: usize = 4 << 10;

/// Room made for one read after the greeting, in bytes: fewer system calls while a feed streams.
const READ_BYTES: usize = 64 << 10;

/// Quiet time after which memory beyond the usual is given back, in milliseconds.
const QUIET_MS: u64 = 1_000;

/// Least time between two reports that bytes came, in milliseconds: reports are much more frequent than the timeout
/// needs, and not one for each byte of a peer that sends them one by one.
const HEARD_EVERY_MS: u64 = 250;

/// Shortest pause that only a peer far beyond its share gets, in milliseconds. If it leaves during such a pause, its
/// unread messages are dropped; shorter pauses are waited out, since an honest peer may send its last writes and
/// leave.
const LONG_PAUSE_MS: u64 = 50;

/// Longest pause before its length is asked for again, in milliseconds.
const PAUSE_MS_MAX: u64 = 250;

/// Result of a wait for bytes.
enum Waited {
    /// There may be bytes to read.
    Readable,
    /// The connection ends.
    Ending,
    /// The time is over.
    Elapsed,
}

/// Reader of one connection.
pub(super) struct Reader {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    stream: Arc<TcpStream>,
    decoder: FrameDecoder,
    assembler: Option<Assembler>,
    hello_until: MonotonicMs,
    /// When the current incomplete frame began.
    frame_began: MonotonicMs,
    /// When it was last reported that bytes came.
    heard_at: Option<MonotonicMs>,
    limit_is_raised: bool,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        connection: Arc<Connection>,
        stream: Arc<TcpStream>,
    ) -> Self {
        let now = shared.clock.monotonic();
        let assembler = Assembler::new(
            shared.settings.value_bytes_max,
            shared.settings.spool_folder.clone(),
            Arc::clone(&shared.spool),
            Arc::clone(&shared.unfinished),
        );
        Self {
            hello_until: now.after(shared.settings.hello_timeout_ms),
            shared,
            connection,
            stream,
            decoder: FrameDecoder::new(),
            assembler: Some(assembler),
            frame_began: now,
            heard_at: None,
            limit_is_raised: false,
        }
    }

    /// Reads and delivers until this side ends the connection (`Ok`) or the peer gives a reason to end it (`Err`).
    pub(super) async fn read_until_ending(&mut self) -> Result<(), CloseReason> {
        loop {
            match self.wait_for_bytes().await? {
                Waited::Ending => return Ok(()),
                Waited::Elapsed => self.decoder.release_memory(),
                Waited::Readable => {
                    if self.decoder.pending_bytes() == 0 {
                        self.frame_began = self.shared.clock.monotonic();
                    }
                    if self.read_once()? {
                        self.tell_heard();
                        self.deliver_frames().await?;
                        tokio::task::coop::consume_budget().await;
                    }
                }
            }
        }
    }

    /// Reports that bytes came, unless that was reported a moment ago.
    fn tell_heard(&mut self) {
        let now = self.shared.clock.monotonic();
        let is_reported = |at: MonotonicMs| now < at.after(HEARD_EVERY_MS);
        if !self.heard_at.is_some_and(is_reported) {
            self.heard_at = Some(now);
            self.shared.events.heard(self.connection.id());
        }
    }

    /// Waits while the peer is beyond its share. Bytes that it sends meanwhile stay in its socket.
    async fn pause(&mut self) -> Result<(), CloseReason> {
        while self.connection.phase() == Phase::Open {
            let pause_ms = self.shared.events.pause_ms(self.connection.id());
            if pause_ms == 0 {
                return Ok(());
            }
            if pause_ms >= LONG_PAUSE_MS && self.is_peer_gone().await {
                // The peer's earlier messages would keep this node busy for nobody.
                return Err(CloseReason::PeerClosed);
            }
            let until = self.shared.clock.monotonic();
            let until = self.instant_of(until.after(pause_ms.min(PAUSE_MS_MAX)));
            if timeout_at(until, self.connection.ending.notified())
                .await
                .is_ok()
            {
                // The notice is passed on, because the next reader has to see it too.
                self.connection.ending.notify_one();
                return Ok(());
            }
            // A pause of reading must not count as the peer's silence.
            self.tell_heard();
        }
        Ok(())
    }

    /// True if the peer has closed its side, even while there are unread bytes.
    async fn is_peer_gone(&self) -> bool {
        tokio::select! {
            biased;
            ready = self.stream.ready(Interest::READABLE) => ready.is_ok_and(Ready::is_read_closed),
            () = std::future::ready(()) => false,
        }
    }

    /// Shuts down writing, which tells the peer that nothing follows; false if the connection is gone.
    pub(super) fn shut_down_writing(&self) -> bool {
        SockRef::from(&*self.stream)
            .shutdown(Shutdown::Write)
            .is_ok()
    }

    /// Reads and drops bytes until the peer has closed.
    pub(super) async fn discard_until_closed(&mut self) {
        let mut discarded = [0; 4096];
        while self.stream.readable().await.is_ok() {
            match self.stream.try_read(&mut discarded) {
                Ok(0) => return,
                Ok(_) => tokio::task::coop::consume_budget().await,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Waits for bytes, for as long as the peer may be silent at this point.
    async fn wait_for_bytes(&self) -> Result<Waited, CloseReason> {
        let pending = self.decoder.pending_bytes();
        let greeted = self.connection.is_greeted();
        let pace = self.shared.settings.pace;
        let trickled = (pending > 0).then(|| pace.deadline(self.frame_began, pending));
        let silent = (!greeted).then_some(self.hello_until);
        let quiet = (pending == 0 && self.decoder.is_swollen())
            .then(|| self.shared.clock.monotonic().after(QUIET_MS));
        let waited = self
            .wait_until([trickled, silent, quiet].into_iter().flatten().min())
            .await?;
        let now = self.shared.clock.monotonic();
        match waited {
            Waited::Elapsed if silent.is_some_and(|until| now >= until) => {
                Err(CloseReason::HelloTimeout)
            }
            Waited::Elapsed if trickled.is_some_and(|until| now >= until) => {
                Err(CloseReason::Trickled)
            }
            waited => Ok(waited),
        }
    }

    async fn wait_until(&self, until: Option<MonotonicMs>) -> Result<Waited, CloseReason> {
        let wait = async {
            tokio::select! {
                biased;
                () = self.connection.ending.notified() => Ok(Waited::Ending),
                ready = self.stream.readable() => ready
                    .map(|()| Waited::Readable)
                    .map_err(|error| CloseReason::Lost(error.kind())),
            }
        };
        match until {
            None => wait.await,
            Some(until) => timeout_at(self.instant_of(until), wait)
                .await
                .unwrap_or(Ok(Waited::Elapsed)),
        }
    }

    fn instant_of(&self, at: MonotonicMs) -> Instant {
        Instant::from_std(self.shared.clock.instant_of(at))
    }

    /// Reads once from the socket. Returns true if bytes came.
    fn read_once(&mut self) -> Result<bool, CloseReason> {
        let room = if self.limit_is_raised {
            READ_BYTES
        } else {
            STRANGER_READ_BYTES
        };
        let arriving = self.decoder.arriving();
        arriving.reserve(room);
        match self.stream.try_read_buf(arriving) {
            Ok(0) => Err(CloseReason::PeerClosed),
            Ok(count) => {
                self.connection.count_received(count);
                Ok(true)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(false),
                kind => Err(CloseReason::Lost(kind)),
            },
        }
    }

    async fn deliver_frames(&mut self) -> Result<(), CloseReason> {
        while self.connection.phase() == Phase::Open {
            let Some(frame) = self.decoder.next_frame()? else {
                break;
            };
            let kind = frame.kind;
            let message = decode(kind, frame.payload)
                .map_err(|error| CloseReason::Message { kind, error })?;
            match message {
                None => {}
                Some(Message::Feed(feed @ (Feed::Large(_) | Feed::Chunk(_))))
                    if self.limit_is_raised =>
                {
                    self.assemble(feed).await?;
                }
                Some(message) => self.deliver(message, false).await?,
            }
            // The next frame begins now, however long the delivery took.
            self.frame_began = self.shared.clock.monotonic();
        }
        Ok(())
    }

    async fn deliver(&mut self, message: Message, is_charged: bool) -> Result<(), CloseReason> {
        let events = &self.shared.events;
        let peer = match &message {
            Message::Hello(hello) if !self.limit_is_raised => Some(hello.greeting.origin),
            _ => None,
        };
        if let Some(peer) = peer {
            let now = self.shared.clock.monotonic();
            let parts = self.shared.unfinished.parts_of(peer, now);
            events.keeps(self.connection.id(), parts);
        }
        let reception = events.received(self.connection.id(), message, is_charged);
        if reception == Reception::Refused {
            return Err(CloseReason::NotAccepted);
        }
        if !self.limit_is_raised {
            self.wait_until_greeted().await?;
        }
        if let (Some(peer), Some(assembler)) = (peer, &mut self.assembler)
            && self.limit_is_raised
        {
            assembler.greeted(peer);
        }
        if reception == Reception::Paused {
            self.pause().await?;
        }
        Ok(())
    }

    /// Waits until the peer is accepted: messages after HELLO may be large, so they are not decoded before.
    async fn wait_until_greeted(&mut self) -> Result<(), CloseReason> {
        let now = self.shared.clock.monotonic();
        let until = now.after(self.shared.settings.hello_timeout_ms);
        let greeted = async {
            while !self.connection.is_greeted() && self.connection.phase() == Phase::Open {
                tokio::select! {
                    () = self.connection.greeting.notified() => {}
                    () = self.connection.ending.notified() => {
                        // The notice is passed on, because the next reader has to see it too.
                        self.connection.ending.notify_one();
                        return;
                    }
                }
            }
        };
        timeout_at(self.instant_of(until), greeted)
            .await
            .map_err(|_| CloseReason::HelloTimeout)?;
        if self.connection.is_greeted() {
            self.decoder.raise_limit();
            self.limit_is_raised = true;
        }
        Ok(())
    }

    async fn assemble(&mut self, part: Feed) -> Result<(), CloseReason> {
        let id = self.connection.id();
        let cost = part.cost();
        let outcome = self.take_part(part).await?;
        self.shared.events.charged(id, cost);
        match outcome {
            Assembled::Nothing => Ok(()),
            Assembled::Complete(batch) => {
                self.deliver(Message::Feed(Feed::Batch(batch)), true).await
            }
            Assembled::Refused {
                stream,
                lseq_to,
                code,
            } => {
                self.shared.events.refused(id, stream, lseq_to, code);
                Ok(())
            }
        }
    }

    async fn take_part(&mut self, part: Feed) -> Result<Assembled, AssemblyError> {
        let mut assembler = self.assembler.take().ok_or(AssemblyError::Interrupted)?;
        let goes_on = |large: &Large| large.resumption.is_some_and(|begun| begun.offset > 0);
        let may_block =
            assembler.may_block() || matches!(&part, Feed::Large(large) if goes_on(large));
        let now = self.shared.clock.monotonic();
        let step = move || {
            let outcome = match part {
                Feed::Large(large) => assembler.on_large(large, now),
                Feed::Chunk(chunk) => assembler.on_chunk(&chunk, now),
                _ => Err(AssemblyError::Interrupted),
            };
            (assembler, outcome)
        };
        let (assembler, outcome) = if may_block {
            tokio::task::spawn_blocking(step)
                .await
                .map_err(|_| AssemblyError::Interrupted)?
        } else {
            step()
        };
        self.assembler = Some(assembler);
        outcome
    }
}
