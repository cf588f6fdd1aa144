//! Machines joined by pipes in memory: meeting, parting, and meeting again.

mod identity;
mod meeting;
mod outcomes;
mod parting;
mod pipes;
mod queueing;
mod reconciling;
mod renewing;
mod skew;
