//! Checksums against damage and the hash behind the fingerprint. Neither is cryptographic: damage is an
//! accident, and whoever may write to a network may write anything (PROTOCOL section 1).

use xxhash_rust::xxh3::Xxh3Default;

/// CRC-32 (the polynomial of IEEE 802.3) of the parts in order, bound to where they belong: the salt of the
/// file and the offset in it. A frame that is copied elsewhere, or left over from an older file, never fits.
pub fn placed_crc(salt: u64, offset: u64, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}

/// A 128-bit hash (XXH3) of the parts in order. Parts are not delimited: callers give all but one of them a
/// fixed length.
pub fn hash128(parts: &[&[u8]]) -> u128 {
    let mut hasher = Xxh3Default::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.digest128()
}

/// The hash by which a key is found in memory. Never written, never sent.
pub fn key_hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key)
}
