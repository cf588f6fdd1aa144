//! The disk as a handful of methods that define which writes survive which failure; with a real disk, and one that
//! forgets, tears and fails on command. Knows neither logs nor tables.

pub(crate) mod direct_io;
pub mod directory;
pub mod error;
pub mod file;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code, reason = "fuzz targets need no faults"))]
pub mod memory;
pub mod storage;
