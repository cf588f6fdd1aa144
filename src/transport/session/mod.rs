//! The session of one connection, from HELLO to GOODBYE: the order of messages, the liveness of the peer, and the skew
//! of its clock. Pure: a driver hands in messages and the time, and sends the results.

pub mod address;
pub mod backoff;
pub mod chunks;
pub mod close;
pub mod duplicate;
pub mod half_open;
pub mod liveness;
pub mod pace;
pub mod unfinished;
pub mod work;

use thiserror::Error;

use super::session::liveness::{ClockSample, Liveness};
use super::wire::message::{Goodbye, GoodbyeReason, Hello, Message};
use crate::core::clock::{MonotonicMs, Now};
use crate::sync::message::{Feed, Greeting};

/// Longest time until a peer sends HELLO, in milliseconds.
pub const HELLO_TIMEOUT_MS: u64 = 5_000;

/// Silence after which a ping is sent, in milliseconds, unless the peer asked for less.
pub const KEEPALIVE_MS: u64 = 10_000;

/// Shortest interval of pings that a peer may ask for, in milliseconds.
pub const KEEPALIVE_MS_MIN: u64 = 1_000;

/// Silence after which the connection is given up, in milliseconds.
pub const IDLE_MS: u64 = 60_000;

/// Side of a connection that this node is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// This node called.
    Dialled,
    /// This node was called.
    Accepted,
}

/// Times of a session, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// Longest time until HELLO, see [`HELLO_TIMEOUT_MS`].
    pub hello_timeout_ms: u64,
    /// Silence before a ping, see [`KEEPALIVE_MS`]. HELLO tells [`Hello::keepalive_ms`]; both must be equal.
    pub keepalive_ms: u64,
    /// Silence before giving up, see [`IDLE_MS`].
    pub idle_ms: u64,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            hello_timeout_ms: HELLO_TIMEOUT_MS,
            keepalive_ms: KEEPALIVE_MS,
            idle_ms: IDLE_MS,
        }
    }
}

/// Why a session cannot go on. The connection ends; local data is not affected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// Another message came before HELLO.
    #[error("the peer spoke before it said who it is")]
    NotGreeted,
    /// The peer sent HELLO twice.
    #[error("the peer said HELLO twice")]
    GreetedTwice,
    /// A message came after GOODBYE.
    #[error("the peer spoke after its goodbye")]
    AfterGoodbye,
    /// The two nodes have no protocol version in common.
    #[error(
        "the peer speaks protocols {theirs_min} to {theirs_max}, this node {mine_min} to {mine_max}"
    )]
    Protocol {
        /// This node's oldest protocol.
        mine_min: u16,
        /// This node's newest protocol.
        mine_max: u16,
        /// The peer's oldest protocol.
        theirs_min: u16,
        /// The peer's newest protocol.
        theirs_max: u16,
    },
    /// Another node answered than the dialler expected; on either side.
    #[error("the node is \"{found}\", but \"{expected}\" was called")]
    WrongNode {
        /// Label of the node that the dialler expected.
        expected: String,
        /// Label of the node that answered.
        found: String,
    },
    /// The node has called itself.
    #[error("the node has called itself")]
    SelfConnection,
}

impl SessionError {
    /// The GOODBYE to send before closing.
    pub fn goodbye(&self) -> Goodbye {
        let reason = match self {
            Self::NotGreeted | Self::GreetedTwice | Self::AfterGoodbye => GoodbyeReason::Malformed,
            Self::Protocol { .. } => GoodbyeReason::Protocol,
            Self::WrongNode { .. } => GoodbyeReason::WrongNode,
            Self::SelfConnection => GoodbyeReason::SelfConnection,
        };
        Goodbye::new(reason, self.to_string(), None)
    }
}

/// Result of a message for the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// The peer has greeted; once, before any other event.
    Greeted(Box<Hello>),
    /// A message for the replica.
    Feed(Feed),
    /// A message that has to be sent.
    Reply(Message),
    /// Nothing to do.
    Nothing,
    /// The peer leaves: close the connection.
    Left(Goodbye),
}

