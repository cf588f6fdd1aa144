// The floor: records appended to one file, and a sync. No index, no checksum, nothing to read back but the file.

import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { KEY_BYTES, VALUE_BYTES } from '../dataset.js';

/** What a resolved put means. */
export const durability = {
  synced: 'one write and one fdatasync per put or per group of 1,000',
  unsynced: 'one write per group, to the page cache',
};

const RECORD_BYTES = KEY_BYTES + VALUE_BYTES;

/**
 * @param {string} directory an existing directory
 * @param {{ synced: boolean }} settings whether a resolved put is on disk
 */
export async function open(directory, { synced }) {
  const path = join(directory, 'records.log');
  const file = openSync(path, 'a');
  let scratch = Buffer.alloc(RECORD_BYTES);
  const append = (keys, values, from, to) => {
    const bytes = (to - from) * RECORD_BYTES;
    if (scratch.length < bytes) scratch = Buffer.alloc(bytes);
    let at = 0;
    for (let index = from; index < to; index++) {
      at += scratch.latin1Write(keys[index], at);
      at += scratch.latin1Write(values[index], at);
    }
    writeSync(file, scratch, 0, bytes);
    if (synced) fdatasyncSync(file);
  };
  let readBack;
  const read = () => {
    readBack ??= readRecords(path);
    return readBack;
  };
  return {
    put: (key, value) => append([key], [value], 0, 1),
    check: () => {}, // a failed put throws
    async putAll(keys, values, width) {
      for (let from = 0; from < keys.length; from += width) {
        await append(keys, values, from, Math.min(from + width, keys.length));
      }
    },
    get: (key) => read().get(key),
    text: (value) => value,
    count: async () => read().size,
    close: async () => closeSync(file),
  };
}

function readRecords(path) {
  const bytes = readFileSync(path);
  const records = new Map();
  for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
    const key = bytes.latin1Slice(at, at + KEY_BYTES);
    records.set(key, bytes.latin1Slice(at + KEY_BYTES, at + RECORD_BYTES));
  }
  return records;
}
