import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/**
 * How much later by the parent's clock a write on another node has to begin to be the later one for certain: nodes date
 * their writes in whole milliseconds, and each process asks for the time itself.
 */
const CERTAINLY_LATER_MS = 10;

const hashOf = (text) => createHash('sha1').update(text).digest('hex');

/** Every write that was asked of any node, when, and what was answered: what may be there in the end follows from it. */
export class History {
  #byKey = new Map();
  #count = 0;

  /** A write that begins now; `text` is `undefined` for a removal. Its name tells it from all others. */
  begin(node, key, text) {
    const writes = this.#byKey.get(key) ?? [];
    const write = { node, key, head: text?.slice(0, text.indexOf(' ')), began: performance.now() };
    write.hash = text === undefined ? undefined : hashOf(text);
    // Until it is known, and for ever if its process is killed before it answers.
    write.ended = Number.POSITIVE_INFINITY;
    write.isAcknowledged = false;
    writes.push(write);
    this.#byKey.set(key, writes);
    this.#count += 1;
    return write;
  }

  acknowledged(write) {
    write.ended = performance.now();
    write.isAcknowledged = true;
  }

  /** It came to nothing: what was to be removed was not there. */
  void(write) {
    const writes = this.#byKey.get(write.key);
    writes.splice(writes.indexOf(write), 1);
    this.#count -= 1;
  }

  get size() {
    return this.#count;
  }

  /** Checks what all nodes hold: `[key, head, hash]` of each key that has a value. */
  check(contents) {
    const found = new Map(contents.map(([key, head, hash]) => [key, { head, hash }]));
    for (const key of found.keys()) assert.ok(this.#byKey.has(key), `nobody wrote ${key}`);
    for (const [key, writes] of this.#byKey) {
      const { head, hash } = found.get(key) ?? {};
      const candidates = writes.filter((write) => write.head === head && write.hash === hash);
      // Nothing at all is there as long as every write may have been lost with its process.
      if (head === undefined && writes.every((write) => !write.isAcknowledged)) continue;
      const isLast = (candidate) => !writes.some((write) => isLater(write, candidate));
      assert.ok(
        candidates.some(isLast),
        `${key} is ${head ?? 'not there'}, and was written later:\n${writes.slice(-12).map(shown).join('\n')}`,
      );
    }
  }
}

/** Whether an acknowledged write is later than another for certain. */
function isLater(write, other) {
  if (!write.isAcknowledged) return false;
  const margin = write.node === other.node ? 0 : CERTAINLY_LATER_MS;
  return write.began > other.ended + margin;
}

const shown = ({ node, head, began, ended, isAcknowledged }) =>
  `  ${node} ${head ?? 'removed it'} ${began.toFixed(1)} to ${ended.toFixed(1)}${isAcknowledged ? '' : ', not answered'}`;
