//! Identity of a node, and epochs of its feed (`docs/internals/replication.md`, section 2).

use std::fmt;

/// Id of an identity or of an author: sixteen random bytes. A node gets an identity at its first open and when a copy
/// of its folder is noticed, and an author at every open; the first author is the identity. Also the tie-break between
/// equal stamps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Origin(pub [u8; 16]);

/// Id of an epoch of a node's feed: sixteen random bytes, made at every opening.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Incarnation(pub [u8; 16]);

/// Unique id of a write (a *dot*): its author and the author's sequence number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Dot {
    /// The author of the write.
    pub origin: Origin,
    /// The author's sequence number, from 1.
    pub sequence: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.origin, self.sequence)
    }
}

/// Error: the text is not a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotADot;

impl std::str::FromStr for Dot {
    type Err = NotADot;

    /// Parses the text that [`fmt::Display`] writes, and nothing else: a write has one name.
    fn from_str(text: &str) -> Result<Self, NotADot> {
        let (origin, sequence) = text.split_once('-').ok_or(NotADot)?;
        let mut bytes = [0_u8; 16];
        let mut rest = origin;
        for byte in &mut bytes {
            let (digits, behind) = rest.split_at_checked(2).ok_or(NotADot)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| NotADot)?;
            rest = behind;
        }
        let dot = Self {
            origin: Origin(bytes),
            sequence: sequence.parse().map_err(|_| NotADot)?,
        };
        if dot.to_string() == text {
            Ok(dot)
        } else {
            Err(NotADot)
        }
    }
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_write_is_found_by_its_name_again(origin: [u8; 16], sequence: u64) {
            let dot = Dot { origin: Origin(origin), sequence };
            prop_assert_eq!(dot.to_string().parse(), Ok(dot));
        }

        #[test]
        fn whatever_is_a_name_is_the_only_one(text in "[0-9a-fA-F]{30,34}-?[+0-9]{0,4}|.*") {
            if let Ok(dot) = text.parse::<Dot>() {
                prop_assert_eq!(dot.to_string(), text);
            }
        }
    }
}
