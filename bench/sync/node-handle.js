// The parent's side of a node process.

import { fork } from 'node:child_process';
import { once } from 'node:events';

const processPath = new URL('./node-process.js', import.meta.url);

/**
 * Starts a node in a fresh process.
 *
 * @param {{ module: string, name: string, directory: string, shape?: string }} settings
 * @param {(index: number, atNs: number) => void} [onSeen] told of every write that has become visible there
 */
export async function startNode(settings, onSeen) {
  const child = fork(processPath, { env: { ...process.env, NODE_ENV: 'production' } });
  const waiting = new Map();
  let nextId = 1;
  child.on('message', (message) => {
    if (message.seen !== undefined) {
      onSeen(message.seen, message.atNs);
      return;
    }
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) reject(new Error(`${settings.name}: ${message.error}`));
    else resolve(message);
  });
  child.on('exit', (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${settings.name} ended: ${code ?? signal}`));
    waiting.clear();
  });
  /** @returns {Promise<{ value: unknown, startNs: number, doneNs: number }>} */
  const call = (method, callSettings = {}) =>
    new Promise((resolve, reject) => {
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      child.send({ id, method, settings: callSettings });
    });
  const { value: port } = await call('create', { ...settings, watched: onSeen !== undefined });
  return {
    port,
    call,
    async stop() {
      await call('close');
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}
