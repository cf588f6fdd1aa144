// One node with many peers, all in this process and in memory: what a write costs for each peer that it is sent to.

import { setTimeout as sleep } from 'node:timers/promises';
import { keyAt, valueAt } from '../dataset.js';
import { loadSdk } from '../softadastra.js';
import { HOST } from './socket.js';

const SYNC_INTERVAL_MS = 100;
const CHECK_INTERVAL_MS = 1;
/** Writes under way at a time: a burst as programs make them. */
const WIDTH = 100;

/**
 * @param {string} _module only the product takes part
 * @param {{ peers: number, backlog: number, count: number }} settings how many peers, how many keys all of them hold
 *   beforehand, and how many more are written
 * @returns {Promise<number>} microseconds for each write and peer, until all peers hold all of it
 */
export async function measure(_module, { peers, backlog, count }) {
  const { Client, ClientOptions, Peer } = await loadSdk();
  const open = async (name) => {
    const options = ClientOptions.memoryOnly(name);
    options.enableTransport = true;
    options.syncIntervalMs = SYNC_INTERVAL_MS;
    const client = new Client(options);
    (await client.open()).value();
    return client;
  };
  const hub = await open('hub');
  (await hub.startTransport()).value();
  const { transportPort } = hub.options();
  const others = [];
  for (let number = 0; number < peers; number++) {
    const other = await open(`peer-${number}`);
    (await other.connect(new Peer('hub', HOST, transportPort))).value();
    others.push(other);
  }
  const write = async (from, to) => {
    for (let begin = from; begin < to; begin += WIDTH) {
      const puts = [];
      for (let index = begin; index < Math.min(begin + WIDTH, to); index++) {
        puts.push(hub.put(keyAt(index), valueAt(index)));
      }
      for (const put of await Promise.all(puts)) put.value();
    }
    while (others.some((other) => other.size() < to)) await sleep(CHECK_INTERVAL_MS);
  };
  await write(0, backlog);
  const start = process.hrtime.bigint();
  await write(backlog, backlog + count);
  const took = Number(process.hrtime.bigint() - start) / 1000;
  for (const client of [...others, hub]) (await client.close()).value();
  return took / (count * peers);
}
