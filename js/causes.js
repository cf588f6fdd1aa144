'use strict';

// Counts failures in the background by their cause, so that one that goes on is reported once, and again at 10, 100, 1000.

/** How many causes are told apart; the oldest is forgotten first. */
const CAUSES_MAX = 64;
/** A cause that was not heard of for so long is told like a new one. */
const QUIET_MS = 10 * 60 * 1000;
/** A cause that stays is told again each time its count has grown by this much. */
const TOLD_AGAIN_AT = 10;

/**
 * Failures in the background by their cause. A disk that stays full fails thousands of times: that is told once, and again
 * when there were ten, a hundred, a thousand of them, each time with the count.
 */
class Causes {
  #causes = new Map();

  /** How often this cause was heard of, if it is to be told now; otherwise `undefined`. */
  heard({ code, kind, context }, nowMs) {
    const name = JSON.stringify([code, kind, context]);
    const before = this.#causes.get(name);
    const isNew = before === undefined || nowMs - before.lastMs > QUIET_MS;
    const count = isNew ? 1 : before.count + 1;
    const isTold = isNew || count >= before.tellAt;
    const tellAt = isTold ? count * TOLD_AGAIN_AT : before.tellAt;
    this.#causes.delete(name);
    this.#causes.set(name, { count, tellAt, lastMs: nowMs });
    if (this.#causes.size > CAUSES_MAX) this.#causes.delete(this.#causes.keys().next().value);
    return isTold ? count : undefined;
  }
}

module.exports = { Causes };
