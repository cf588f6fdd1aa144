'use strict';

// `NodeInfo`: the description of a node, for display and logs.

const { monotonicMs } = require('./host.js');

class NodeInfo {
  // Uptime when the information was made, and that moment on the monotonic clock.
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
    this.#takenAtMs = monotonicMs();
  }

  uptimeMs() {
    return Math.floor(this.#uptimeMs + monotonicMs() - this.#takenAtMs);
  }

  label() {
    return this.displayName || this.nodeId;
  }

  hasCapability(name) {
    return this.capabilities.includes(name);
  }
}

Object.defineProperty(NodeInfo.prototype, 'uptime_ms', {
  value: NodeInfo.prototype.uptimeMs,
  configurable: true,
  writable: true,
});

module.exports = { NodeInfo };
