'use strict';

/** What `waitFor()` gives. */
const deliveredOf = ({ peers, replaced, replacedBy }) =>
  Object.freeze({ peers: Object.freeze(peers), replaced, replacedBy: replacedBy ?? undefined });

/** Runs the addon's wait, and ends it when its signal says so. */
async function runWait(node, { operation, peer, count, signal }) {
  const wait = node.waitFor(operation, peer, count);
  const cancel = () => wait.cancel();
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    return await wait.delivered();
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

module.exports = { deliveredOf, runWait };
