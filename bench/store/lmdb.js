// lmdb-js 3: one memory-mapped B+tree, commits on its own thread.

import { open as openEnvironment } from 'lmdb';
import { inLanes, inWaves } from './in-flight.js';

/** What a resolved put means. */
export const durability = {
  synced:
    'data pages fdatasynced, then the meta page written with O_DSYNC, before the promise resolves (overlappingSync off: with it on, a put resolves before its sync)',
  unsynced: 'noSync: committed to the page cache',
};

const FIRST_MAP_BYTES = 2 ** 30; // large enough that growing the map is not part of any row

/**
 * @param {string} directory an existing directory
 * @param {{ synced: boolean, shape?: string }} settings whether a resolved put is on disk, and how puts are under way
 */
export async function open(directory, { synced, shape = 'wave' }) {
  const durable = synced ? { overlappingSync: false } : { noSync: true };
  const database = openEnvironment({
    path: directory,
    encoding: 'string',
    mapSize: FIRST_MAP_BYTES,
    eventTurnBatching: !shape.endsWith('-split'), // off: a commit may start before the event turn has ended
    ...durable,
  });
  const put = (key, value) => database.put(key, value);
  const check = (done) => {
    if (done !== true) throw new Error('lmdb: the put did not happen');
  };
  const flight = shape.startsWith('lanes') ? inLanes : inWaves;
  return {
    put,
    check,
    putAll: (keys, values, width) => flight(keys, values, width, put, check),
    get: (key) => database.get(key), // synchronous: awaiting it costs one turn of the microtask queue
    text: (value) => value,
    count: async () => database.getCount(),
    async scan(visit) {
      for (const { key, value } of database.getRange()) visit(key, value);
    },
    close: () => database.close(),
  };
}
