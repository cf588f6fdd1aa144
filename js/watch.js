'use strict';

// `Watch`: changes as an iteration, the newest of each key.

const { unexpected } = require('./error.js');
const { Result } = require('./result.js');
const { onAbort } = require('./signals.js');
const { answered } = require('./turns.js');

const DONE = Object.freeze({ value: undefined, done: true });

/**
 * Changes under a prefix, from the creation of the watch until it ends. Of the unread changes only the newest of each
 * key is kept, so a slow reader costs no more memory than the changed keys.
 */
class Watch {
  #prefix;
  #session;
  #outcome;
  #ended;
  #isTold = false;
  #unread = new Map();
  #readers = [];
  #forgetSignal = () => {};

  /**
   * `session`: `{ hold, release, ended }` of the open client; `hold` keeps the process alive while a reader waits. A
   * `failed` watch has no session and has ended; `result()` returns its failure.
   */
  constructor(prefix, signal, session, failed) {
    this.#prefix = prefix;
    this.#session = session;
    this.#outcome = failed === undefined ? Result.ok() : Result.err(failed);
    this.#ended = failed !== undefined;
    if (this.#ended) return;
    if (signal?.aborted) this.#ended = true;
    else this.#listenTo(signal);
  }

  #listenTo(signal) {
    try {
      this.#forgetSignal = onAbort(signal, () => this.end());
    } catch (cause) {
      this.#outcome = Result.err(unexpected(cause));
      this.#ended = true;
    }
  }

  /** True once no further change will come. */
  hasEnded() {
    return this.#ended;
  }

  result() {
    return this.#outcome;
  }

  next() {
    const [first] = this.#unread;
    if (first !== undefined) {
      this.#unread.delete(first[0]);
      return answered({ value: first[1], done: false }, 0);
    }
    if (this.#ended) return this.#last();
    return new Promise((resolve) => {
      this.#readers.push(resolve);
      if (this.#readers.length === 1) this.#session.hold();
    });
  }

  // A failure is thrown once, where it is read, because nobody checks a Result in a loop.
  #last() {
    if (this.#isTold || this.#outcome.isOk()) return answered(DONE, 0);
    this.#isTold = true;
    return Promise.reject(this.#outcome.error());
  }

  return() {
    this.#unread.clear();
    this.end();
    return answered(DONE, 0);
  }

  close() {
    this.return();
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  add(change) {
    if (this.#ended || !change.key.startsWith(this.#prefix)) return;
    const reader = this.#readers.shift();
    if (reader === undefined) {
      // Removed first, so that the order is that of the last changes.
      this.#unread.delete(change.key);
      this.#unread.set(change.key, change);
      return;
    }
    if (this.#readers.length === 0) this.#session.release();
    reader({ value: change, done: false });
  }

  /** Ends the watch; unread changes stay readable. */
  end() {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetSignal();
    if (this.#readers.length > 0) this.#session.release();
    for (const reader of this.#readers.splice(0)) reader(DONE);
    this.#session.ended(this);
  }
}

if (Symbol.asyncDispose !== undefined) {
  Watch.prototype[Symbol.asyncDispose] = async function dispose() {
    this.close();
  };
}

module.exports = { Watch };
