// What a checkpoint costs those who write meanwhile: the same process, with the same load, without one and with one.

import { statSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { indexes, keyAt, valueAt } from '../dataset.js';
import { nowNs } from '../monotonic-clock.js';
import { IN_FLIGHT_WIDTH } from './measure.js';
import { verify } from './verify.js';

/** How finely stalls of the event loop are measured: the finest that there is, in milliseconds. */
const STALL_RESOLUTION_MS = 1;
/** After the load so long, until a stall at its very end has been recorded. */
const STALL_SETTLE_MS = 20;

/**
 * @param {object} contender a module of this folder whose stores can `compact`
 * @param {object} settings see {@link withAndWithout}
 * @returns {Promise<{ figure: number, beside: object }>} puts per second while a checkpoint is written, and without
 */
export async function putsDuringCheckpoint(contender, settings) {
  const { during, without } = await withAndWithout(contender, settings);
  return answer(during.perSecond, without.perSecond);
}

/**
 * @param {object} contender a module of this folder whose stores can `compact`
 * @param {object} settings see {@link withAndWithout}
 * @returns {Promise<{ figure: number, beside: object }>} milliseconds of the longest time from one turn of a timer of
 *   1 ms to the next, while a checkpoint is written and without one
 */
export async function stallDuringCheckpoint(contender, settings) {
  const { during, without } = await withAndWithout(contender, { ...settings, watched: true });
  return answer(during.longestStallMs, without.longestStallMs);
}

function answer(figure, without) {
  return { figure, beside: { 'softadastra without a checkpoint': without } };
}

/**
 * Three times the same load: a first checkpoint, which warms everything up and tells how long one takes; as long
 * without one; and with one again.
 *
 * @param {object} contender a module of this folder whose stores can `compact`
 * @param {{ directory: string, count: number, updates: number, checkpointLogBytes: number, watched?: boolean }}
 *   settings how many keys the directory holds, and how many of them are overwritten, again and again; how long the
 *   log may grow, which is longer than it does; whether to look at the event loop
 */
async function withAndWithout(contender, { directory, count, updates, checkpointLogBytes, watched = false }) {
  const chosen = indexes(count, 'shuffled').slice(0, updates);
  const keys = Array.from(chosen, (index) => keyAt(index));
  const values = Array.from(chosen, (index) => valueAt(index, 1));
  const store = await contender.open(directory, { synced: true, checkpointLogBytes });
  await store.putAll(keys, values, IN_FLIGHT_WIDTH);
  const phase = (meanwhile) => {
    globalThis.gc?.();
    return watch(watched, () => loadDuring(store, keys, values, meanwhile));
  };
  const checkpoint = async () => {
    const before = checkpointOf(contender, directory);
    await store.compact();
    if (checkpointOf(contender, directory) === before) throw new Error('no checkpoint was made');
  };
  const { elapsedMs } = await phase(checkpoint);
  const without = await phase(() => sleep(elapsedMs));
  const during = await phase(checkpoint);
  await store.close();
  const updated = new Set(chosen);
  await verify(contender, directory, count, (index) => (updated.has(index) ? 1 : 0));
  return { during, without };
}

// Lanes, each of which waits for its put before it starts the next, until `meanwhile` has ended.
async function loadDuring(store, keys, values, meanwhile) {
  let hasEnded = false;
  let next = 0;
  let done = 0;
  const lane = async () => {
    while (!hasEnded) {
      const at = next++ % keys.length;
      store.check(await store.put(keys[at], values[at]));
      if (!hasEnded) done++;
    }
  };
  const startNs = nowNs();
  const lanes = Array.from({ length: IN_FLIGHT_WIDTH }, lane);
  const ending = meanwhile().then(() => {
    hasEnded = true;
    return nowNs() - startNs;
  });
  const [elapsedNs] = await Promise.all([ending, ...lanes]);
  return { elapsedMs: elapsedNs / 1e6, perSecond: done / (elapsedNs / 1e9) };
}

async function watch(watched, work) {
  if (!watched) return work();
  const delays = monitorEventLoopDelay({ resolution: STALL_RESOLUTION_MS });
  delays.enable();
  const found = await work();
  await sleep(STALL_SETTLE_MS);
  delays.disable();
  return { ...found, longestStallMs: delays.max / 1e6 };
}

// A new checkpoint is a new file.
function checkpointOf(contender, directory) {
  const { ino, mtimeNs } = statSync(contender.checkpointPath(directory), { bigint: true });
  return `${ino} ${mtimeNs}`;
}