/// Result of the passing of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeVerdict {
    /// Nothing to do before [`Session::deadline`].
    Nothing,
    /// A message that has to be sent.
    Send(Message),
    /// The connection has to end.
    Close(SilenceReason),
}

/// The silence that lasted too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SilenceReason {
    /// No HELLO came in time.
    HelloTimeout,
    /// No byte came for too long.
    Idle,
}

#[derive(Debug)]
enum Phase {
    AwaitingHello {
        until: MonotonicMs,
    },
    Greeted {
        #[cfg(test)]
        protocol: u16,
        liveness: Liveness,
    },
    /// The session is over; the peer's clock sample and the time it was last heard stay known.
    Left(Option<Liveness>),
}

/// State of one session.
///
/// Send [`Self::opening`] first. Then hand in every message ([`Self::on_message`]), the arrival of any bytes
/// ([`Self::on_bytes`]), and the time at [`Self::deadline`] or later ([`Self::on_time`]).
#[derive(Debug)]
pub struct Session {
    hello: Hello,
    settings: SessionSettings,
    phase: Phase,
}

impl Session {
    /// A session that begins now, with the usual times. `hello` is this side's HELLO.
    pub fn new(hello: Hello, now: Now) -> Self {
        let settings = SessionSettings {
            keepalive_ms: hello.keepalive_ms.max(KEEPALIVE_MS_MIN),
            ..SessionSettings::default()
        };
        Self::with_settings(hello, settings, now)
    }

    /// A session like [`Self::new`], with other times.
    pub fn with_settings(hello: Hello, settings: SessionSettings, now: Now) -> Self {
        let until = now.monotonic.after(settings.hello_timeout_ms);
        Self {
            hello,
            settings,
            phase: Phase::AwaitingHello { until },
        }
    }

    /// Sets the greeting of this side, before its HELLO is sent.
    pub fn greet_with(&mut self, greeting: Greeting) {
        self.hello.greeting = greeting;
    }

    /// The first message of this side, to be sent at once: neither side waits for the other.
    pub fn opening(&self) -> Message {
        Message::Hello(Box::new(self.hello.clone()))
    }

    /// The random number of this side's attempt to connect.
    pub fn instance(&self) -> u64 {
        self.hello.instance
    }

    /// The protocol that both agreed on; `None` before the greeting.
    #[cfg(test)]
    pub fn protocol(&self) -> Option<u16> {
        match &self.phase {
            Phase::Greeted { protocol, .. } => Some(*protocol),
            Phase::AwaitingHello { .. } | Phase::Left(_) => None,
        }
    }

    /// The best sample of the peer's clock; `None` if there is none.
    pub fn clock_sample(&self) -> Option<ClockSample> {
        match &self.phase {
            Phase::Greeted { liveness, .. } | Phase::Left(Some(liveness)) => {
                liveness.clock_sample()
            }
            Phase::AwaitingHello { .. } | Phase::Left(None) => None,
        }
    }

    /// When the peer was last heard; `None` before its greeting.
    pub fn heard(&self) -> Option<MonotonicMs> {
        match &self.phase {
            Phase::Greeted { liveness, .. } | Phase::Left(Some(liveness)) => Some(liveness.heard()),
            Phase::AwaitingHello { .. } | Phase::Left(None) => None,
        }
    }

    /// Takes in a message. On an error send [`SessionError::goodbye`] and close.
    pub fn on_message(&mut self, message: Message, now: Now) -> Result<SessionEvent, SessionError> {
        self.on_bytes(now);
        let liveness = match (&mut self.phase, message) {
            (Phase::Left(_), _) => return Err(SessionError::AfterGoodbye),
            (_, Message::Goodbye(goodbye)) => {
                let left = Phase::Left(None);
                if let Phase::Greeted { liveness, .. } = std::mem::replace(&mut self.phase, left) {
                    self.phase = Phase::Left(Some(liveness));
                }
                return Ok(SessionEvent::Left(goodbye));
            }
            (Phase::AwaitingHello { .. }, Message::Hello(hello)) => return self.greet(hello, now),
            (Phase::AwaitingHello { .. }, _) => return Err(SessionError::NotGreeted),
            (Phase::Greeted { .. }, Message::Hello(_)) => return Err(SessionError::GreetedTwice),
            (Phase::Greeted { .. }, Message::Feed(feed)) => return Ok(SessionEvent::Feed(feed)),
            (Phase::Greeted { .. }, Message::Ping { nonce, wall_ms }) => {
                return Ok(SessionEvent::Reply(Message::Pong {
                    nonce,
                    echoed_wall_ms: wall_ms,
                    wall_ms: now.wall.0,
                }));
            }
            (Phase::Greeted { liveness, .. }, Message::Pong { nonce, wall_ms, .. }) => {
                (liveness, nonce, wall_ms)
            }
        };
        let (liveness, nonce, wall_ms) = liveness;
        liveness.on_pong(nonce, wall_ms, now);
        Ok(SessionEvent::Nothing)
    }

