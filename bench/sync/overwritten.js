// Does history travel? Catch-up from a node whose keys were overwritten many times, against one that wrote each once.

import { freshDirectory } from '../work-directory.js';
import { countingProxy } from './counting-proxy.js';
import { startNode } from './node-handle.js';
import { bytesWhenQuiet } from './quiet.js';

/** How many times every key is written in the overwritten case. */
const GENERATIONS = 20;

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shape?: string }} settings
 * @returns {Promise<number>} bytes of the catch-up after overwriting, divided by those of the plain final state
 */
export async function measure(module, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const last = GENERATIONS - 1;
  const plain = await bytesOfCatchUp(contender, [last], { directory, count, shape });
  const all = Array.from({ length: GENERATIONS }, (_, generation) => generation);
  const overwritten = await bytesOfCatchUp(contender, all, { directory, count, shape });
  return overwritten / plain;
}

async function bytesOfCatchUp(module, generations, { directory, count, shape }) {
  const start = (name) => startNode({ module, name, shape, directory: freshDirectory(directory, name) });
  const sender = await start('node-a');
  const receiver = await start('node-b');
  for (const generation of generations) await sender.call('fill', { count, generation });
  const proxy = await countingProxy(receiver.port);
  const held = receiver.call('holds', { count });
  await sender.call('connect', { port: proxy.port, name: 'node-b' });
  await held;
  const bytes = await bytesWhenQuiet(proxy.bytes);
  await receiver.call('verify', { count, generation: generations.at(-1) });
  await sender.stop();
  await receiver.stop();
  proxy.close();
  return bytes;
}
