// Two nodes that hold the same, or nearly, meet: what passes until both know it. They are filled once for all rounds,
// and in every round they are started anew and connected.

import { join } from 'node:path';
import { freshDirectory, removeDirectory } from '../work-directory.js';
import { countingProxy } from './counting-proxy.js';
import { startNode } from './node-handle.js';
import { bytesWhenQuiet } from './quiet.js';

/**
 * Two nodes, one of which got everything from the other.
 *
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number }} settings
 */
export async function fillPair(module, settings) {
  await fillFromOne(module, ['node-a', 'node-b'], settings);
}

/**
 * Two nodes that got everything from a third, which is gone, and have never met.
 *
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number }} settings
 */
export async function fillThroughThird(module, settings) {
  await fillFromOne(module, ['node-c', 'node-a', 'node-b'], settings);
  removeDirectory(join(settings.directory, 'node-c'));
}

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, differing?: number }} settings how many keys one of the two overwrites
 *   before they meet: they lie all over, and each node overwrites half of them
 * @returns {Promise<number>} bytes until the connection is quiet and each of the two knows that both hold the same; of
 *   the two ways the one where more passed
 */
export async function bytes(module, { directory, count, differing = 0 }) {
  const contender = module.replace('sync/', '');
  const start = (name) => startNode({ module: contender, name, directory: join(directory, name) });
  const nodes = [await start('node-a'), await start('node-b')];
  const step = Math.floor(count / Math.max(differing, 1));
  const newer = { from: 0, to: step * differing, step };
  for (const [at, node] of nodes.entries()) {
    const half = { from: at * step, to: newer.to, step: 2 * step };
    await node.call('fillSome', { some: half, generation: 1 });
  }
  const proxy = await countingProxy(nodes[1].port);
  await nodes[0].call('connect', { port: proxy.port, name: 'node-b' });
  await Promise.all(nodes.map((node) => node.call('inSync')));
  await bytesWhenQuiet(proxy.bytes);
  const passed = Math.max(...proxy.ways());
  for (const node of nodes) await node.call('verify', { count, generation: 0, newer });
  for (const node of nodes) await node.stop();
  proxy.close();
  return passed;
}

/**
 * @param {string} module a contender of this folder
 * @param {object} settings as for {@link bytes}
 * @returns {Promise<number>} the same in kilobytes
 */
export async function kilobytes(module, settings) {
  return (await bytes(module, settings)) / 1e3;
}

// The first of them writes, the others get it from there, one after another.
async function fillFromOne(module, [first, ...others], { directory, count }) {
  const contender = module.replace('sync/', '');
  const start = (name) => startNode({ module: contender, name, directory: freshDirectory(directory, name) });
  const source = await start(first);
  await source.call('fill', { count, generation: 0 });
  for (const name of others) {
    const node = await start(name);
    await source.call('connect', { port: node.port, name });
    await node.call('holds', { count });
    await node.call('inSync');
    await node.call('compact');
    await node.stop();
  }
  await source.call('compact');
  await source.stop();
}
