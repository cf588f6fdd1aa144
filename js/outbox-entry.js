'use strict';

// A row of the outbox, as `outbox()` gives it.

/** A write of this node on its way to others, as it was when it was asked for. */
class OutboxEntry {
  constructor(entry) {
    this.key = entry.key;
    this.kind = entry.kind;
    this.version = entry.version;
    this.operation = entry.operation;
    this.position = entry.position;
    this.state = entry.state;
    this.attempts = entry.attempts;
    this.nextRetryMs = entry.nextRetryMs ?? undefined;
    this.refusals = Object.freeze(entry.refusals.map((refusal) => Object.freeze({ ...refusal })));
    const last = this.refusals.at(-1);
    /** Why it is not everywhere yet, in words; `undefined` if nothing went wrong. */
    this.lastError = last === undefined ? undefined : `${last.nodeId}: ${last.message}`;
    Object.freeze(this);
  }
}

module.exports = { OutboxEntry };
