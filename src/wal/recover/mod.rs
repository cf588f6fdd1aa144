//! Recovery of a log after a crash: a verdict, and the repair that follows from it.

pub(super) mod chain;
pub mod inspect;
pub(super) mod lost_header;
pub(super) mod open;
pub(super) mod part;
pub mod readable;
pub(super) mod reader;
pub mod recovery;
pub(super) mod repair;
pub mod scan;
