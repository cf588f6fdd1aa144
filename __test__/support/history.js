import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';

/**
 * Milliseconds by the parent's clock after which a write on another node is certainly later: nodes date their writes in
 * whole milliseconds, and each process reads the clock itself.
 */
const CERTAINLY_LATER_MS = 10;

const hashOf = (text) => createHash('sha1').update(text).digest('hex');

/** Every write requested of any node, with its time and answer: they decide which values may be there in the end. */
export class History {
  #byKey = new Map();
  #count = 0;

  /** Records a write that begins now; `text` is `undefined` for a removal. Its name tells it from all others. */
  begin(node, key, text) {
    const writes = this.#byKey.get(key) ?? [];
    const write = { node, key, head: text?.slice(0, text.indexOf(' ')), began: performance.now() };
    write.hash = text === undefined ? undefined : hashOf(text);
    // The end is unknown until the answer, and for ever if the process is killed before it.
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

  /** Drops a removal that found no value, and so wrote nothing. */
  void(write) {
    const writes = this.#byKey.get(write.key);
    writes.splice(writes.indexOf(write), 1);
    this.#count -= 1;
  }

  get size() {
    return this.#count;
  }

  /** Checks the content of all nodes: `[key, head, hash]` of each key that has a value. */
  check(contents) {
    const found = new Map(contents.map(([key, head, hash]) => [key, { head, hash }]));
    for (const key of found.keys()) assert.ok(this.#byKey.has(key), `nobody wrote ${key}`);
    for (const [key, writes] of this.#byKey) {
      const { head, hash } = found.get(key) ?? {};
      const candidates = writes.filter((write) => write.head === head && write.hash === hash);
      // A key may be missing while every write to it may have been lost with its process.
      if (head === undefined && writes.every((write) => !write.isAcknowledged)) continue;
      const isLast = (candidate) => !writes.some((write) => isLater(write, candidate));
      assert.ok(
        candidates.some(isLast),
        `${key} is ${head ?? 'not there'}, and was written later:\n${writes.slice(-12).map(shown).join('\n')}`,
      );
    }
  }
}

/** True if an acknowledged write is certainly later than another. */
function isLater(write, other) {
  if (!write.isAcknowledged) return false;
  const margin = write.node === other.node ? 0 : CERTAINLY_LATER_MS;
  return write.began > other.ended + margin;
}

const shown = ({ node, head, began, ended, isAcknowledged }) =>
  `  ${node} ${head ?? 'removed it'} ${began.toFixed(1)} to ${ended.toFixed(1)}${isAcknowledged ? '' : ', not answered'}`;
