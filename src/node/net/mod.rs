//! Drivers of the machine: its connections, its runtime and its timer.

pub(super) mod calls;
pub(super) mod network;
pub(super) mod runtime;
pub(super) mod timer;
