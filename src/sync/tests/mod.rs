//! Real replicas over disks in memory, a virtual clock and connections that are cut, slowed and made again: everything
//! from one seed.

mod check;
mod clockwork;
pub(crate) mod dice;
mod host;
mod inspect;
mod schedules_ahead;
mod schedules_compare;
mod schedules_conflict;
mod schedules_cursor;
mod schedules_fair;
mod schedules_held_back;
mod schedules_large;
mod schedules_liar;
mod schedules_listing;
mod schedules_namesake;
mod schedules_pieces;
mod schedules_proof;
mod schedules_reconcile;
mod schedules_reconcile_peers;
mod schedules_refused;
mod schedules_rejected;
mod schedules_retry;
mod schedules_scope;
mod schedules_scope_rows;
mod schedules_scope_waits;
mod schedules_settled;
mod schedules_strangers;
mod schedules_superseded;
mod schedules_tick;
mod schedules_twins;
mod schedules_waits;
mod stage;
mod storm;
mod wire;
mod world;
