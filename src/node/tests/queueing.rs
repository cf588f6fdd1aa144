//! The queue of the committer, from many threads at once.

use std::sync::Arc;
use std::time::Duration;

use crate::core::clock::SystemClock;
use crate::core::limits::{GROUP_BYTES_TARGET, PENDING_BYTES_MAX};
use crate::node::commit::queue::{NotQueued, Queue, Work};
use crate::store::commit::operation::{NOT_A_WRITE, Operation, Request, Ticket};

fn write(ticket: Ticket, bytes: usize) -> Request {
    let operation = Operation::put(b"key", &vec![0; bytes], false).unwrap();
    Request::Write { ticket, operation }
}

fn submit(queue: &Queue, bytes: usize) -> Result<Ticket, NotQueued> {
    queue.submit(bytes, |ticket| write(ticket, bytes))
}

fn tickets(group: &[Request]) -> Vec<Ticket> {
    group.iter().filter_map(Request::ticket).collect()
}

#[test]
fn no_request_and_no_wake_is_lost_between_threads() {
    const THREADS: usize = 4;
    const EACH: usize = 20_000;
    let queue = Arc::new(Queue::default());
    std::thread::scope(|scope| {
        let producers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let queue = Arc::clone(&queue);
                scope.spawn(move || {
                    for number in 0..EACH {
                        if number % 50 == thread {
                            queue
                                .submit_apart(0, |ticket| Request::Flush { ticket })
                                .unwrap();
                        } else {
                            submit(&queue, 1).unwrap();
                            queue.wake();
                        }
                    }
                })
            })
            .collect();
        let consumer = scope.spawn(|| {
            let (mut writes, mut flushes) = (Vec::new(), Vec::new());
            // Only a lost wake-up lets it wait so long.
            while writes.len() + flushes.len() < THREADS * EACH {
                match queue.next(&SystemClock::new(), Some(Duration::from_secs(20))) {
                    Work::Group(group) => {
                        let (others, written): (Vec<_>, Vec<_>) = tickets(&group)
                            .into_iter()
                            .partition(|ticket| *ticket >= NOT_A_WRITE);
                        writes.extend(written);
                        flushes.extend(others);
                    }
                    other => panic!("{other:?} with {} of them", writes.len() + flushes.len()),
                }
            }
            (writes, flushes)
        });
        let (writes, flushes) = consumer.join().unwrap();
        for thread in producers {
            thread.join().unwrap();
        }
        let all: Vec<Ticket> = (1..=writes.len() as u64).collect();
        assert_eq!(writes, all, "in the order of the calls, without gaps");
        let all: Vec<Ticket> = (1..=flushes.len() as u64)
            .map(|n| NOT_A_WRITE | n)
            .collect();
        assert_eq!(flushes, all);
    });
}

#[test]
fn what_is_not_woken_for_waits_and_then_goes_together() {
    let queue = Queue::default();
    for _ in 0..10 {
        submit(&queue, 1).unwrap();
    }
    let moment = Some(Duration::from_millis(5));
    assert!(matches!(
        queue.next(&SystemClock::new(), moment),
        Work::Idle
    ));
    queue.wake();
    let Work::Group(group) = queue.next(&SystemClock::new(), moment) else {
        panic!("it was woken");
    };
    assert_eq!(tickets(&group), (1..=10).collect::<Vec<_>>());
    assert!(matches!(
        queue.next(&SystemClock::new(), moment),
        Work::Idle
    ));
}

#[test]
fn a_full_queue_takes_again_once_it_was_emptied() {
    let queue = Queue::default();
    let bytes = 4 << 20;
    let mut taken = 0;
    while submit(&queue, bytes).is_ok() {
        taken += 1;
        assert!(taken * bytes <= PENDING_BYTES_MAX);
    }
    assert!((taken + 1) * bytes > PENDING_BYTES_MAX - taken * 4096);
    assert_eq!(submit(&queue, bytes), Err(NotQueued::Full));
    let mut out = 0;
    // The refusal has woken it.
    while let Work::Group(group) = queue.next(&SystemClock::new(), Some(Duration::from_millis(5))) {
        let together: usize = group.iter().map(Request::bytes).sum();
        assert!(together <= GROUP_BYTES_TARGET || group.len() == 1);
        out += group.len();
        if out == taken {
            break;
        }
    }
    assert_eq!(out, taken);
    assert!(submit(&queue, bytes).is_ok());
    // A request larger than the limit of waiting bytes is taken when nothing else waits.
    let queue = Queue::default();
    assert!(submit(&queue, PENDING_BYTES_MAX + 1).is_ok());
}

#[test]
fn a_queue_of_a_node_with_little_memory_is_full_sooner() {
    let queue = Queue::new(1 << 20, 1 << 20);
    let taken = (0..100).take_while(|_| submit(&queue, 100 << 10).is_ok());
    assert_eq!(taken.count(), 10);
}

#[test]
fn closing_takes_nothing_more_and_gives_out_what_waits() {
    let queue = Queue::default();
    submit(&queue, 1).unwrap();
    submit(&queue, 1).unwrap();
    queue.close();
    assert_eq!(submit(&queue, 1), Err(NotQueued::Closed));
    assert_eq!(
        queue.submit_apart(0, |ticket| Request::Flush { ticket }),
        Err(NotQueued::Closed)
    );
    queue.push(write(0, 1));
    let Work::Group(group) = queue.next(&SystemClock::new(), None) else {
        panic!("two wait");
    };
    assert_eq!(tickets(&group), [1, 2]);
    assert!(matches!(
        queue.next(&SystemClock::new(), None),
        Work::Closed
    ));
    assert!(matches!(
        queue.next(&SystemClock::new(), None),
        Work::Closed
    ));
}

#[test]
fn only_a_small_write_that_waits_alone_can_be_taken_by_its_writer() {
    let queue = Queue::default();
    let taken = |queue: &Queue| queue.take_lone(1_000).and_then(|taken| taken.ticket());
    assert_eq!(taken(&queue), None);
    submit(&queue, 1).unwrap();
    assert!(queue.is_lone());
    assert_eq!(taken(&queue), Some(1));
    assert!(!queue.is_lone());

    submit(&queue, 1).unwrap();
    submit(&queue, 1).unwrap();
    assert_eq!(taken(&queue), None, "two wait");
    queue.wake();
    assert!(
        matches!(queue.next(&SystemClock::new(), None), Work::Group(group) if tickets(&group) == [2, 3])
    );

    submit(&queue, 2_000).unwrap();
    assert_eq!(taken(&queue), None, "it is large");
    queue.wake();
    assert!(matches!(
        queue.next(&SystemClock::new(), None),
        Work::Group(_)
    ));

    submit(&queue, 1).unwrap();
    queue.wake();
    assert_eq!(taken(&queue), None, "the committer is on its way");
    assert!(matches!(
        queue.next(&SystemClock::new(), None),
        Work::Group(_)
    ));

    queue
        .submit_apart(0, |ticket| Request::Flush { ticket })
        .unwrap();
    assert_eq!(taken(&queue), None, "a flush is the committer's");
    assert!(matches!(
        queue.next(&SystemClock::new(), None),
        Work::Group(_)
    ));

    submit(&queue, 1).unwrap();
    queue.close();
    assert_eq!(taken(&queue), None, "it closes");
}
