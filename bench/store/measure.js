// Puts and gets. Each measurement opens a store, warms it up, takes the time of the work alone, closes it, opens it
// again and reads back what was written: a fast store with wrong data has not run.

import { entries, indexes, keyAt, valueAt } from '../dataset.js';
import { nowNs } from '../monotonic-clock.js';
import { compareValues, verify } from './verify.js';

/** Puts or gets that are under way at once in the rows "in flight". */
export const IN_FLIGHT_WIDTH = 1000;

/**
 * One durable put after another.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number, order: string }} settings
 * @returns {Promise<number>} puts per second
 */
export async function awaitedPuts(contender, { directory, count, order }) {
  const warmUp = Math.ceil(count / 10);
  const { keys, values } = entries(count + warmUp, order);
  const store = await contender.open(directory, { synced: true });
  for (let at = 0; at < warmUp; at++) store.check(await store.put(keys[at], values[at]));
  globalThis.gc?.();
  const startNs = nowNs();
  for (let at = warmUp; at < keys.length; at++) store.check(await store.put(keys[at], values[at]));
  const elapsedNs = nowNs() - startNs;
  await store.close();
  await verify(contender, directory, keys.length);
  return perSecond(count, elapsedNs);
}

/**
 * Puts with {@link IN_FLIGHT_WIDTH} under way.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number, order: string, synced: boolean, shape: string }} settings
 * @returns {Promise<number>} puts per second
 */
export async function putsInFlight(contender, { directory, count, order, synced, shape }) {
  const warmUp = Math.ceil(count / 10 / IN_FLIGHT_WIDTH) * IN_FLIGHT_WIDTH;
  const { keys, values } = entries(count + warmUp, order);
  const store = await contender.open(directory, { synced, shape });
  await store.putAll(keys.slice(0, warmUp), values.slice(0, warmUp), IN_FLIGHT_WIDTH);
  const measuredKeys = keys.slice(warmUp);
  const measuredValues = values.slice(warmUp);
  globalThis.gc?.();
  const startNs = nowNs();
  await store.putAll(measuredKeys, measuredValues, IN_FLIGHT_WIDTH);
  const elapsedNs = nowNs() - startNs;
  await store.close();
  await verify(contender, directory, keys.length);
  return perSecond(count, elapsedNs);
}

/**
 * Fills a directory with every key once, for rows that begin with a full store; not measured. A store that can move
 * what it holds to where it stays has done so afterwards.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number }} settings
 */
export async function fill(contender, { directory, count }) {
  const { keys, values } = entries(count, 'ascending');
  const store = await contender.open(directory, { synced: false });
  await store.putAll(keys, values, IN_FLIGHT_WIDTH);
  await store.compact?.();
  await store.close();
  await verify(contender, directory, count);
}

/**
 * One get after another, in random order over all keys, each of which was read once before. Every value is checked for its length while the time runs,
 * and a part of them byte for byte afterwards.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number, gets: number }} settings
 * @returns {Promise<number>} gets per second
 */
export async function randomGets(contender, { directory, count, gets }) {
  const chosen = indexes(count, 'shuffled');
  const keys = Array.from({ length: gets }, (_, at) => keyAt(chosen[at % count]));
  const store = await contender.open(directory, { synced: true });
  const expected = valueAt(0).length;
  for (let at = 0; at < count; at++) store.text(await store.get(keyAt(chosen[count - 1 - at])));
  globalThis.gc?.();
  const startNs = nowNs();
  for (let at = 0; at < keys.length; at++) {
    if (store.text(await store.get(keys[at])).length !== expected)
      throw new Error(`wrong value of ${keys[at]}`);
  }
  const elapsedNs = nowNs() - startNs;
  await compareValues(store, count);
  await store.close();
  return perSecond(gets, elapsedNs);
}

function perSecond(count, elapsedNs) {
  return count / (elapsedNs / 1e9);
}
