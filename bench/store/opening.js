// How long until a store that holds data answers: after it was closed, and after its process was killed.

import { closeSync, openSync, readSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { indexes, keyAt, valueAt } from '../dataset.js';
import { nowNs } from '../monotonic-clock.js';
import { freshDirectory, readFiles, removeDirectory } from '../work-directory.js';
import { fill, IN_FLIGHT_WIDTH } from './measure.js';
import { compareAll } from './verify.js';

/** How much is read at once: large enough for few calls, small enough for the processor's cache. */
const READ_BYTES = 256 * 1024;

/**
 * Milliseconds from the call that opens a full store to the first value. The files are in the page cache, and the
 * contender's code is loaded: an empty store was opened and closed before.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number, updates?: number }} settings `updates` as for {@link fillAndUpdate}
 * @returns {Promise<number>} milliseconds
 */
export async function openToFirstGet(contender, { directory, count, updates = 0 }) {
  await openEmpty(contender, freshDirectory(dirname(directory), `${basename(directory)}-empty`));
  readFiles(directory);
  const generationOf = generations(count, updates);
  const index = updates > 0 ? indexes(count, 'shuffled')[0] : Math.floor(count / 2);
  const key = keyAt(index);
  globalThis.gc?.();
  const startNs = nowNs();
  const store = await contender.open(directory, { synced: true });
  const value = store.text(await store.get(key));
  const elapsedNs = nowNs() - startNs;
  if (value !== valueAt(index, generationOf(index))) throw new Error(`the value of ${key} is wrong`);
  await compareAll(store, count, generationOf);
  await store.close();
  return elapsedNs / 1e6;
}

/**
 * Fills a directory, closes it, opens it again and overwrites some keys durably. It stays open: the process is to be
 * killed now. What was overwritten is in the log alone.
 *
 * @param {object} contender a module of this folder
 * @param {{ directory: string, count: number, updates: number, checkpointLogBytes: number }} settings
 */
export async function fillAndUpdate(contender, { directory, count, updates, checkpointLogBytes }) {
  await fill(contender, { directory, count });
  const chosen = indexes(count, 'shuffled').slice(0, updates);
  const store = await contender.open(directory, { synced: true, checkpointLogBytes });
  const keys = Array.from(chosen, (index) => keyAt(index));
  const values = Array.from(chosen, (index) => valueAt(index, 1));
  await store.putAll(keys, values, IN_FLIGHT_WIDTH);
}

/**
 * The floor for opening a log: reading it and the CRC-32 of its bytes.
 *
 * @param {object} contender a module of this folder that says where its log is
 * @param {{ directory: string }} settings
 * @returns {Promise<number>} milliseconds
 */
export async function readLog(contender, { directory }) {
  readFiles(directory);
  const buffer = Buffer.alloc(READ_BYTES);
  const checksum = crc32(buffer);
  const startNs = nowNs();
  const found = checksumOf(contender.logPath(directory), buffer);
  const elapsedNs = nowNs() - startNs;
  if (found === checksum) throw new Error('the log has no content');
  return elapsedNs / 1e6;
}

function checksumOf(path, buffer) {
  const file = openSync(path, 'r');
  let checksum = 0;
  for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
    checksum = crc32(read === buffer.length ? buffer : buffer.subarray(0, read), checksum);
  closeSync(file);
  return checksum;
}

async function openEmpty(contender, directory) {
  const store = await contender.open(directory, { synced: true });
  store.check(await store.put(keyAt(0), valueAt(0)));
  store.text(await store.get(keyAt(0)));
  await store.close();
  removeDirectory(directory);
}

function generations(count, updates) {
  const updated = new Set(indexes(count, 'shuffled').slice(0, updates));
  return (index) => (updated.has(index) ? 1 : 0);
}
