'use strict';

// Reports of the addon as frozen plain data; a missing part is null.

const MICROSECONDS_A_MILLISECOND = 1000;

const frozen = (data) => Object.freeze(data);
const listOf = (items, convert) => frozen(items.map(convert));

function tornTailOf(tail) {
  if (tail === undefined || tail === null) return null;
  const { file, offset, bytes, keptAt } = tail;
  return frozen(keptAt === undefined ? { file, offset, bytes } : { file, offset, bytes, keptAt });
}

const checkpointOf = (checkpoint) => (checkpoint ? frozen({ ...checkpoint }) : null);

/** Converts the addon's report into the result of `recovery()`. */
function recoveryOf(report) {
  return frozen({
    ...report,
    tornTail: tornTailOf(report.tornTail),
    leftovers: frozen([...report.leftovers]),
    renamedFrom: report.renamedFrom ?? null,
    renewed: report.renewed ? frozen({ ...report.renewed }) : null,
    salvaged: report.salvaged ? frozen({ ...report.salvaged }) : null,
    checkpoint: checkpointOf(report.checkpoint),
  });
}

/** Converts the addon's statistics into the result of `stats()`. */
function statsOf({ syncUs, ...stats }) {
  const milliseconds = (us) => us / MICROSECONDS_A_MILLISECOND;
  return frozen({
    ...stats,
    groups: frozen({ ...stats.groups }),
    syncLatencyMs: frozen({
      count: syncUs.count,
      p50: milliseconds(syncUs.p50),
      p99: milliseconds(syncUs.p99),
      max: milliseconds(syncUs.max),
    }),
    lastCheckpoint: checkpointOf(stats.lastCheckpoint),
  });
}

/** Converts a problem of `verify()`: the failure that an opening would end with. */
function problemOf({ kind, context, offset, message, stillValid, whatToDo }) {
  return frozen({
    kind,
    file: context ?? null,
    offset: offset ?? null,
    message,
    stillValid: stillValid ?? null,
    whatToDo: whatToDo ?? null,
  });
}

/** Converts the addon's report into the result of `verify()`. */
function verificationOf(report) {
  return frozen({
    ...report,
    files: listOf(report.files, (file) => frozen({ ...file })),
    problems: listOf(report.problems, problemOf),
    notices: listOf(report.notices, (notice) => frozen({ ...notice })),
    tornTail: tornTailOf(report.tornTail),
  });
}

/** Converts the addon's report into the result of `salvage()`. */
function salvageOf(report) {
  return frozen({ ...report, lost: listOf(report.lost, (range) => frozen({ ...range })) });
}

module.exports = { recoveryOf, salvageOf, statsOf, verificationOf };
