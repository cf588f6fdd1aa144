//! Sessions on virtual time.

use super::samples::hello;
use crate::core::clock::{MonotonicMs, Now, WallMs};
use crate::sync::message::{Ack, Feed};
use crate::transport::session::{
    HELLO_TIMEOUT_MS, IDLE_MS, KEEPALIVE_MS, Session, SessionError, SessionEvent, SilenceReason,
    TimeVerdict,
};
use crate::transport::wire::message::{Goodbye, GoodbyeReason, Message};

fn at(ms: u64) -> Now {
    Now {
        monotonic: MonotonicMs(ms),
        wall: WallMs(1_000_000 + ms),
    }
}

fn said(node_id: &str, instance: u64) -> Message {
    Message::Hello(Box::new(hello(node_id, instance)))
}

/// A session of node "a", greeted by "b" at `ms`, with its first ping taken, and that ping's nonce.
fn greeted(ms: u64) -> (Session, u64) {
    let mut session = Session::new(hello("a", 1), at(ms));
    let event = session.on_message(said("b", 2), at(ms)).unwrap();
    assert!(matches!(event, SessionEvent::Greeted(hello) if hello.greeting.node_id == "b"));
    let TimeVerdict::Send(Message::Ping { nonce, .. }) = session.on_time(at(ms)) else {
        panic!("the first ping is due at once");
    };
    assert_eq!(session.on_time(at(ms)), TimeVerdict::Nothing);
    (session, nonce)
}

fn ack() -> Message {
    Message::Feed(Feed::Ack(Ack {
        cursor: None,
        credit: 5,
        void: None,
        reconcile: false,
        ..Ack::default()
    }))
}

#[test]
fn both_sides_speak_first_and_then_agree() {
    let mut a = Session::new(hello("a", 1), at(0));
    let mut b = Session::new(hello("b", 2), at(0));
    let (from_a, from_b) = (a.opening(), b.opening());
    assert!(matches!(
        a.on_message(from_b, at(1)),
        Ok(SessionEvent::Greeted(_))
    ));
    assert!(matches!(
        b.on_message(from_a, at(1)),
        Ok(SessionEvent::Greeted(_))
    ));
    assert_eq!((a.protocol(), b.protocol()), (Some(1), Some(1)));
    assert!(matches!(
        a.on_message(ack(), at(2)),
        Ok(SessionEvent::Feed(Feed::Ack(_)))
    ));
}

#[test]
fn whoever_says_something_else_first_is_left() {
    let mut session = Session::new(hello("a", 1), at(0));
    let error = session.on_message(ack(), at(1)).unwrap_err();
    assert_eq!(error, SessionError::NotGreeted);
    assert_eq!(error.goodbye().reason, GoodbyeReason::Malformed);
    let (mut session, _) = greeted(0);
    assert_eq!(
        session.on_message(said("b", 2), at(1)),
        Err(SessionError::GreetedTwice)
    );
}

#[test]
fn whoever_says_nothing_is_left_in_time() {
    let mut session = Session::new(hello("a", 1), at(10));
    let deadline = session.deadline().unwrap();
    assert_eq!(deadline, MonotonicMs(10 + HELLO_TIMEOUT_MS));
    session.on_bytes(at(4000));
    assert_eq!(session.on_time(at(deadline.0 - 1)), TimeVerdict::Nothing);
    assert_eq!(
        session.on_time(at(deadline.0)),
        TimeVerdict::Close(SilenceReason::HelloTimeout)
    );
}

#[test]
fn protocols_are_negotiated_and_named_when_there_is_none() {
    let mut mine = hello("a", 1);
    (mine.protocol_min, mine.protocol_max) = (2, 4);
    for ((theirs_min, theirs_max), agreed) in [
        ((1, 3), Some(3)),
        ((4, 9), Some(4)),
        ((1, 1), None),
        ((5, 9), None),
    ] {
        let mut session = Session::new(mine.clone(), at(0));
        let mut theirs = hello("b", 2);
        (theirs.protocol_min, theirs.protocol_max) = (theirs_min, theirs_max);
        let outcome = session.on_message(Message::Hello(Box::new(theirs)), at(1));
        assert_eq!(outcome.is_ok(), agreed.is_some());
        assert_eq!(session.protocol(), agreed);
        if let Err(error) = outcome {
            assert_eq!(error.goodbye().reason, GoodbyeReason::Protocol);
            assert!(error.to_string().contains("2 to 4"));
        }
    }
}

