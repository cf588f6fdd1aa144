//! Machines joined by pipes in memory: meeting, parting, and meeting again; the queue; and inline commits.

mod backlog;
mod fair_use;
mod identity;
mod lone_writes;
mod mailbox;
mod meeting;
mod memory;
mod opening;
mod outcomes;
mod parting;
mod pipes;
mod queueing;
mod reconciling;
mod renewing;
mod scopes;
mod skew;
