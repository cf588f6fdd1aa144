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
const HOLDS_CHECK_INTERVAL_MS = 1;
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
  const fill = async (count, generation) => {
    const keys = Array.from({ length: count }, (_, index) => keyAt(index));
    const values = Array.from({ length: count }, (_, index) => valueAt(index, generation));
    await inWaves(keys, values, FILL_WIDTH, (key, value) => client.put(key, value), check);
  };
  return {
    port,
    fill,
    fillLive: (count) => fill(count, 0),
    async connect(peerPort, peerName) {
      check(await client.connect(new Peer(peerName, HOST, peerPort)));
    },
    async holds(count) {
      while (client.size() < count) await sleep(HOLDS_CHECK_INTERVAL_MS);
    },
    async write(index) {
      check(await client.put(keyAt(index), valueAt(index)));
      return false;
    },
    count: async () => client.size(),
    value: async (index) => (await client.get(keyAt(index))).value().toString(),
    close: async () => check(await client.close()),
  };
}
