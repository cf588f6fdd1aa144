//! Stores on disk, for JavaScript: verifying and salvaging a log, and a node's recovery report and statistics.

use napi::Env;
use napi::bindgen_prelude::{PromiseRaw, Result};
use napi_derive::napi;

use super::failure::{NativeFailure, Outcome, guarded};
use super::node::NativeNode;
use super::reports::number;
use crate::node::histogram::Percentiles;
use crate::node::{
    CutOff, Failure, FileReport, LastCheckpoint, LostRange, Notice, OpenedCheckpoint,
    RecoveryReport, SalvageReport, Stats, UnfinishedEnd, VerifyReport, salvage, verify,
};

/// A file of a store.
#[napi(object)]
pub(super) struct NativeFileReport {
    pub file: String,
    pub bytes: f64,
    pub frames: Option<f64>,
    pub rows: Option<f64>,
    pub whole: bool,
}

/// A finding that does no harm.
#[napi(object)]
pub(super) struct NativeNotice {
    pub kind: String,
    pub file: String,
    pub message: String,
}

/// An unfinished end of the log; `kept_at` is its copy once it was cut off.
#[napi(object)]
pub struct NativeTornTail {
    pub file: String,
    pub offset: f64,
    pub bytes: f64,
    pub kept_at: Option<String>,
}

/// Result of a verification.
#[napi(object)]
pub(super) struct NativeVerification {
    pub path: String,
    pub whole: bool,
    pub files: Vec<NativeFileReport>,
    pub problems: Vec<NativeFailure>,
    pub notices: Vec<NativeNotice>,
    pub groups: f64,
    pub entries: f64,
    pub torn_tail: Option<NativeTornTail>,
}

/// A part of a file that is lost.
#[napi(object)]
pub(super) struct NativeLostRange {
    pub file: String,
    pub from_offset: f64,
    pub to_offset: f64,
    pub reason: String,
}

/// Result of a salvage.
#[napi(object)]
pub(super) struct NativeSalvage {
    pub path: String,
    pub entries: f64,
    pub groups: f64,
    pub nameless: f64,
    pub lost: Vec<NativeLostRange>,
}

/// The checkpoint that an opening began with.
#[napi(object)]
pub struct NativeOpenedCheckpoint {
    pub file: String,
    pub bytes: f64,
    pub rows: f64,
}

/// Mark of a log that was made by a salvage.
#[napi(object)]
pub struct NativeSalvaged {
    pub lost: f64,
}

/// The reason why a node took a new identity.
#[napi(object)]
pub struct NativeRenewed {
    pub kind: String,
    pub node_id: String,
}

/// Result of an opening.
#[napi(object)]
pub struct NativeRecovery {
    pub outcome: String,
    pub frames: f64,
    pub bytes: f64,
    pub sealed_logs: f64,
    pub rewritten_frames: f64,
    pub torn_tail: Option<NativeTornTail>,
    pub leftovers: Vec<String>,
    pub seal_finished: bool,
    pub copy_noticed: bool,
    pub renamed_from: Option<String>,
    pub salvaged: Option<NativeSalvaged>,
    pub renewed: Option<NativeRenewed>,
    pub checkpoint: Option<NativeOpenedCheckpoint>,
}

/// Percentiles of a counted quantity.
#[napi(object)]
pub struct NativePercentiles {
    pub count: f64,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

/// The last checkpoint that was made.
#[napi(object)]
pub struct NativeLastCheckpoint {
    pub at_ms: f64,
    pub took_ms: f64,
    pub bytes: f64,
    pub rows: f64,
}

/// Statistics of a node.
#[napi(object)]
pub struct NativeStats {
    pub keys: f64,
    pub live_bytes: f64,
    pub tombstones: f64,
    pub log_bytes: f64,
    pub disk_bytes: f64,
    pub commits: f64,
    pub groups: NativePercentiles,
    pub sync_us: NativePercentiles,
    pub refusals: f64,
    pub last_checkpoint: Option<NativeLastCheckpoint>,
}

/// Verifies a log that no node has open.
#[napi(catch_unwind)]
pub(super) fn verify_log(
    env: &Env,
    path: String,
) -> Result<PromiseRaw<'_, Outcome<NativeVerification>>> {
    in_background(env, move || verify(&path).map(NativeVerification::from))
}

/// Saves every readable entry of a log into a new one.
#[napi(catch_unwind)]
pub(super) fn salvage_log(
    env: &Env,
    from: String,
    to: String,
) -> Result<PromiseRaw<'_, Outcome<NativeSalvage>>> {
    in_background(env, move || salvage(&from, &to).map(NativeSalvage::from))
}

/// Runs a call that reads files on a thread of its own.
fn in_background<T: napi::bindgen_prelude::ToNapiValue + Send + 'static>(
    env: &Env,
    call: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
) -> Result<PromiseRaw<'_, Outcome<T>>> {
    env.spawn_future(async move { Ok(Outcome(guarded(async move { blocking(call).await }).await)) })
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> std::result::Result<T, Failure> + Send + 'static,
) -> std::result::Result<T, Failure> {
    let called = tokio::task::spawn_blocking(call).await;
    called.map_err(|error| Failure::internal("a call failed inside").because(error.to_string()))?
}

