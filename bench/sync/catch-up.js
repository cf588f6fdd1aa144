// A node that holds everything meets one that holds nothing.

import { freshDirectory } from '../work-directory.js';
import { startNode } from './node-handle.js';

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shape?: string }} settings
 * @returns {Promise<number>} milliseconds from the dialling to the moment when the receiver holds all of it durably
 */
export async function measure(module, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const start = (name) =>
    startNode({ module: contender, name, shape, directory: freshDirectory(directory, name) });
  const sender = await start('node-a');
  const receiver = await start('node-b');
  await sender.call('fill', { count, generation: 0 });
  const held = receiver.call('holds', { count });
  const { startNs } = await sender.call('connect', { port: receiver.port, name: 'node-b' });
  const { doneNs } = await held;
  await receiver.call('verify', { count, generation: 0 });
  await sender.stop();
  await receiver.stop();
  return (doneNs - startNs) / 1e6;
}
