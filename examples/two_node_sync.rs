//! Two nodes in one program, written against the engine as its SDK: a write on one, a tick, and the value on
//! the other. `cargo run --example two_node_sync`.

#![allow(clippy::disallowed_methods, reason = "a program waits")]

use std::sync::Arc;
use std::time::Duration;

use softadastra::node::{Failure, Node, Operation, Options, Silent, SyncReport};

fn options(folder: &std::path::Path, node_id: &str) -> Options {
    let wal_path = folder.join(format!("{node_id}.wal"));
    Options {
        enable_transport: true,
        ..Options::persistent(node_id, wal_path.display().to_string())
    }
}

fn show(title: &str, report: &SyncReport) {
    println!("\n{title}");
    println!("  outbox : {}", report.counts.total());
    println!("  queued : {}", report.counts.queued);
    println!("  acknowledged : {}", report.counts.acknowledged);
}

async fn run(folder: &std::path::Path) -> Result<(), Failure> {
    let node_a = Node::open(options(folder, "node-a"), Arc::new(Silent))?;
    let node_b = Node::open(options(folder, "node-b"), Arc::new(Silent))?;
    node_b.start_transport().await?;
    let port = node_b.transport_port().unwrap_or_default();
    node_a.connect("node-b", "127.0.0.1", port).await?;
    println!("connected to node-b");

    let write = Operation::put(b"message/1", b"hello from node-a", true)?;
    node_a.write(write).await?;
    show("before tick", &node_a.sync_report()?);
    let tick = node_a.tick(false).await?;
    println!("\nsync tick\n  batch : {}", tick.batch);

    // The peer takes the write in by itself; it is acknowledged once it is durable there.
    while node_a.sync_report()?.counts.acknowledged == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    show("after delivery", &node_a.sync_report()?);
    let value = node_b.get(b"message/1")?.unwrap_or_default();
    println!("\nnode-b reads: {}", String::from_utf8_lossy(&value));
    node_a.close().await?;
    node_b.close().await
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(30), run(folder.path())).await
    })??;
    Ok(())
}
