'use strict';

// `SyncResult`, and a row of its peers.

const { frozenPrefixes } = require('./prefixes.js');

/** Progress of one peer, as plain data. */
const progressOf = (peer) =>
  Object.freeze({
    ...peer,
    lastSeenMs: peer.lastSeenMs ?? undefined,
    skewMs: peer.skewMs ?? undefined,
    lastError: peer.lastError ?? undefined,
    prefixes: frozenPrefixes(peer.prefixes),
  });

class SyncResult {
  constructor(state) {
    this.outboxSize = state?.outboxSize ?? 0;
    this.queuedCount = state?.queuedCount ?? 0;
    this.inFlightCount = state?.inFlightCount ?? 0;
    this.acknowledgedCount = state?.acknowledgedCount ?? 0;
    this.failedCount = state?.failedCount ?? 0;
    this.totalRetries = state?.totalRetries ?? 0;
    this.totalRefused = state?.totalRefused ?? 0;
    this.lastSubmittedVersion = state?.lastSubmittedVersion ?? 0;
    this.lastAppliedRemoteVersion = state?.lastAppliedRemoteVersion ?? 0;
    this.conflictCount = state?.conflictCount ?? 0;
    this.conflictsSeen = state?.conflictsSeen ?? 0;
    this.versionsDropped = state?.versionsDropped ?? 0;
    this.peers = (state?.peers ?? []).map(progressOf);
  }

  hasQueued() {
    return this.queuedCount > 0;
  }

  hasInFlight() {
    return this.inFlightCount > 0;
  }

  hasFailed() {
    return this.failedCount > 0;
  }

  hasWork() {
    return this.hasQueued() || this.hasInFlight() || this.hasFailed();
  }

  empty() {
    return this.outboxSize === 0;
  }

  totalTracked() {
    return this.outboxSize;
  }
}

module.exports = { SyncResult };
