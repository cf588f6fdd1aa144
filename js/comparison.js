'use strict';

// Runs `client.verify(peer)`, and ends it when its signal aborts.

const { onAbort } = require('./signals.js');

/** Converts the addon's comparison into the result of `Client.verify()`. */
function comparisonOf({ keys, ...difference }) {
  return Object.freeze({ ...difference, keys: Object.freeze(keys) });
}

/** Runs the addon's comparison, and cancels the wait for it when its signal aborts. */
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
