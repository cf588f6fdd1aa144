'use strict';

// A changed key, as listeners and watches get it.

const { valueFrom } = require('./value.js');

/**
 * A change as the addon of `ownNodeId` reports it, as what listeners and watches get. Shared by all of them,
 * so frozen.
 */
function changeOf({ key, kind, value, version, local, nodeId }, ownNodeId) {
  return Object.freeze({
    key,
    kind,
    value: value === undefined || value === null ? undefined : valueFrom(value),
    version,
    local,
    nodeId: local ? ownNodeId : nodeId,
  });
}

module.exports = { changeOf };
