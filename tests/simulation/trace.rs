//! Trace of a run: a digest that two equal runs share, and text for replaying one.

use crate::core::checksum::hash128_pair;

#[derive(Default)]
pub(super) struct Trace {
    digest: u128,
    at: u64,
    /// True if each line is printed.
    pub(super) is_loud: bool,
}

impl Trace {
    pub(super) fn set_time(&mut self, at: u64) {
        self.at = at;
    }

    /// Adds an event to the digest; `bytes` describe it completely.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        let before = [self.digest.to_le_bytes(), u128::from(self.at).to_le_bytes()].concat();
        self.digest = hash128_pair(&before, bytes);
    }

    /// Prints a line, if the trace is loud.
    pub(super) fn say(&self, what: impl FnOnce() -> String) {
        if self.is_loud {
            println!("{:>9} {}", self.at, what());
        }
    }

    pub(super) fn digest(&self) -> u128 {
        self.digest
    }
}
