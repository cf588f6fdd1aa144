// One write at a time, each waited for until the other node's process has it, durable on both.

import { quantile } from '../statistics.js';
import { freshDirectory } from '../work-directory.js';
import { startNode } from './node-handle.js';

/** The first writes warm up code, sockets and file. */
const WARM_UP_WRITES = 50;

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shape?: string }} settings
 * @returns {Promise<number>} microseconds from the write to durable on both and visible on the other node, p50
 */
export async function measure(module, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const seen = new Map();
  let announce = () => {};
  const onSeen = (index, atNs) => {
    seen.set(index, atNs);
    announce();
  };
  const settings = (name) => ({ module: contender, name, shape, directory: freshDirectory(directory, name) });
  const writer = await startNode(settings('node-a'));
  const reader = await startNode(settings('node-b'), onSeen);
  await writer.call('connect', { port: reader.port, name: 'node-b' });
  const latenciesUs = [];
  for (let index = 0; index < count + WARM_UP_WRITES; index++) {
    const arrived = new Promise((resolve) => {
      announce = () => {
        if (seen.has(index)) resolve(seen.get(index));
      };
    });
    const { startNs, doneNs, value: seenToo } = await writer.call('write', { index });
    announce();
    const seenNs = seenToo ? doneNs : await arrived;
    if (index >= WARM_UP_WRITES) latenciesUs.push((Math.max(seenNs, doneNs) - startNs) / 1e3);
  }
  await reader.call('holds', { count: count + WARM_UP_WRITES });
  await reader.call('verify', { count: count + WARM_UP_WRITES, generation: 0 });
  await writer.stop();
  await reader.stop();
  return quantile(latenciesUs, 0.5);
}
