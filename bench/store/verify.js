// Reads back what a store should hold. What is compared differs for every index and generation.

import { keyAt, valueAt } from '../dataset.js';

/** At most so many values are compared after a run; the count always is. */
const VERIFY_VALUES_MAX = 50_000;

/**
 * Opens a store, counts and compares, and closes it.
 *
 * @param {object} contender a module of this folder
 * @param {string} directory where its files are
 * @param {number} count how many keys there should be
 * @param {(index: number) => number} [generationOf] which writing of a key should be there; the first without it
 */
export async function verify(contender, directory, count, generationOf) {
  const store = await contender.open(directory, { synced: true });
  await compareAll(store, count, generationOf);
  await store.close();
}

/**
 * Counts and compares; rejects with what is wrong.
 *
 * @param {object} store an open one
 * @param {number} count how many keys there should be
 * @param {(index: number) => number} [generationOf] as for {@link verify}
 */
export async function compareAll(store, count, generationOf) {
  const found = await store.count();
  if (found !== count) throw new Error(`${count} entries were written, ${found} were found`);
  await compareValues(store, count, generationOf);
}

/**
 * Compares a part of the values, evenly spread over the keys; rejects with the first that is wrong.
 *
 * @param {object} store an open one
 * @param {number} count how many keys there are
 * @param {(index: number) => number} [generationOf] as for {@link verify}
 */
export async function compareValues(store, count, generationOf = () => 0) {
  const step = Math.max(1, Math.floor(count / VERIFY_VALUES_MAX));
  for (let index = 0; index < count; index += step) {
    const value = store.text(await store.get(keyAt(index)));
    if (value !== valueAt(index, generationOf(index)))
      throw new Error(`the value of ${keyAt(index)} is wrong`);
  }
}