#[napi]
impl NativeNode {
    /// Result of the node's opening.
    #[napi(catch_unwind)]
    pub fn recovery<'env>(
        &self,
        env: &'env Env,
    ) -> Result<PromiseRaw<'env, Outcome<NativeRecovery>>> {
        self.run(env, |node| async move {
            Ok(NativeRecovery::from(node.recovery()))
        })
    }

    /// Statistics of the node.
    #[napi(catch_unwind)]
    pub fn stats<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<NativeStats>>> {
        self.run(env, |node| {
            blocking(move || node.stats().map(NativeStats::from))
        })
    }

    #[napi(catch_unwind)]
    pub fn compact<'env>(&self, env: &'env Env) -> Result<PromiseRaw<'env, Outcome<()>>> {
        self.run(env, |node| async move { node.compact().await })
    }
}

impl From<FileReport> for NativeFileReport {
    fn from(file: FileReport) -> Self {
        Self {
            file: file.file,
            bytes: number(file.bytes),
            frames: file.frames.map(number),
            rows: file.rows.map(number),
            whole: file.is_whole,
        }
    }
}

impl From<Notice> for NativeNotice {
    fn from(notice: Notice) -> Self {
        Self {
            kind: notice.kind.as_str().to_owned(),
            file: notice.file,
            message: notice.message,
        }
    }
}

impl From<UnfinishedEnd> for NativeTornTail {
    fn from(end: UnfinishedEnd) -> Self {
        Self {
            file: end.file,
            offset: number(end.offset),
            bytes: number(end.bytes),
            kept_at: None,
        }
    }
}

impl From<CutOff> for NativeTornTail {
    fn from(end: CutOff) -> Self {
        Self {
            file: end.file,
            offset: number(end.offset),
            bytes: number(end.bytes),
            kept_at: Some(end.kept_at),
        }
    }
}

impl From<VerifyReport> for NativeVerification {
    fn from(report: VerifyReport) -> Self {
        Self {
            path: report.path,
            whole: report.is_whole,
            files: report.files.into_iter().map(Into::into).collect(),
            problems: report.problems.into_iter().map(Into::into).collect(),
            notices: report.notices.into_iter().map(Into::into).collect(),
            groups: number(report.groups),
            entries: number(report.entries),
            torn_tail: report.torn_tail.map(Into::into),
        }
    }
}

impl From<LostRange> for NativeLostRange {
    fn from(lost: LostRange) -> Self {
        Self {
            file: lost.file,
            from_offset: number(lost.from_offset),
            to_offset: number(lost.to_offset),
            reason: lost.reason.to_owned(),
        }
    }
}

impl From<SalvageReport> for NativeSalvage {
    fn from(report: SalvageReport) -> Self {
        Self {
            path: report.path,
            entries: number(report.entries),
            groups: number(report.groups),
            nameless: number(report.nameless),
            lost: report.lost.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<OpenedCheckpoint> for NativeOpenedCheckpoint {
    fn from(checkpoint: OpenedCheckpoint) -> Self {
        Self {
            file: checkpoint.file,
            bytes: number(checkpoint.bytes),
            rows: number(checkpoint.rows),
        }
    }
}

impl From<RecoveryReport> for NativeRecovery {
    fn from(report: RecoveryReport) -> Self {
        Self {
            outcome: report.outcome.as_str().to_owned(),
            frames: number(report.frames),
            bytes: number(report.bytes),
            sealed_logs: number(report.sealed_logs),
            rewritten_frames: number(report.rewritten_frames),
            torn_tail: report.torn_tail.map(Into::into),
            leftovers: report.leftovers,
            seal_finished: report.seal_finished,
            copy_noticed: report.copy_noticed,
            renamed_from: report.renamed_from,
            salvaged: report
                .salvaged
                .map(|lost| NativeSalvaged { lost: number(lost) }),
            renewed: report.renewed.map(|identity_conflict| NativeRenewed {
                kind: identity_conflict.reason.as_str().to_owned(),
                node_id: identity_conflict.node_id,
            }),
            checkpoint: report.checkpoint.map(Into::into),
        }
    }
}

impl From<Percentiles> for NativePercentiles {
    fn from(reported: Percentiles) -> Self {
        Self {
            count: number(reported.count),
            p50: number(reported.p50),
            p99: number(reported.p99),
            max: number(reported.max),
        }
    }
}

impl From<LastCheckpoint> for NativeLastCheckpoint {
    fn from(last: LastCheckpoint) -> Self {
        Self {
            at_ms: number(last.at.0),
            took_ms: number(last.took_ms),
            bytes: number(last.file_bytes),
            rows: number(last.rows),
        }
    }
}

impl From<Stats> for NativeStats {
    fn from(stats: Stats) -> Self {
        Self {
            keys: number(stats.keys),
            live_bytes: number(stats.live_bytes),
            tombstones: number(stats.tombstones),
            log_bytes: number(stats.log_bytes),
            disk_bytes: number(stats.disk_bytes),
            commits: number(stats.commits),
            groups: stats.groups.into(),
            sync_us: stats.sync_us.into(),
            refusals: number(stats.refusals),
            last_checkpoint: stats.last_checkpoint.map(Into::into),
        }
    }
}
