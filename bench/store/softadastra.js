// @softadastra/sdk as a store.

import { join } from 'node:path';
import { loadSdk } from '../softadastra.js';
import { inLanes, inWaves } from './in-flight.js';

/** What a resolved put means. */
export const durability = {
  synced: 'autoFlush: the group is fdatasynced in the log before the promise resolves',
  unsynced: 'autoFlush off: the group is written to the page cache',
};

/**
 * @param {string} directory an existing directory
 * @param {{ synced: boolean, shape?: string }} settings whether a resolved put is on disk, and how puts are under way
 */
export async function open(directory, { synced, shape = 'wave' }) {
  const { Client, ClientOptions } = await loadSdk();
  const options = ClientOptions.persistent('node-bench', join(directory, 'store.wal'));
  options.autoFlush = synced;
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
    close: async () => (await client.close()).value(),
  };
}
