// A node that holds everything meets one that holds nothing.

import { join } from 'node:path';
import { freshDirectory } from '../work-directory.js';
import { startNode } from './node-handle.js';

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shape?: string }} settings
 * @returns {Promise<number>} milliseconds from the dialling to the moment when the receiver holds all of it durably
 */
export async function measure(module, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const sender = await startSender(contender, freshDirectory(directory, 'node-a'), shape);
  await sender.call('fill', { count, generation: 0 });
  return catchUp(contender, sender, { directory, count, shape });
}

/**
 * Fills the node that others catch up with, once for all rounds.
 *
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number }} settings
 */
export async function fill(module, { directory, count }) {
  const contender = module.replace('sync/', '');
  const node = await startSender(contender, freshDirectory(directory, 'node-a'));
  await node.call('fill', { count, generation: 0 });
  await node.call('compact');
  await node.stop();
}

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shape?: string }} settings the directory was filled by {@link fill}
 * @returns {Promise<number>} keys in a second, over the same time as in {@link measure}
 */
export async function rate(module, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const sender = await startSender(contender, join(directory, 'node-a'), shape);
  return count / ((await catchUp(contender, sender, { directory, count, shape })) / 1e3);
}

const startSender = (module, directory, shape) => startNode({ module, name: 'node-a', shape, directory });

async function catchUp(module, sender, { directory, count, shape }) {
  const receiver = await startNode({
    module,
    name: 'node-b',
    shape,
    directory: freshDirectory(directory, 'node-b'),
  });
  const held = receiver.call('holds', { count });
  const { startNs } = await sender.call('connect', { port: receiver.port, name: 'node-b' });
  const { doneNs } = await held;
  await receiver.call('verify', { count, generation: 0 });
  await sender.stop();
  await receiver.stop();
  return (doneNs - startNs) / 1e6;
}
