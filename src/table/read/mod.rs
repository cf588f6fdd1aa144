//! Reads of a table in place.

pub(super) mod feed;
pub(super) mod lookup;
pub(super) mod open;
pub(super) mod range;
pub(super) mod source;
pub(super) mod split;
