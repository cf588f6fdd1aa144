'use strict';

/** What `Client.verify()` gives. */
function comparisonOf({ keys, ...difference }) {
  return Object.freeze({ ...difference, keys: Object.freeze(keys) });
}

/** Runs the addon's comparison, and ends the wait for it when its signal says so. */
async function runComparison(node, { nodeId, signal }) {
  const comparison = node.compare(nodeId);
  const cancel = () => comparison.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await comparison.finished();
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

module.exports = { comparisonOf, runComparison };
