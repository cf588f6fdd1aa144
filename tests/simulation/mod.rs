//! Whole nodes in a simulated world (deterministic simulation), everything from one seed: the real machine, committer,
//! recovery and checkpoints, over disks in memory, a virtual clock and a network that carries bytes. First faults come,
//! and invariants are checked all along (`checks`, `wire`; the numbers in their messages are those of
//! `docs/internals/replication.md`, section 7, and of its rules); then the faults stop, and everything has to be well
//! (`calm`).
//!
//! The simulation is compiled into the crate's unit tests, because it drives parts that are private to the crate, and
//! breaks rules of the protocol on purpose (`rules`). A production build asks too whether a rule is broken, and the
//! answer there is the constant `false` (`core::rules`).
//!
//! # Real and simulated parts
//! Real: `node::machine` with sessions, replica and directory; `transport`'s frames, codec and assembler; `store`'s
//! committer, recovery and checkpoints; `wal` over `disk::memory`, with its fault model.
//! Not real: threads and sockets. `commits` does what `node::commit` and `node::checkpoint` do, `network` and `stream`
//! what `node::net` and `transport::tcp` do.
//!
//! # Faults
//! A connection delivers its bytes in order, in pieces, late, or not at all once it is lost; each end learns of a loss
//! on its own, or never. Two connections of the same nodes may overlap. A way between two nodes may be blocked in one
//! direction. A damaged frame reaches the decoder; one that would pass for another message is noticed by the channel,
//! which loses the connection: a frame has no checksum of its own. Nothing comes twice or out of order within one
//! connection; entries do where a feed is taken back, where connections overlap, and where several peers have them.
//! Peers may send wrong hints, and messages that no node makes (`forgeries`). Nodes crash between any two calls of
//! their disk and at any other time, and
//! disks fail, fill up, go back in time with or without a new opening, are copied, also while the original runs on
//! (between two calls of its disk, as a snapshot of that, or one file after another), and are lost. Clocks are set back where
//! a disk goes back. Nodes have different conflict policies, keep a log or none, send by themselves or in ticks, and
//! take smaller values than others. In some runs nodes of a version to come write extensions that others do not know
//! (`newer`).
//! In some, nodes want only keys with some prefixes, of everybody or of a single peer, and other ones after a restart or
//! another call (`wanted`, `prefixes`).
//!
//! # Environment
//! `TORTURE_SEED` and `TORTURE_COUNT` as for the torture of the store. A failure prints the command that repeats it,
//! with the variables of `proof::replayed`: `SIMULATION_SEED`, `SIMULATION_NODES`, `SIMULATION_STEPS`,
//! `SIMULATION_WEATHER`, `SIMULATION_BROKEN`. `rules` reads `SIMULATION_RULES` (which rules are broken) and
//! `SIMULATION_RUNS` (how many seeds are tried for each).

mod calm;
mod checks;
mod clocks;
mod commits;
mod conflicts;
mod delivery;
mod drawing;
mod exchanges;
mod faults;
mod final_checks;
mod forgeries;
mod kept;
mod knowledge;
mod lifetimes;
mod lists;
mod network;
mod newer;
mod node;
mod own_writes;
mod prefixes;
mod proof;
mod repairs;
mod rules;
mod schedule;
mod shrinking;
mod stream;
mod trace;
mod wanted;
mod weather;
mod wire;
mod world;
