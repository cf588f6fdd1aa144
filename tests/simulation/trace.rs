//! What happened, as one number that two equal runs share, and in words for whoever replays one.

use crate::core::checksum::hash128_pair;

#[derive(Default)]
pub(super) struct Trace {
    digest: u128,
    at: u64,
    /// Whether each line is printed.
    pub(super) is_loud: bool,
}

impl Trace {
    pub(super) fn set_time(&mut self, at: u64) {
        self.at = at;
    }

    /// Something happened that these bytes tell all of.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        let before = [self.digest.to_le_bytes(), u128::from(self.at).to_le_bytes()].concat();
        self.digest = hash128_pair(&before, bytes);
    }

    /// Says something to whoever listens.
    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.is_loud {
            println!("{:>9} {}", self.at, what());
        }
    }

    pub(super) fn digest(&self) -> u128 {
        self.digest
    }
}
