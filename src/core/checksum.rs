//! Checksums against damage (CRC-32), and the hash behind the fingerprint (XXH3). Neither is cryptographic: damage is
//! an accident, and a node that may write to a network may write anything (`docs/internals/replication.md`, section 1).

use xxhash_rust::xxh3::xxh3_128;

/// CRC-32 (the polynomial of IEEE 802.3) of the parts in order, bound to their place: the salt of the file and the
/// offset in it. A frame that is copied elsewhere, or left over from an older file, never fits.
pub fn placed_crc(salt: u64, offset: u64, parts: &[&[u8]]) -> u32 {
    let mut checksum = PlacedCrc::new(salt, offset);
    for part in parts {
        checksum.update(part);
    }
    checksum.finish()
}

/// [`placed_crc`] of bytes that come one piece after the other.
#[derive(Debug, Clone)]
pub struct PlacedCrc(crc32fast::Hasher);

impl PlacedCrc {
    /// The checksum of no bytes yet, for that file and place.
    pub fn new(salt: u64, offset: u64) -> Self {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salt.to_le_bytes());
        hasher.update(&offset.to_le_bytes());
        Self(hasher)
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes added.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

/// A 128-bit hash (XXH3).
pub fn hash128(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

/// A 64-bit hash of a value and the flags of its entry (XXH3 with the flags as its seed, which costs nothing for short
/// values). Sent and summed up, so neither its input nor the hash function ever changes.
pub fn content_hash(flags: u8, value: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(value, u64::from(flags))
}

/// [`hash128`] of two parts in sequence. Short parts are joined on the stack, because the streaming form of the hash
/// costs several times as much before it reads anything.
pub fn hash128_pair(first: &[u8], second: &[u8]) -> u128 {
    let mut joined = [0_u8; JOINED_BYTES];
    let length = first.len() + second.len();
    match joined.get_mut(..length) {
        Some(place) => {
            let (head, tail) = place.split_at_mut(first.len());
            head.copy_from_slice(first);
            tail.copy_from_slice(second);
            hash128(place)
        }
        None => hash128(&[first, second].concat()),
    }
}

/// Room for the parts of most entries, in bytes: the fixed fields, and a key of usual length.
const JOINED_BYTES: usize = 128;

/// The 64-bit hash by which a key is found (XXH3). Never written and never sent, except its lowest byte.
pub fn key_hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}

/// The lowest byte of a key's hash, by which a checkpoint tells rows apart before it compares keys. Written to disk,
/// so neither it nor the hash ever changes.
pub fn key_tag(hash: u64) -> u8 {
    let [tag, ..] = hash.to_le_bytes();
    tag
}
