// The four measurements of a store. Each opens it, warms it up, takes the time of the work alone, closes it, opens it
// again and reads back what was written: a fast store with wrong data has not run.

import { entries, indexes, keyAt, valueAt } from '../dataset.js';
import { nowNs } from '../monotonic-clock.js';

/** Puts or gets that are under way at once in the rows "in flight". */
export const IN_FLIGHT_WIDTH = 1000;
/** At most so many values are compared after a run; the count always is. */
const VERIFY_VALUES_MAX = 50_000;

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
 * Fills the directory that {@link randomGets} reads; not measured.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number }} settings
 */
export async function fill(contender, { directory, count }) {
  const { keys, values } = entries(count, 'ascending');
  const store = await contender.open(directory, { synced: false });
  await store.putAll(keys, values, IN_FLIGHT_WIDTH);
  await store.close();
  await verify(contender, directory, count);
}

/**
 * One get after another, in random order over all keys. Every value is checked for its length while the time runs,
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
  for (let at = 0; at < keys.length / 5; at++) store.text(await store.get(keys[keys.length - 1 - at]));
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

async function verify(contender, directory, count) {
  const store = await contender.open(directory, { synced: true });
  const found = await store.count();
  if (found !== count) throw new Error(`${count} entries were written, ${found} were found`);
  await compareValues(store, count);
  await store.close();
}

async function compareValues(store, count) {
  const step = Math.max(1, Math.floor(count / VERIFY_VALUES_MAX));
  for (let index = 0; index < count; index += step) {
    const value = store.text(await store.get(keyAt(index)));
    if (value !== valueAt(index)) throw new Error(`the value of ${keyAt(index)} is wrong`);
  }
}

function perSecond(count, elapsedNs) {
  return count / (elapsedNs / 1e9);
}