#[test]
fn both_sides_notice_that_the_wrong_node_answered() {
    let mut calling = hello("a", 1);
    calling.expected_node_id = Some("b".to_owned());
    let mut dialler = Session::new(calling, at(0));
    let mut called = Session::new(hello("c", 2), at(0));
    let expected = SessionError::WrongNode {
        expected: "b".to_owned(),
        found: "c".to_owned(),
    };
    assert_eq!(
        dialler.on_message(called.opening(), at(1)),
        Err(expected.clone())
    );
    assert_eq!(
        called.on_message(dialler.opening(), at(1)),
        Err(expected.clone())
    );
    let text = expected.to_string();
    assert!(text.contains("\"b\"") && text.contains("\"c\""));
}

#[test]
fn a_node_that_calls_itself_notices() {
    let mut session = Session::new(hello("a", 1), at(0));
    assert_eq!(
        session.on_message(said("a", 1), at(1)),
        Err(SessionError::SelfConnection)
    );
}

#[test]
fn silence_is_pinged_and_then_given_up() {
    let (mut session, _) = greeted(0);
    let mut pings = Vec::new();
    let mut closed_at = None;
    while closed_at.is_none() {
        let deadline = session.deadline().unwrap();
        match session.on_time(at(deadline.0)) {
            TimeVerdict::Send(Message::Ping { .. }) => pings.push(deadline.0),
            TimeVerdict::Close(reason) => closed_at = Some((deadline.0, reason)),
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<u64> = (1..6).map(|n| n * KEEPALIVE_MS).collect();
    assert_eq!(pings, expected);
    assert_eq!(closed_at, Some((IDLE_MS, SilenceReason::Idle)));
}

#[test]
fn any_bytes_keep_a_connection() {
    let (mut session, _) = greeted(0);
    for second in 1..600 {
        session.on_bytes(at(second * 1000));
        let verdict = session.on_time(at(second * 1000));
        assert!(!matches!(verdict, TimeVerdict::Close(_)));
    }
}

#[test]
fn a_busy_connection_still_samples_the_clock() {
    let (mut session, _) = greeted(0);
    let mut pings = 0;
    for second in 1..=300 {
        session.on_bytes(at(second * 1000));
        if let TimeVerdict::Send(_) = session.on_time(at(second * 1000)) {
            pings += 1;
        }
    }
    assert_eq!(pings, 5);
}

#[test]
fn a_ping_is_answered_with_the_time() {
    let (mut session, _) = greeted(0);
    let ping = Message::Ping {
        nonce: 77,
        wall_ms: 5,
    };
    assert_eq!(
        session.on_message(ping, at(9)),
        Ok(SessionEvent::Reply(Message::Pong {
            nonce: 77,
            echoed_wall_ms: 5,
            wall_ms: 1_000_009,
        }))
    );
}

fn answer(session: &mut Session, nonce: u64, their_wall_ms: u64, now: Now) {
    let pong = Message::Pong {
        nonce,
        echoed_wall_ms: 0,
        wall_ms: their_wall_ms,
    };
    assert_eq!(session.on_message(pong, now), Ok(SessionEvent::Nothing));
}

#[test]
fn the_skew_is_that_of_the_shortest_round_trip() {
    let (mut session, nonce) = greeted(0);
    answer(&mut session, nonce + 1, 5, at(50));
    assert_eq!(session.clock_sample(), None, "nobody asked that");
    answer(&mut session, nonce, 1_000_050 + 7_000, at(100));
    let sample = session.clock_sample().unwrap();
    assert_eq!((sample.ahead_ms, sample.round_trip_ms), (7_000, 100));
    let ping_at = |session: &mut Session, ms: u64| match session.on_time(at(ms)) {
        TimeVerdict::Send(Message::Ping { nonce, .. }) => nonce,
        other => panic!("{other:?}"),
    };
    let nonce = ping_at(&mut session, 10_100);
    answer(&mut session, nonce, 999_000, at(11_100));
    assert_eq!(session.clock_sample().unwrap().ahead_ms, 7_000, "slower");
    let nonce = ping_at(&mut session, 21_100);
    answer(&mut session, nonce, 1_021_105 - 3_000, at(21_110));
    let sample = session.clock_sample().unwrap();
    assert_eq!((sample.ahead_ms, sample.round_trip_ms), (-3_000, 10));
}

#[test]
fn after_goodbye_nothing_follows() {
    let (mut session, _) = greeted(0);
    let goodbye = Goodbye::new(GoodbyeReason::Closing, "closing", Some(3));
    assert_eq!(
        session.on_message(Message::Goodbye(goodbye.clone()), at(1)),
        Ok(SessionEvent::Left(goodbye))
    );
    assert_eq!(
        session.on_message(ack(), at(2)),
        Err(SessionError::AfterGoodbye)
    );
    assert_eq!(session.deadline(), None);
    assert_eq!(session.on_time(at(999_999)), TimeVerdict::Nothing);
}
