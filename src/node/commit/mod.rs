//! Group commit: requests are queued, taken in groups, appended and synced, and their callers answered.

pub(super) mod backlog;
pub(super) mod commit_thread;
pub(super) mod committer;
pub(super) mod inline_commit;
pub(super) mod intake;
pub(super) mod new_identity;
pub(super) mod outcomes;
pub(super) mod pipeline;
pub mod queue;
pub(super) mod sync_thread;
pub(super) mod waiters;
