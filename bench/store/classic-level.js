// classic-level 3: LevelDB, a log-structured merge tree.

import { ClassicLevel } from 'classic-level';

/** What a resolved put means. */
export const durability = {
  synced: 'sync: true, the log is fdatasynced before the promise resolves',
  unsynced: 'sync: false, written to the page cache',
};

/**
 * @param {string} directory an existing directory
 * @param {{ synced: boolean }} settings whether a resolved put is on disk
 */
export async function open(directory, { synced }) {
  const level = new ClassicLevel(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
  await level.open();
  const write = { sync: synced };
  return {
    put: (key, value) => level.put(key, value, write),
    async putAll(keys, values, width) {
      for (let from = 0; from < keys.length; from += width) {
        const to = Math.min(from + width, keys.length);
        const operations = new Array(to - from);
        for (let at = from; at < to; at++)
          operations[at - from] = { type: 'put', key: keys[at], value: values[at] };
        await level.batch(operations, write);
      }
    },
    check: () => {}, // a failed put rejects
    text: (value) => value,
    get: (key) => level.getSync(key), // quicker than its asynchronous get, which goes through the thread pool
    async count() {
      let found = 0;
      for await (const _ of level.keys()) found++;
      return found;
    },
    async scan(visit) {
      for await (const [key, value] of level.iterator()) visit(key, value);
    },
    close: () => level.close(),
  };
}
