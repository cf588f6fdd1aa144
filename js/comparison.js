'use strict';

// Runs `client.verify(peer)`, and ends it when its signal aborts.

const { onAbort } = require('./signals.js');

/** What `Client.verify()` gives. */
function comparisonOf({ keys, ...difference }) {
  return Object.freeze({ ...difference, keys: Object.freeze(keys) });
}

/** Runs the addon's comparison, and ends the wait for it when its signal says so. */
async function runComparison(node, { nodeId, signal }) {
  const comparison = node.compare(nodeId);
  const forget = onAbort(signal, () => comparison.cancel());
  try {
    return await comparison.finished();
  } finally {
    forget();
  }
}

module.exports = { comparisonOf, runComparison };
