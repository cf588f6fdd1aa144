// Three nodes, all connected with each other; one writes. How often does an entry travel?

import { freshDirectory } from '../work-directory.js';
import { countingProxy } from './counting-proxy.js';
import { startNode } from './node-handle.js';
import { bytesWhenQuiet } from './quiet.js';

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, shape?: string }} settings
 * @returns {Promise<number>} bytes on all connections of the mesh, divided by two copies; one copy is what two nodes
 *   alone exchange for the same writes
 */
export async function measure(module, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const pair = await bytesOfMesh(contender, ['node-a', 'node-b'], { directory, count, shape });
  const mesh = await bytesOfMesh(contender, ['node-a', 'node-b', 'node-c'], { directory, count, shape });
  return mesh / (2 * pair);
}

async function bytesOfMesh(module, names, { directory, count, shape }) {
  const nodes = [];
  for (const name of names) {
    nodes.push(await startNode({ module, name, shape, directory: freshDirectory(directory, name) }));
  }
  const proxies = [];
  for (let from = 0; from < nodes.length; from++) {
    for (let to = from + 1; to < nodes.length; to++) {
      const proxy = await countingProxy(nodes[to].port);
      proxies.push(proxy);
      await nodes[from].call('connect', { port: proxy.port, name: names[to] });
    }
  }
  const held = nodes.slice(1).map((node) => node.call('holds', { count }));
  await nodes[0].call('fillLive', { count });
  await Promise.all(held);
  const bytes = await bytesWhenQuiet(() => proxies.reduce((sum, proxy) => sum + proxy.bytes(), 0));
  for (const node of nodes) await node.call('verify', { count, generation: 0 });
  for (const node of nodes) await node.stop();
  for (const proxy of proxies) proxy.close();
  return bytes;
}
