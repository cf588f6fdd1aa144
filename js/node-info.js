'use strict';

const { performance } = require('node:perf_hooks');

class NodeInfo {
  // The uptime when the information was taken, and when that was on the monotonic clock.
  #uptimeMs;
  #takenAtMs;

  constructor(info) {
    const { nodeId, displayName, hostname, osName, version, capabilities, startedAtMs, uptimeMs } =
      info ?? {};
    this.nodeId = nodeId ?? '';
    this.displayName = displayName || this.nodeId;
    this.hostname = hostname ?? '';
    this.osName = osName ?? 'unknown-os';
    this.version = version ?? '';
    this.capabilities = [...(capabilities ?? [])];
    this.startedAtMs = startedAtMs ?? 0;
    this.#uptimeMs = uptimeMs ?? 0;
    this.#takenAtMs = performance.now();
  }

  uptimeMs() {
    return Math.floor(this.#uptimeMs + performance.now() - this.#takenAtMs);
  }

  label() {
    return this.displayName || this.nodeId;
  }

  hasCapability(name) {
    return this.capabilities.includes(name);
  }
}

NodeInfo.prototype.uptime_ms = NodeInfo.prototype.uptimeMs;

module.exports = { NodeInfo };
