'use strict';

// A backup under way: its progress, its end by a signal, and its result.

const { clearInterval, setInterval } = require('./host.js');
const { onAbort } = require('./signals.js');

/** How often progress is told. */
const TOLD_EVERY_MS = 50;

/** Runs the addon's backup, tells how far it is, and ends it when its signal says so. */
async function runBackup(node, { path, onProgress, signal }) {
  const backup = node.backup(path);
  const forget = onAbort(signal, () => backup.cancel());
  const tell = () => onProgress(backup.progress());
  const timer = onProgress === undefined ? undefined : setInterval(tell, TOLD_EVERY_MS);
  try {
    const outcome = await backup.run();
    if (outcome.ok && onProgress !== undefined) tell();
    return outcome;
  } finally {
    clearInterval(timer);
    forget();
  }
}

module.exports = { runBackup };
