// A peer was met once and stays away, while much is written: what does the node keep for it?

import { freshDirectory } from '../work-directory.js';
import { startNode } from './node-handle.js';

/**
 * Processes of either kind, of which the smallest counts: what an allocator has not given back yet is no cost of a peer,
 * and differs by some ten megabytes from one process to the next.
 */
const ATTEMPTS = 3;

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number }} settings
 * @returns {Promise<{ figure: number, beside: Record<string, number> }>} megabytes that the node has for itself more
 *   than one that has never met anybody, after both have written the same; beside it, what the latter has
 */
export async function measure(module, { directory, count }) {
  const contender = module.replace('sync/', '');
  const memoryOf = async (name, meets) => {
    const start = (as) =>
      startNode({ module: contender, name: as, directory: freshDirectory(directory, `${name}-${as}`) });
    const node = await start('node-a');
    if (meets) {
      const peer = await start('node-b');
      await node.call('fillLive', { count: 1 });
      await node.call('connect', { port: peer.port, name: 'node-b' });
      await peer.call('holds', { count: 1 });
      await peer.stop();
    }
    await node.call('fillLive', { count });
    // How much of the data is in memory depends on how long ago the last checkpoint was: so both make one now.
    await node.call('compact');
    const { value } = await node.call('memory');
    await node.stop();
    return value;
  };
  let [alone, withPeer] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    alone = Math.min(alone, await memoryOf(`alone-${attempt}`, false));
    withPeer = Math.min(withPeer, await memoryOf(`met-${attempt}`, true));
  }
  return { figure: withPeer - alone, beside: { 'all memory without the peer': alone } };
}
