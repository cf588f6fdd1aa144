'use strict';

// A key in conflict, as `conflicts()`, `conflict()` and the `conflict` event give it.

const { valueFrom } = require('./value.js');

const STATUSES = ['created', 'updated', 'unchanged'];

const valueIn = (content) => (content === undefined || content === null ? undefined : valueFrom(content));

/** Converts a conflict reported by the addon into that of callers and listeners. Frozen, because they share it. */
function conflictOf({ key, versions }) {
  const shown = versions.map(({ nodeId, value, timestampMs, current }) =>
    Object.freeze({ nodeId, value: valueIn(value), timestampMs, current }),
  );
  const current = shown.find((version) => version.current);
  return Object.freeze({ key, value: current?.value, versions: Object.freeze(shown) });
}

/** Converts the addon's receipt of `resolve()` into its result, equal to that of `put()`. */
const putOf = ({ status, version, operation }) =>
  Object.defineProperty({ status: STATUSES[status], version }, 'operation', { value: operation });

module.exports = { conflictOf, putOf };
