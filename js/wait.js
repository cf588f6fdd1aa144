'use strict';

// Runs `waitFor()`, and ends it when its signal aborts.

const { onAbort } = require('./signals.js');

/** Converts the addon's answer into the result of `waitFor()`. */
const deliveredOf = ({ peers, replaced, replacedBy }) =>
  Object.freeze({ peers: Object.freeze(peers), replaced, replacedBy: replacedBy ?? undefined });

/** Runs the addon's wait, and cancels it when its signal aborts. */
async function runWait(node, { operation, peer, count, signal }) {
  const wait = node.waitFor(operation, peer, count);
  const forget = onAbort(signal, () => wait.cancel());
  try {
    return await wait.delivered();
  } finally {
    forget();
  }
}

module.exports = { deliveredOf, runWait };
