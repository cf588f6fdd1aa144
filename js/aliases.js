'use strict';

// Aliases of calls, for programs written after the documents of other languages: one function under two names.
const ALIASES = Object.freeze({
  sync_state_info: 'syncStateInfo',
  start_transport: 'startTransport',
  stop_transport: 'stopTransport',
  transport_running: 'transportRunning',
  start_discovery: 'startDiscovery',
  stop_discovery: 'stopDiscovery',
  discovery_running: 'discoveryRunning',
  node_info: 'nodeInfo',
  refresh_node_info: 'refreshNodeInfo',
});

/** Adds the aliases to a class of clients. */
function addAliases(prototype) {
  for (const [alias, name] of Object.entries(ALIASES)) {
    Object.defineProperty(prototype, alias, { value: prototype[name], configurable: true, writable: true });
  }
}

module.exports = { addAliases };
