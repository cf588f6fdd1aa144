'use strict';

const PUT = 0;
const REMOVE = 1;
const BATCH = 2;

const STATUSES = ['created', 'updated', 'unchanged'];
/** What the addon's first number of a result is made of: a status below this, and what it counts above. */
const STATUS_SPAN = 4;

/**
 * What a write came to, as the addon reports it. It becomes what the caller gets only when it is looked at: many
 * writes are only checked for errors, and the name of the operation costs more than all the rest.
 */
class WriteOutcome {
  #kind;
  #packed;
  #author;
  #sequence;

  /** `packed`: what was done; `author`: the author of the operation; `sequence`: 0 if there was nothing to do. */
  constructor(kind, packed, author, sequence) {
    this.#kind = kind;
    this.#packed = packed;
    this.#author = author;
    this.#sequence = sequence;
  }

  /** `{ status, version }`, `{ removed }` or `{ count }`, each with `operation`, which is not listed. */
  info() {
    const info = this.#done();
    const operation = this.#sequence === 0 ? undefined : `${this.#author}-${this.#sequence}`;
    return Object.defineProperty(info, 'operation', { value: operation });
  }

  #done() {
    const status = this.#packed % STATUS_SPAN;
    const counted = (this.#packed - status) / STATUS_SPAN;
    if (this.#kind === PUT) return { status: STATUSES[status], version: counted };
    return this.#kind === REMOVE ? { removed: status === 1 } : { count: counted };
  }
}

module.exports = { BATCH, PUT, REMOVE, WriteOutcome };
