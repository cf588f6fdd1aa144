// Two nodes that wrote apart meet: each has keys of its own, and some keys both wrote.

import { setTimeout as sleep } from 'node:timers/promises';
import { freshDirectory } from '../work-directory.js';
import { startNode } from './node-handle.js';

const NAMES = ['node-a', 'node-b'];
/** What a node does by itself after it was filled is done by then, whoever it is. */
const REST_MS = 250;

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shared: number, shape?: string }} settings how many keys each writes
 *   that the other does not, and how many both write: the second node the newer ones
 * @returns {Promise<number>} milliseconds from the dialling to the moment when both hold all of it durably, and of each
 *   shared key the same
 */
export async function measure(module, { directory, count, shared, shape }) {
  const contender = module.replace('sync/', '');
  const nodes = [];
  for (const name of NAMES) {
    nodes.push(
      await startNode({ module: contender, name, shape, directory: freshDirectory(directory, name) }),
    );
  }
  const both = { from: 2 * count, to: 2 * count + shared };
  for (const [at, node] of nodes.entries()) {
    await node.call('fillSome', { some: { from: at * count, to: (at + 1) * count }, generation: 0 });
    await node.call('fillSome', { some: both, generation: at });
  }
  for (const [at, node] of nodes.entries())
    await node.call('warm', { some: { from: at * count, to: at * count + shared } });
  await sleep(REST_MS);
  const held = nodes.map((node) =>
    node.call('holdsNewest', { count: both.to, some: both, generation: NAMES.length - 1 }),
  );
  const { startNs } = await nodes[0].call('connect', { port: nodes[1].port, name: NAMES[1] });
  const ends = await Promise.all(held);
  for (const node of nodes) await node.call('verify', { count: both.to, generation: 0, newer: both });
  for (const node of nodes) await node.stop();
  return (Math.max(...ends.map(({ doneNs }) => doneNs)) - startNs) / 1e6;
}
