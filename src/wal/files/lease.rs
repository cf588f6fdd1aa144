//! The lease: random bytes in a file beside the log that no backup should hold. The log holds the same bytes; a log
//! whose lease is missing or differs was copied or restored.

use std::io;

use crate::core::checksum::placed_crc;

use crate::disk::storage::{Storage, read_full, replace_file};

/// Suffix of the lease file, after the name of the log. The file says in plain words that it is not to be backed up.
pub const LEASE_SUFFIX: &str = ".lease";

/// The first bytes of the file, for people who look into it.
const TEXT: &[u8; 44] = b"Softadastra lease 1: do not back this up.\r\n\n";

const LEASE_BYTES: usize = TEXT.len() + 16 + 4;

/// The bytes of the lease of `log`. `None` if there is no such file or it does not hold a lease: both mean that the
/// log is not the one that the lease was written for.
///
/// # Errors
/// If the system cannot read the file.
pub fn read(storage: &dyn Storage, log: &str) -> io::Result<Option<[u8; 16]>> {
    let Some(file) = storage.open(&format!("{log}{LEASE_SUFFIX}"))? else {
        return Ok(None);
    };
    let mut bytes = [0; LEASE_BYTES + 1];
    let count = read_full(&*file, 0, &mut bytes)?;
    Ok(decode(bytes.get(..count).unwrap_or_default()))
}

/// Writes the lease of `log`, replacing the earlier one; after a power cut one of the two is there.
///
/// # Errors
/// If the system cannot write, sync or replace the file.
pub fn write(storage: &dyn Storage, log: &str, lease: [u8; 16]) -> io::Result<()> {
    let mut bytes = TEXT.to_vec();
    bytes.extend_from_slice(&lease);
    bytes.extend_from_slice(&placed_crc(0, 0, &[&bytes]).to_le_bytes());
    replace_file(storage, &format!("{log}{LEASE_SUFFIX}"), &mut |file| {
        file.write_at(0, &bytes)
    })
}

fn decode(bytes: &[u8]) -> Option<[u8; 16]> {
    let (covered, checksum) = bytes.split_last_chunk::<4>()?;
    let (text, lease) = covered.split_first_chunk::<{ TEXT.len() }>()?;
    let whole = text == TEXT && placed_crc(0, 0, &[covered]) == u32::from_le_bytes(*checksum);
    whole.then(|| lease.try_into().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryStorage;
    use proptest::prelude::*;

    #[test]
    fn the_newest_lease_reads_back() {
        let storage = MemoryStorage::new();
        assert_eq!(read(&storage, "a.wal").unwrap(), None);
        write(&storage, "a.wal", [1; 16]).unwrap();
        write(&storage, "a.wal", [2; 16]).unwrap();
        assert_eq!(read(&storage, "a.wal").unwrap(), Some([2; 16]));
        for seed in 0..50 {
            let survived = storage.image().power_cut(seed);
            assert_eq!(read(&survived, "a.wal").unwrap(), Some([2; 16]));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_a_panic(bytes: Vec<u8>) {
            prop_assert_eq!(decode(&bytes), None);
        }
    }
}
