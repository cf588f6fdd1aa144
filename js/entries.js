'use strict';

// `Entries`: reads a consistent snapshot of the store, a page at a time.

const { Result } = require('./result.js');
const { notOpen, unexpected } = require('./error.js');
const { answered, nextTurn } = require('./turns.js');
const { valueFrom } = require('./value.js');

const DONE = Object.freeze({ value: undefined, done: true });

/** Number of entries that cross over at a time, at first and at most: a reader that stops early costs little. */
const CHUNK_FIRST = 16;
const CHUNK_MOST = 1024;
/** Weight up to which chunks grow, in bytes or characters of values. */
const CHUNK_WEIGHT = 256 * 1024;

/** Entries in key order, from a snapshot. Read once. */
class Entries {
  #scan;
  #isOpen;
  #left;
  #outcome = Result.ok();
  #chunk = { keys: [], values: [], versions: [] };
  #at = 0;
  #isTold = false;
  #chunkSize = CHUNK_FIRST;
  // A promise while the next entry is searched over several turns of the event loop.
  #search;

  /**
   * `scan`: the addon's scan; without one the iteration has ended, with the failure `failed`. `isOpen()`: true while
   * the client is in the session in which the iteration began.
   */
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
    if (this.#search !== undefined) return this.#search.then(() => this.next());
    if (this.#at === this.#chunk.keys.length) {
      if (this.#refill()) return this.#searchOn();
      if (this.#at === this.#chunk.keys.length) return this.#last();
    }
    const { keys, values, versions } = this.#chunk;
    const at = this.#at;
    this.#at += 1;
    const entry = { key: keys[at], value: valueFrom(values[at]), version: versions[at] };
    return answered({ value: entry, done: false }, values[at].length);
  }

  /** Continues the search in later turns of the event loop, and returns the entry found then. */
  #searchOn() {
    const search = async () => {
      do await nextTurn();
      while (this.#refill());
      this.#search = undefined;
    };
    this.#search = search();
    return this.#search.then(() => this.next());
  }

  // A failure is thrown once, where it is read, because nobody checks a Result in a loop.
  #last() {
    if (this.#isTold || this.#outcome.isOk()) return answered(DONE, 0);
    this.#isTold = true;
    return Promise.reject(this.#outcome.error());
  }

  return() {
    this.#end();
    return answered(DONE, 0);
  }

  close() {
    this.#end();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  /** Fetches the next entries. Returns true if there are none yet and the search must go on. */
  #refill() {
    this.#chunk = { keys: [], values: [], versions: [] };
    this.#at = 0;
    if (this.#scan === undefined) return false;
    if (!this.#isOpen()) {
      this.#end(notOpen());
      return false;
    }
    try {
      this.#chunk = this.#scan.next(Math.min(this.#chunkSize, this.#left));
    } catch (cause) {
      this.#end(unexpected(cause));
      return false;
    }
    if (this.#chunk.failure !== undefined) {
      this.#end(this.#chunk.failure);
      return false;
    }
    const count = this.#chunk.keys.length;
    if (count === 0 && this.#chunk.more) return true;
    this.#left -= count;
    this.#fitChunkSize();
    if (count === 0 || this.#left === 0) this.#close();
    return false;
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
      // The scan was read to its end or given up: nothing depends on it any more.
    }
  }
}

if (Symbol.asyncDispose !== undefined) {
  Entries.prototype[Symbol.asyncDispose] = async function dispose() {
    this.close();
  };
}

module.exports = { Entries };
