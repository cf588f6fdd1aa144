//! Tests that need more than one module.

mod assembly;
mod codec;
mod entries;
mod frames;
mod recorder;
mod samples;
mod samples_ranges;
mod session;
mod tcp;
mod tcp_hostile;
mod tcp_large;
