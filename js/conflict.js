'use strict';

// A key in conflict, as `conflicts()`, `conflict()` and the `conflict` event give it.

const { valueFrom } = require('./value.js');

const STATUSES = ['created', 'updated', 'unchanged'];

const valueIn = (content) => (content === undefined || content === null ? undefined : valueFrom(content));

/** A conflict as the addon reports it, as what callers and listeners get: shared, so frozen. */
function conflictOf({ key, versions }) {
  const shown = versions.map(({ nodeId, value, timestampMs, current }) =>
    Object.freeze({ nodeId, value: valueIn(value), timestampMs, current }),
  );
  const current = shown.find((version) => version.current);
  return Object.freeze({ key, value: current?.value, versions: Object.freeze(shown) });
}

/** What `resolve()` gives: the same as `put()`. */
const putOf = ({ status, version, operation }) =>
  Object.defineProperty({ status: STATUSES[status], version }, 'operation', { value: operation });

module.exports = { conflictOf, putOf };
