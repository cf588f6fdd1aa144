//! Entry points of the fuzz targets under `fuzz/`: each reads bytes of others as the engine does, and drops the outcome.
//! Only there with `--cfg fuzzing`, which `cargo fuzz` sets.

use std::ops::ControlFlow;

use crate::disk::memory::MemoryStorage;
use crate::store::maintain::verify::verify;
use crate::store::record::{OriginDictionary, decode};
use crate::table::Checkpoint;
use crate::transport::wire::codec;
use crate::transport::wire::frame::FrameDecoder;

/// Name of the file that a target reads.
const NAME: &str = "fuzzed.wal";

/// Bytes of blocks that a fuzzed checkpoint may keep in memory.
const CACHE_BYTES: usize = 1 << 20;

/// Reads `bytes` as the stream of a greeted peer: frames, and the message in each.
pub fn wire(bytes: &[u8]) {
    let mut decoder = FrameDecoder::new();
    decoder.raise_limit();
    decoder.push(bytes);
    while let Ok(Some(frame)) = decoder.next_frame() {
        let _ = codec::decode(frame.kind, frame.payload);
    }
}

/// Reads `bytes` as the body of a frame of the log.
pub fn record(bytes: &[u8]) {
    let _ = decode(bytes, &mut OriginDictionary::default(), drop);
}

/// Verifies a store whose log is `bytes`.
pub fn log(bytes: &[u8]) {
    let storage = MemoryStorage::from_files([(NAME.to_owned(), bytes.to_vec())]);
    let _ = verify(&storage, NAME);
}

/// Opens and verifies a checkpoint whose file is `bytes`.
pub fn checkpoint(bytes: &[u8]) {
    let storage = MemoryStorage::from_files([(NAME.to_owned(), bytes.to_vec())]);
    if let Ok(Some(checkpoint)) = Checkpoint::open(&storage, NAME, CACHE_BYTES) {
        let _ = checkpoint.verify(&mut |_| ControlFlow::Continue(()));
    }
}
