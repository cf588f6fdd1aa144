//! Whole nodes through the Rust SDK: real files, and real connections on loopback.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails where it breaks"
)]

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use softadastra::node::{ErrorCode, ErrorKind, Node, Operation, Options, Silent};

/// Time limit that ends a hanging test: longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn options(folder: &Path, node_id: &str) -> Options {
    let wal_path = folder.join(format!("{node_id}.wal")).display().to_string();
    Options {
        enable_transport: true,
        sync_interval_ms: 1_000,
        ..Options::persistent(node_id, wal_path)
    }
}

async fn open(folder: &Path, node_id: &str) -> Node {
    let node = Node::open(options(folder, node_id), Arc::new(Silent)).unwrap();
    node.start_transport().await.unwrap();
    node
}

async fn put(node: &Node, key: &str, value: &[u8]) {
    node.write(Operation::put(key.as_bytes(), value, false).unwrap())
        .await
        .unwrap();
}

async fn connect(from: &Node, to: &Node) {
    let (node_id, port) = (&to.options().node_id, to.transport_port().unwrap());
    from.connect(node_id, "127.0.0.1", port).await.unwrap();
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "in vain: {what}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_reach_a_peer_through_a_middle_node_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b, c) = (
        open(folder.path(), "a").await,
        open(folder.path(), "b").await,
        open(folder.path(), "c").await,
    );
    connect(&a, &b).await;
    connect(&b, &c).await;
    put(&a, "small", b"from a").await;
    put(&c, "back", b"from c").await;
    let large: Vec<u8> = (0..2_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    put(&a, "large", &large).await;
    until("the large value at c", || {
        c.get(b"large").unwrap().as_deref() == Some(&large[..])
    })
    .await;
    until("both small values", || {
        c.get(b"small").unwrap().as_deref() == Some(b"from a")
            && a.get(b"back").unwrap().as_deref() == Some(b"from c")
    })
    .await;
    a.write(Operation::remove(b"small").unwrap()).await.unwrap();
    until("the removal at c", || c.get(b"small").unwrap().is_none()).await;
    until("everything acknowledged", || {
        a.sync_report().unwrap().counts.acknowledged == a.sync_report().unwrap().counts.total()
    })
    .await;
    for node in [a, b, c] {
        node.close().await.unwrap();
    }
    let c = Node::open(options(folder.path(), "c"), Arc::new(Silent)).unwrap();
    assert_eq!(
        (
            c.get(b"large").unwrap().map(|value| value.len()),
            c.get(b"small").unwrap()
        ),
        (Some(2_000_000), None)
    );
    assert_eq!(c.size().unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_of_an_abandoned_node_opens_again_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0_u8..5 {
        let node = open(folder.path(), "a").await;
        assert_eq!(node.size().unwrap(), usize::from(round));
        let second = Node::open(options(folder.path(), "a"), Arc::new(Silent)).unwrap_err();
        assert_eq!(
            (second.code, second.kind),
            (ErrorCode::InvalidState, ErrorKind::WalInUse)
        );
        put(&node, &format!("key/{round}"), &[round]).await;
        node.abandon();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_the_network_are_told_and_leave_local_work_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        open(folder.path(), "a").await,
        open(folder.path(), "b").await,
    );
    let port = b.transport_port().unwrap();
    let busy = Options {
        transport_port: port,
        ..options(folder.path(), "busy")
    };
    let busy = Node::open(busy, Arc::new(Silent)).unwrap();
    let failure = busy.start_transport().await.unwrap_err();
    assert_eq!(
        (failure.code, failure.kind),
        (ErrorCode::Transport, ErrorKind::AddressInUse)
    );
    let failure = a.connect("somebody", "127.0.0.1", port).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::WrongNode);
    assert!(
        failure.message.contains("somebody") && failure.message.contains("\"b\""),
        "{failure}"
    );
    let failure = a.connect("far", "192.0.2.1", 9500).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::InsecureHost);
    b.stop_transport().await;
    let failure = a.connect("b", "127.0.0.1", port).await.unwrap_err();
    assert_eq!(failure.kind, ErrorKind::ConnectionRefused);
    assert_eq!(
        failure.message,
        format!("connection refused (127.0.0.1:{port})")
    );
    put(&a, "key", b"value").await;
    assert_eq!(a.get(b"key").unwrap().as_deref(), Some(&b"value"[..]));
    assert_eq!(a.sync_report().unwrap().counts.queued, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_sends_garbage_is_dropped_and_others_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (
        open(folder.path(), "a").await,
        open(folder.path(), "b").await,
    );
    let address = ("127.0.0.1", b.transport_port().unwrap());
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 64],
        &[0, 0, 0, 0],
        &[5, 0, 0, 0, 9, 9, 9, 9, 9],
    ] {
        #[allow(clippy::disallowed_methods, reason = "a stranger has no transport")]
        let mut stranger = std::net::TcpStream::connect(address).unwrap();
        stranger.write_all(garbage).unwrap();
    }
    connect(&a, &b).await;
    put(&a, "key", b"value").await;
    until("the value at b", || b.get(b"key").unwrap().is_some()).await;
}

