//! Tests that need more than one module.

mod codec;
mod entries;
mod frames;
mod samples;
mod session;
