// @softadastra/sdk as a store.

import { join } from 'node:path';
import { loadSdk } from '../softadastra.js';
import { inLanes, inWaves } from './in-flight.js';

/** What a resolved put means. */
export const durability = {
  synced: 'autoFlush: the group is fdatasynced in the log before the promise resolves',
  unsynced: 'autoFlush off: the group is written to the page cache',
};

/** @param {string} directory of a store @returns {string} the path of its log */
export function logPath(directory) {
  return join(directory, 'store.wal');
}

/** @param {string} directory of a store @returns {string} the path of its last checkpoint */
export function checkpointPath(directory) {
  return `${logPath(directory)}.checkpoint`;
}

/**
 * @param {string} directory an existing directory
 * @param {{ synced: boolean, shape?: string, checkpointLogBytes?: number }} settings whether a resolved put is on
 *   disk, how puts are under way, and how long the log may grow before a checkpoint begins by itself
 */
export async function open(directory, { synced, shape = 'wave', checkpointLogBytes }) {
  const { Client, ClientOptions } = await loadSdk();
  const options = ClientOptions.persistent('node-bench', logPath(directory));
  options.autoFlush = synced;
  if (checkpointLogBytes !== undefined) options.checkpointLogBytes = checkpointLogBytes;
  const client = new Client(options);
  (await client.open()).value();
  const put = (key, value) => client.put(key, value);
  const check = (result) => {
    if (result.isErr()) throw result.error(); // a put that failed may not count as done
  };
  const flight = shape === 'lanes' ? inLanes : inWaves;
  return {
    put,
    check,
    putAll: (keys, values, width) => flight(keys, values, width, put, check),
    get: (key) => client.get(key),
    text: (result) => result.value().toString(),
    count: async () => client.size(),
    async scan(visit) {
      const entries = client.entries();
      for await (const { key, value } of entries) visit(key, value.toString());
      entries.result().value();
    },
    compact: async () => (await client.compact()).value(),
    close: async () => (await client.close()).value(),
  };
}
