'use strict';

// Counts failures in the background by their cause, so that one that goes on is reported once, and again at 10, 100, 1000.

/** Most causes that are told apart; the oldest is forgotten first. */
const CAUSES_MAX = 64;
/** Time after which a silent cause counts as new, in milliseconds. */
const QUIET_MS = 10 * 60 * 1000;
/** Growth of a lasting cause's count after which it is reported again. */
const TOLD_AGAIN_AT = 10;

/**
 * Failures in the background, counted by cause. A disk that stays full fails thousands of times: that is reported once,
 * and again at the tenth, hundredth and thousandth time, each with the count.
 */
class Causes {
  #causes = new Map();

  /** Counts a failure. Returns the count of its cause if it is due to be reported, otherwise `undefined`. */
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