#[test]
fn the_example_shows_two_nodes_that_converge() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--profile",
            "test",
            "--example",
            "two_node_sync",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        printed.contains("connected to node-b") && printed.contains("batch : 1"),
        "{printed}"
    );
    assert!(
        printed.ends_with("node-b reads: hello from node-a\n"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_the_outbox_are_counted_once_while_checkpoints_come_under_the_map() {
    const ROWS: u64 = 3_000;
    const CHECKPOINTS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path(), "a");
    let node = Arc::new(Node::open(options, Arc::new(Silent)).unwrap());
    let write_all = || async {
        let put = |row: u64| Operation::put(format!("key-{row}").as_bytes(), b"value", true);
        for row in 0..ROWS - 1 {
            node.submit(put(row).unwrap()).unwrap();
        }
        node.write(put(ROWS - 1).unwrap()).await.unwrap();
    };
    write_all().await;
    let asked = Arc::clone(&node);
    let asking = tokio::task::spawn_blocking(move || {
        while Arc::strong_count(&asked) > 1 {
            let counts = asked.sync_report().unwrap().counts;
            assert_eq!(counts.total(), ROWS);
        }
    });
    for _ in 0..CHECKPOINTS {
        // Writes during a checkpoint are not in it: their base rows have to be looked up afterwards.
        let (made, ()) = tokio::join!(node.compact(), write_all());
        made.unwrap();
    }
    drop(node);
    asking.await.unwrap();
}

/// Copies a log with all its companions, as a clone of a machine does.
fn copy_log(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_copies_of_a_node_that_never_meet_one_is_told_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let [original, copied] = ["original", "copied"].map(|name| folder.path().join(name));
    std::fs::create_dir(&original).unwrap();
    let first = open(&original, "a").await;
    put(&first, "before", b"1").await;
    first.close().await.unwrap();
    copy_log(&original, &copied);
    let (a, b) = (open(&original, "a").await, open(&copied, "a").await);
    let near_a = open(folder.path(), "near-a").await;
    let near_b = open(folder.path(), "near-b").await;
    put(&a, "of-a", b"2").await;
    put(&b, "of-b", b"3").await;
    connect(&a, &near_a).await;
    connect(&b, &near_b).await;
    connect(&near_a, &near_b).await;
    put(&a, "of-both", b"5").await;
    until("one of them told", || {
        let told = [&a, &b].map(|node| node.recovery().renewed);
        told.iter().any(Option::is_some)
    })
    .await;
    until("everything everywhere", || {
        [&a, &b, &near_a, &near_b].iter().all(|node| {
            let held = [b"of-a", b"of-b"].map(|key| node.get(key).unwrap());
            held == [Some(b"2".to_vec()), Some(b"3".to_vec())]
        })
    })
    .await;
    put(&a, "later", b"4").await;
    until("what is written afterwards", || {
        b.get(b"later").unwrap().as_deref() == Some(b"4")
    })
    .await;
    for node in [a, b, near_a, near_b] {
        node.close().await.unwrap();
    }
}
