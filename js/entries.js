'use strict';

const { Result } = require('./result.js');
const { notOpen, unexpected } = require('./error.js');
const { valueFrom } = require('./value.js');

const DONE = Object.freeze({ value: undefined, done: true });

/** How many entries cross over at a time, at first and at most: a reader that stops early costs little. */
const CHUNK_FIRST = 16;
const CHUNK_MOST = 1024;
/** Chunks grow while they are lighter than this, in bytes or characters of values. */
const CHUNK_WEIGHT = 256 * 1024;

/** The entries in the order of their keys, as they were when it was made. Read once. */
class Entries {
  #scan;
  #isOpen;
  #left;
  #outcome = Result.ok();
  #chunk = { keys: [], values: [], versions: [] };
  #at = 0;
  #isTold = false;
  #chunkSize = CHUNK_FIRST;

  /** `scan`: the addon's; without one it has ended, for the reason `failed`. `isOpen()`: still the same session. */
  constructor(scan, limit, isOpen, failed) {
    this.#scan = scan;
    this.#left = limit;
    this.#isOpen = isOpen;
    if (failed !== undefined) this.#outcome = Result.err(failed);
  }

  result() {
    return this.#outcome;
  }

  next() {
    if (this.#at === this.#chunk.keys.length) this.#refill();
    if (this.#at === this.#chunk.keys.length) return this.#last();
    const { keys, values, versions } = this.#chunk;
    const at = this.#at;
    this.#at += 1;
    const entry = { key: keys[at], value: valueFrom(values[at]), version: versions[at] };
    return Promise.resolve({ value: entry, done: false });
  }

  // What went wrong is thrown where it is read, once: nobody looks at a Result in a loop.
  #last() {
    if (this.#isTold || this.#outcome.isOk()) return Promise.resolve(DONE);
    this.#isTold = true;
    return Promise.reject(this.#outcome.error());
  }

  return() {
    this.#end();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #refill() {
    this.#chunk = { keys: [], values: [], versions: [] };
    this.#at = 0;
    if (this.#scan === undefined) return;
    if (!this.#isOpen()) {
      this.#end(notOpen());
      return;
    }
    try {
      this.#chunk = this.#scan.next(Math.min(this.#chunkSize, this.#left));
    } catch (cause) {
      this.#end(unexpected(cause));
      return;
    }
    if (this.#chunk.failure !== undefined) {
      this.#end(this.#chunk.failure);
      return;
    }
    this.#left -= this.#chunk.keys.length;
    this.#fitChunkSize();
    if (this.#chunk.keys.length === 0 || this.#left === 0) this.#close();
  }

  #fitChunkSize() {
    const weight = this.#chunk.values.reduce((sum, value) => sum + value.length, 0);
    if (weight > CHUNK_WEIGHT) this.#chunkSize = Math.max(1, this.#chunkSize >> 1);
    else this.#chunkSize = Math.min(CHUNK_MOST, this.#chunkSize * 2);
  }

  #end(failed) {
    this.#chunk = { keys: [], values: [], versions: [] };
    this.#at = 0;
    if (failed !== undefined) this.#outcome = Result.err(failed);
    this.#close();
  }

  #close() {
    const scan = this.#scan;
    this.#scan = undefined;
    try {
      scan?.close();
    } catch {
      // It was read to its end or given up: nothing depends on it any more.
    }
  }
}

module.exports = { Entries };
