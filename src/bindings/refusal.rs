//! Refusals of hot calls: one negative number for each reason.

use super::text::TextError;
use crate::node::commit::queue::NotQueued;
use crate::store::error::StoreError;

/// The reason why a call did nothing, as its number for JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Refused {
    NotOpen = -1,
    KeyEmpty = -2,
    KeyTooLong = -3,
    ValueTooLarge = -4,
    NoRoomNow = -5,
    Poisoned = -6,
    WrongType = -7,
    LoneSurrogate = -8,
    BatchTooLarge = -9,
    Internal = -10,
    Unreadable = -11,
}

impl From<TextError> for Refused {
    fn from(error: TextError) -> Self {
        match error {
            TextError::NotText => Self::WrongType,
            TextError::Malformed => Self::LoneSurrogate,
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::KeyEmpty => Self::KeyEmpty,
            StoreError::KeyTooLong { .. } => Self::KeyTooLong,
            StoreError::ValueTooLarge { .. } => Self::ValueTooLarge,
            StoreError::BatchTooLarge { .. } => Self::BatchTooLarge,
            _ => Self::Internal,
        }
    }
}

impl From<NotQueued> for Refused {
    fn from(why: NotQueued) -> Self {
        match why {
            NotQueued::Closed => Self::NotOpen,
            NotQueued::Full => Self::NoRoomNow,
        }
    }
}
