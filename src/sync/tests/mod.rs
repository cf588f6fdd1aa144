//! Replicas as they are, over disks in memory, a virtual clock and connections that are cut, slowed and made
//! again: everything from one seed.

mod check;
mod dice;
mod host;
mod storm;
mod wire;
mod world;
