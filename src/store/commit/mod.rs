//! From a request to an appended group: planning, writing, installing (group commit).

pub mod appended;
pub mod committer;
pub mod group;
pub(super) mod hints;
pub mod install;
pub mod ledger;
pub(super) mod maintenance;
pub mod operation;
pub(super) mod plan_base;
pub(super) mod receive;
