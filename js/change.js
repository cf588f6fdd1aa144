'use strict';

// A changed key, as listeners and watches get it.

const { valueFrom } = require('./value.js');

/**
 * Converts a change reported by the addon of `ownNodeId` into that of listeners and watches. Frozen, because all of
 * them share it.
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
