'use strict';

// `NodeInfo`: the description of a node, for display and logs.

const { readArgument } = require('./error.js');
const { monotonicMs } = require('./host.js');

/** Most capabilities of a node: each takes a byte in the greeting of nodes, which has room for so many. */
const CAPABILITIES_MAX = 255;

function listed(capabilities) {
  // The length of an array says nothing of the memory that it takes, and a copy takes all of it.
  if (Array.isArray(capabilities) && capabilities.length > CAPABILITIES_MAX) {
    throw new RangeError(`capabilities must be at most ${CAPABILITIES_MAX}`);
  }
  return [...capabilities];
}

/** The fields of a description, each read once. */
function fieldsOf(info) {
  const { nodeId, displayName, hostname, osName, version, capabilities, startedAtMs, uptimeMs } = info ?? {};
  return {
    nodeId,
    displayName,
    hostname,
    osName,
    version,
    capabilities: listed(capabilities ?? []),
    startedAtMs,
    uptimeMs,
  };
}

class NodeInfo {
  // Uptime when the information was made, and that moment on the monotonic clock.
  #uptimeMs;
  #takenAtMs;

  constructor(info) {
    const { nodeId, displayName, hostname, osName, version, capabilities, startedAtMs, uptimeMs } =
      readArgument('info', () => fieldsOf(info));
    this.nodeId = nodeId ?? '';
    this.displayName = displayName || this.nodeId;
    this.hostname = hostname ?? '';
    this.osName = osName ?? 'unknown-os';
    this.version = version ?? '';
    this.capabilities = capabilities;
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
