//! Handle of a backup for JavaScript.

use std::sync::{Arc, Weak};

use napi::Env;
use napi::bindgen_prelude::{PromiseRaw, Result};
use napi_derive::napi;

use super::failure::{Outcome, guarded};
use super::node::NativeNode;
use super::reports::number;
use crate::node::{CopyProgress, Failure, Node};

/// Progress of a backup.
#[napi(object)]
#[derive(Debug, Clone)]
pub struct NativeBackupProgress {
    pub entries: f64,
    pub total_entries: f64,
    pub bytes: f64,
}

/// Handle of a backup. Writing begins with `run`.
#[napi]
pub struct NativeBackup {
    node: Weak<Node>,
    path: String,
    progress: Arc<CopyProgress>,
}

#[napi]
impl NativeNode {
    /// Prepares a backup to a path.
    #[napi(catch_unwind)]
    pub fn backup(&self, path: String) -> NativeBackup {
        NativeBackup {
            node: self
                .hot
                .node()
                .map_or_else(Weak::new, |node| Arc::downgrade(&node)),
            path,
            progress: Arc::default(),
        }
    }
}

#[napi]
impl NativeBackup {
    /// Writes the backup. Resolves when it is whole and durable.
    #[napi(catch_unwind)]
    pub fn run<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        let (node, path) = (self.node.upgrade(), self.path.clone());
        let progress = Arc::clone(&self.progress);
        let call = async move {
            let node = node.ok_or_else(Failure::not_open)?;
            node.backup(&path, progress).await
        };
        env.spawn_future(async move { Ok(Outcome(guarded(call).await)) })
    }

    /// Progress of the backup.
    #[napi(catch_unwind)]
    pub fn progress(&self) -> NativeBackupProgress {
        NativeBackupProgress {
            entries: number(self.progress.entries()),
            total_entries: number(self.progress.entries_total()),
            bytes: number(self.progress.bytes()),
        }
    }

    /// Cancels the backup.
    #[napi(catch_unwind)]
    pub fn cancel(&self) {
        self.progress.cancel();
    }
}
