// @softadastra/sdk as a replicating node, with automatic sync.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { indexOfKey, keyAt, valueAt } from '../dataset.js';
import { loadSdk } from '../softadastra.js';
import { inWaves } from '../store/in-flight.js';
import { freePort, HOST } from './socket.js';

/** What the rows mean here. */
export const durability =
  'autoFlush on both: nothing is sent, shown or acknowledged before it is fdatasynced';

const FILL_WIDTH = 1000;
/** Keys and values made at a time, so that the memory of a process does not tell how many it wrote. */
const FILL_MADE_AT_ONCE = 20_000;
const HOLDS_CHECK_INTERVAL_MS = 1;
/** Looks at all keys after which one takes as long as it does from then on. */
const WARMING_LOOKS = 20;
const IN_SYNC_CHECK_INTERVAL_MS = 10;
/** Above 0, writes leave as they commit; the interval only paces retries. */
const SYNC_INTERVAL_MS = 100;

/** @param {{ name: string, directory: string, onSeen?: (index: number) => void }} settings */
export async function createNode({ name, directory, onSeen }) {
  const { Client, ClientOptions, Peer } = await loadSdk();
  const port = await freePort();
  const options = ClientOptions.persistent(name, join(directory, 'node.wal'));
  options.enableTransport = true;
  options.transportHost = HOST;
  options.transportPort = port;
  options.syncIntervalMs = SYNC_INTERVAL_MS;
  const client = new Client(options);
  (await client.open()).value();
  (await client.startTransport()).value();
  if (onSeen) client.on('change', (change) => onSeen(indexOfKey(change.key)));
  const check = (result) => {
    if (result.isErr()) throw result.error();
  };
  const fillSome = async (indexes, generation) => {
    for (let from = 0; from < indexes.length; from += FILL_MADE_AT_ONCE) {
      const some = indexes.slice(from, from + FILL_MADE_AT_ONCE);
      const keys = some.map((index) => keyAt(index));
      const values = some.map((index) => valueAt(index, generation));
      await inWaves(keys, values, FILL_WIDTH, (key, value) => client.put(key, value), check);
    }
  };
  const fill = (count, generation) => fillSome([...Array(count).keys()], generation);
  const holds = async (count) => {
    while (client.size() < count) await sleep(HOLDS_CHECK_INTERVAL_MS);
  };
  const value = async (index) => (await client.get(keyAt(index))).value().toString();
  /** How many of these keys have, from the first on, the value that is wanted. */
  const countSame = async (keys, wanted) => {
    for (const [at, key] of keys.entries()) {
      if ((await client.get(key)).value().toString() !== wanted[at]) return at;
    }
    return keys.length;
  };
  return {
    port,
    fill,
    fillSome,
    fillLive: (count) => fill(count, 0),
    async connect(peerPort, peerName) {
      check(await client.connect(new Peer(peerName, HOST, peerPort)));
    },
    holds,
    async warm(indexes) {
      const keys = indexes.map(keyAt);
      const values = await Promise.all(indexes.map(value));
      for (let looks = 0; looks < WARMING_LOOKS; looks++) await countSame(keys, values);
    },
    async holdsNewest(count, indexes, generation) {
      const keys = indexes.map(keyAt);
      const wanted = indexes.map((index) => valueAt(index, generation));
      await holds(count);
      // What comes last is looked for first.
      while ((await value(indexes.at(-1))) !== wanted.at(-1)) await sleep(HOLDS_CHECK_INTERVAL_MS);
      while ((await countSame(keys, wanted)) < keys.length) await sleep(HOLDS_CHECK_INTERVAL_MS);
    },
    async inSync() {
      const isInSync = async () => {
        const connected = (await client.syncStateInfo()).value().peers.filter((peer) => peer.connected);
        return connected.length > 0 && connected.every((peer) => peer.inSync);
      };
      while (!(await isInSync())) await sleep(IN_SYNC_CHECK_INTERVAL_MS);
    },
    compact: async () => check(await client.compact()),
    async write(index) {
      check(await client.put(keyAt(index), valueAt(index)));
      return false;
    },
    count: async () => client.size(),
    value,
    close: async () => check(await client.close()),
  };
}
