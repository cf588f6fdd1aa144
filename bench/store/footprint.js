// What a store takes: memory while it is read from end to end, and disk after much was overwritten.

import { readFileSync } from 'node:fs';
import { indexes, KEY_BYTES, keyAt, VALUE_BYTES, valueAt } from '../dataset.js';
import { bytesOnDisk } from '../work-directory.js';
import { IN_FLIGHT_WIDTH } from './measure.js';
import { verify } from './verify.js';

/**
 * Opens a full store, reads every entry once in the order of the keys, and looks at what the process has for itself.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number }} settings
 * @returns {Promise<number>} megabytes
 */
export async function memoryAfterScan(contender, { directory, count }) {
  const store = await contender.open(directory, { synced: true });
  let found = 0;
  let bytes = 0;
  await store.scan((key, value) => {
    found++;
    bytes += key.length + value.length;
  });
  const megabytes = privateMegabytes();
  if (found !== count || bytes !== count * (KEY_BYTES + VALUE_BYTES))
    throw new Error('the scan missed entries');
  await store.close();
  return megabytes;
}

/** @returns {number} megabytes of a process that has loaded the benchmark and opened nothing */
export function memoryOfNode() {
  return privateMegabytes();
}

/**
 * Writes every key once and then again, again and again, and closes the store.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number, overwrites: number, synced: boolean }} settings
 * @returns {Promise<number>} bytes on disk, divided by those of the keys and their newest values
 */
export async function diskAfterOverwriting(contender, { directory, count, overwrites, synced }) {
  const chosen = indexes(count, 'shuffled');
  const keys = Array.from(chosen, (index) => keyAt(index));
  const store = await contender.open(directory, { synced });
  for (let generation = 0; generation <= overwrites; generation++) {
    const values = Array.from(chosen, (index) => valueAt(index, generation));
    await store.putAll(keys, values, IN_FLIGHT_WIDTH);
  }
  await store.close();
  const bytes = bytesOnDisk(directory);
  await verify(contender, directory, count, () => overwrites);
  return bytes / (count * (KEY_BYTES + VALUE_BYTES));
}

/** @returns {number} megabytes in pages that no other process has: those it wrote, and of files only it has mapped */
function privateMegabytes() {
  if (process.platform !== 'linux') throw new Error('only Linux tells how much memory is private');
  const text = readFileSync('/proc/self/smaps_rollup', 'utf8');
  const kibibytes = ['Private_Clean', 'Private_Dirty'].map((name) => {
    const [, figure] = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text);
    return Number(figure);
  });
  return ((kibibytes[0] + kibibytes[1]) * 1024) / 1e6;
}
