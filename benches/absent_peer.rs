//! What a node has in memory once it has written much, in bytes that its allocator has handed out: for the row `absent-peer`
//! of `npm run bench`. `met` has it meet a peer once, before that, which then stays away; `alone` does not.

#![allow(clippy::disallowed_methods, reason = "a program waits")]

use std::alloc::System;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cap::Cap;
use softadastra::node::{Failure, Node, Operation, Options, Silent};

/// The addon brings an allocator of its own, so this counts only in a build without it.
#[cfg_attr(not(feature = "node-api"), global_allocator)]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Puts under way at a time.
const IN_FLIGHT: usize = 1000;

/// What threads still clear up has come to an end when nothing has changed for so long.
const QUIET: Duration = Duration::from_millis(500);

/// Between two looks at something that takes its time.
const LOOK: Duration = Duration::from_millis(5);

fn options(folder: &Path, node_id: &str) -> Options {
    let wal_path = folder.join(format!("{node_id}.wal")).display().to_string();
    Options {
        enable_transport: true,
        sync_interval_ms: 100,
        ..Options::persistent(node_id, wal_path)
    }
}

async fn open(folder: &Path, node_id: &str) -> Result<Node, Failure> {
    let node = Node::open(options(folder, node_id), Arc::new(Silent))?;
    node.start_transport().await?;
    Ok(node)
}

/// A put as the rows make them: keys of 20 bytes in no order, values of 100.
fn put(number: usize) -> Result<Operation, Failure> {
    let shuffled = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let key = format!("key/{shuffled:016x}");
    Ok(Operation::put(key.as_bytes(), &[b'v'; 100], false)?)
}

async fn meet(node: &Node, folder: &Path) -> Result<(), Failure> {
    let peer = open(folder, "node-b").await?;
    let port = peer.transport_port().unwrap_or_default();
    node.connect("node-b", "127.0.0.1", port).await?;
    while node.sync_report()?.counts.acknowledged == 0 {
        tokio::time::sleep(LOOK).await;
    }
    peer.close().await
}

async fn settled_bytes() -> usize {
    loop {
        let before = ALLOCATOR.allocated();
        tokio::time::sleep(QUIET).await;
        // Timers of a connection come and go.
        if ALLOCATOR.allocated().abs_diff(before) < 4096 {
            return ALLOCATOR.allocated();
        }
    }
}

async fn measure(has_met: bool, count: usize, folder: &Path) -> Result<usize, Failure> {
    let before = ALLOCATOR.allocated();
    let node = open(folder, "node-a").await?;
    node.write(put(0)?).await?;
    if has_met {
        meet(&node, folder).await?;
    }
    for first in (1..count).step_by(IN_FLIGHT) {
        for number in first..count.min(first + IN_FLIGHT) {
            node.submit(put(number)?)
                .map_err(|_| Failure::internal("the queue is full"))?;
        }
        node.flush().await?;
    }
    node.compact().await?;
    let bytes = settled_bytes().await.saturating_sub(before);
    assert_eq!(node.size()?, count);
    node.close().await?;
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if cfg!(feature = "node-api") {
        return Err(
            "nothing is counted with the addon's allocator: build without the feature node-api"
                .into(),
        );
    }
    let [mode, count, folder] = words.as_slice() else {
        return Err("how: met or alone, a number of keys, a folder".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let bytes = runtime.block_on(measure(mode == "met", count.parse()?, Path::new(folder)))?;
    println!("{bytes}");
    Ok(())
}
