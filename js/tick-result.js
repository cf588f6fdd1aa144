'use strict';

// `TickResult`: the result of one tick.

class TickResult {
  constructor(tick) {
    this.retriedCount = tick?.retriedCount ?? 0;
    this.prunedCount = tick?.prunedCount ?? 0;
    this.batchSize = tick?.batchSize ?? 0;
    this.sentCount = tick?.sentCount ?? 0;
    this.connectedPeers = tick?.connectedPeers ?? 0;
  }

  retried() {
    return this.retriedCount > 0;
  }

  pruned() {
    return this.prunedCount > 0;
  }

  producedBatch() {
    return this.batchSize > 0;
  }

  hasWork() {
    return this.retried() || this.pruned() || this.producedBatch();
  }

  empty() {
    return !this.hasWork();
  }
}

module.exports = { TickResult };