    /// Takes in that bytes of any kind came: the peer is alive.
    pub fn on_bytes(&mut self, now: Now) {
        if let Phase::Greeted { liveness, .. } = &mut self.phase {
            liveness.on_bytes(now.monotonic);
        }
    }

    /// A ping that is not due, to find out at once whether the peer is there; `None` before its greeting.
    pub fn ping(&mut self, now: Now) -> Option<Message> {
        let Phase::Greeted { liveness, .. } = &mut self.phase else {
            return None;
        };
        let (nonce, wall_ms) = liveness.ping_now(now);
        Some(Message::Ping { nonce, wall_ms })
    }

    /// The next action at `now`. Ask again until the answer is [`TimeVerdict::Nothing`].
    pub fn on_time(&mut self, now: Now) -> TimeVerdict {
        match &mut self.phase {
            Phase::AwaitingHello { until } if now.monotonic >= *until => {
                TimeVerdict::Close(SilenceReason::HelloTimeout)
            }
            Phase::AwaitingHello { .. } | Phase::Left(_) => TimeVerdict::Nothing,
            Phase::Greeted { liveness, .. } if liveness.is_idle(now.monotonic) => {
                TimeVerdict::Close(SilenceReason::Idle)
            }
            Phase::Greeted { liveness, .. } => liveness
                .ping(now)
                .map_or(TimeVerdict::Nothing, |(nonce, wall_ms)| {
                    TimeVerdict::Send(Message::Ping { nonce, wall_ms })
                }),
        }
    }

    /// When [`Self::on_time`] has something to do, if nothing happens before; `None`: never.
    pub fn deadline(&self) -> Option<MonotonicMs> {
        match &self.phase {
            Phase::AwaitingHello { until } => Some(*until),
            Phase::Greeted { liveness, .. } => Some(liveness.deadline()),
            Phase::Left(_) => None,
        }
    }

    fn greet(&mut self, hello: Box<Hello>, now: Now) -> Result<SessionEvent, SessionError> {
        let protocol = self.hello.protocol_max.min(hello.protocol_max);
        if protocol < self.hello.protocol_min || protocol < hello.protocol_min {
            return Err(SessionError::Protocol {
                mine_min: self.hello.protocol_min,
                mine_max: self.hello.protocol_max,
                theirs_min: hello.protocol_min,
                theirs_max: hello.protocol_max,
            });
        }
        if self.hello.instance == hello.instance {
            return Err(SessionError::SelfConnection);
        }
        let pairs = [
            (&self.hello.expected_node_id, &hello.greeting.node_id),
            (&hello.expected_node_id, &self.hello.greeting.node_id),
        ];
        for (expected, found) in pairs {
            if let Some(expected) = expected
                && expected != found
            {
                return Err(SessionError::WrongNode {
                    expected: expected.clone(),
                    found: found.clone(),
                });
            }
        }
        let asked_ms = if hello.keepalive_ms == 0 {
            self.settings.keepalive_ms
        } else {
            hello.keepalive_ms.max(KEEPALIVE_MS_MIN)
        };
        self.phase = Phase::Greeted {
            #[cfg(test)]
            protocol,
            liveness: Liveness::new(
                self.hello.instance,
                self.settings.keepalive_ms.min(asked_ms),
                self.settings.idle_ms,
                now.monotonic,
            ),
        };
        Ok(SessionEvent::Greeted(hello))
    }
}
