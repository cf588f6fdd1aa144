//! Files that earlier versions wrote stay readable: one folder for each version of each format, in `tests/golden`.

use std::path::PathBuf;

use super::super::checkpoints::received;
use super::super::{NAME, WALL};
use super::making::Node;
use crate::core::identity::{Incarnation, Origin};
use crate::disk::memory::{DiskImage, MemoryStorage};
use crate::store::commit::committer::Durability;
use crate::store::commit::ledger::{FeedPosition, PeerRecord};
use crate::store::commit::operation::{Operation, Received, Request};

const FOLDERS: [&str; 4] = ["log-1", "sealed-2", "checkpoint-1", "checkpoint-2"];

const PEER: Origin = Origin([9; 16]);

const POSITION: FeedPosition = FeedPosition {
    incarnation: Incarnation([9; 16]),
    own: 77,
    relay: 5,
};

fn folder(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("tests").join("golden").join(name)
}

/// Groups that every golden store contains.
fn groups() -> Vec<Vec<Request>> {
    let put = |key: &str, value: &[u8]| Operation::put(key.as_bytes(), value, true).unwrap();
    let write = |operation| {
        vec![Request::Write {
            ticket: 1,
            operation,
        }]
    };
    let record = PeerRecord {
        node_id: "the peer".to_owned(),
        durable: true,
        is_superseded: false,
        is_named: false,
        acknowledged: POSITION,
        rejected: std::sync::Arc::default(),
        scope: crate::store::scope::Scope::ALL,
    };
    let received = Received {
        peer: PEER,
        token: 1,
        from: FeedPosition::default(),
        position: POSITION,
        scope: crate::store::scope::Scope::ALL,
        entries: vec![received(7, Some(3), 70)],
    };
    vec![
        write(put("alpha", b"one")),
        write(put("beta", b"two")),
        vec![Request::Batch {
            ticket: 1,
            operations: vec![put("alpha", b"three"), put("large", &[b'x'; 3_000])],
        }],
        write(Operation::remove(b"beta").unwrap()),
        vec![Request::Received(received)],
        vec![
            Request::Peer { peer: PEER, record },
            Request::Pruned { lseq: 2 },
        ],
        write(put("omega", b"last")),
    ]
}

/// The store of a golden folder as this version writes it.
fn write(name: &str) -> DiskImage {
    let disk = MemoryStorage::new();
    let mut node = Node::open(&disk, Durability::Synced, 1, None).unwrap();
    let groups = groups();
    for (number, group) in groups.into_iter().enumerate() {
        if number == 5 && name != "log-1" {
            node.advance().unwrap();
        }
        node.commit(group, WALL).unwrap();
        while name.starts_with("checkpoint") && node.is_making() {
            node.advance().unwrap();
        }
    }
    node.committer.close().unwrap();
    disk.image()
}

/// Writes the golden stores that are missing, and never replaces one that an earlier version wrote.
#[test]
#[ignore = "only for a new version of a format"]
fn write_golden_files() {
    for name in FOLDERS {
        let folder = folder(name);
        if folder.exists() {
            continue;
        }
        std::fs::create_dir_all(&folder).unwrap();
        let image = write(name);
        for file in image.names() {
            if !file.contains(".checkpoint.new") {
                std::fs::write(folder.join(&file), image.file(&file).unwrap()).unwrap();
            }
        }
    }
}

#[test]
fn what_earlier_versions_wrote_is_read() {
    for name in FOLDERS {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder(name)).unwrap() {
            let entry = entry.unwrap();
            let file = entry.file_name().into_string().unwrap();
            files.push((file, std::fs::read(entry.path()).unwrap()));
        }
        let version_of = |wanted: &str| {
            let file = files.iter().find(|(file, _)| file == wanted);
            file.map(|(_, bytes)| (bytes[8], bytes[10]))
        };
        let follows = if name == "log-1" { 1 } else { 2 };
        assert_eq!(version_of(NAME), Some((follows, follows)), "{name}");
        let checkpoint = version_of("a.wal.checkpoint");
        let sealed = version_of("a.wal.sealed.1");
        let written = match name {
            "checkpoint-1" => Some((1, 1)),
            "checkpoint-2" => Some((2, 2)),
            _ => None,
        };
        assert_eq!(checkpoint, written);
        assert_eq!(sealed, (name == "sealed-2").then_some((1, 1)));
        let disk = MemoryStorage::from_files(files);
        // The opening asserts that the lease is the one in the log.
        let mut node = Node::open(&disk, Durability::Synced, 2, None).unwrap();
        let value = |key: &[u8]| {
            let stored = [b"\0", key].concat();
            let entry = node.map.entry(&stored).unwrap();
            entry.map(|entry| entry.value().map(<[u8]>::to_vec))
        };
        assert_eq!(value(b"alpha"), Some(Some(b"three".to_vec())), "{name}");
        assert_eq!(value(b"beta"), Some(None), "{name}");
        assert_eq!(value(b"large"), Some(Some(vec![b'x'; 3_000])), "{name}");
        assert_eq!(value(b"k\x07"), Some(Some(vec![3])), "{name}");
        assert_eq!(value(b"omega"), Some(Some(b"last".to_vec())), "{name}");
        assert_eq!(value(b"other"), None, "{name}");
        while node.map.base_unknown() > 0 {
            node.map.look_up_base().unwrap();
        }
        assert_eq!(node.map.len(), 4, "{name}");
        let ledger = node.committer.ledger();
        // The first golden stores were written with other seeds.
        let origin = if name == "checkpoint-2" { 2 } else { 1 };
        assert_eq!(
            (ledger.origin, ledger.lease),
            (Origin([origin; 16]), [2; 16]),
            "{name}"
        );
        assert_eq!(ledger.cursors.get(&PEER), Some(&POSITION));
        assert_eq!(ledger.peers[&PEER].node_id, "the peer");
        let counts = (ledger.last_sequence, ledger.last_lseq, ledger.pruned);
        assert_eq!(counts, (6, 7, 2), "{name}");
        assert_eq!(ledger.epochs.len(), 2, "{name}");
    }
}
