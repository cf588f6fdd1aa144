// Nodes that are all connected with each other; one writes. How often does an entry travel, and how long?

import { freshDirectory } from '../work-directory.js';
import { countingProxy } from './counting-proxy.js';
import { startNode } from './node-handle.js';
import { bytesWhenQuiet } from './quiet.js';

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, nodes: number, shape?: string }} settings
 * @returns {Promise<number>} bytes on all connections of the mesh, divided by as many copies as there are other nodes;
 *   one copy is what two nodes alone exchange for the same writes
 */
export async function bytes(module, { nodes, ...settings }) {
  const pair = await mesh(module, 2, settings);
  const all = await mesh(module, nodes, settings);
  return all.bytes / ((nodes - 1) * pair.bytes);
}

/**
 * @param {string} module a contender of this folder
 * @param {{ directory: string, count: number, nodes: number, shape?: string }} settings
 * @returns {Promise<number>} milliseconds from the first write until all nodes hold all of them durably
 */
export async function time(module, { nodes, ...settings }) {
  return (await mesh(module, nodes, settings)).ms;
}

async function mesh(module, size, { directory, count, shape }) {
  const contender = module.replace('sync/', '');
  const names = Array.from({ length: size }, (_, number) => `node-${String.fromCharCode(97 + number)}`);
  const nodes = [];
  for (const name of names) {
    nodes.push(
      await startNode({ module: contender, name, shape, directory: freshDirectory(directory, name) }),
    );
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
  const { startNs } = await nodes[0].call('fillLive', { count });
  const ends = await Promise.all(held);
  const passed = await bytesWhenQuiet(() => proxies.reduce((sum, proxy) => sum + proxy.bytes(), 0));
  for (const node of nodes) await node.call('verify', { count, generation: 0 });
  for (const node of nodes) await node.stop();
  for (const proxy of proxies) proxy.close();
  return { bytes: passed, ms: (Math.max(...ends.map(({ doneNs }) => doneNs)) - startNs) / 1e6 };
}
