'use strict';

// The spellings of the documents in other languages: the same functions under their other names.
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

/** Gives a class of clients their calls under these names as well. */
function addAliases(prototype) {
  for (const [alias, name] of Object.entries(ALIASES)) {
    Object.defineProperty(prototype, alias, { value: prototype[name], configurable: true, writable: true });
  }
}

module.exports = { addAliases };
