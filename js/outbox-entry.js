'use strict';

// A row of the outbox, as `outbox()` gives it.

/** A write of this node on its way to peers, at the time of the call. */
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
    /** The last failure in words, with the peer's name; `undefined` if there was none. */
    this.lastError = last === undefined ? undefined : `${last.nodeId}: ${last.message}`;
    Object.freeze(this);
  }
}

module.exports = { OutboxEntry };
