'use strict';

// What `put`, `remove` and `batch` came to, with the name of the write, which is made when it is looked at.

const PUT = 0;
const REMOVE = 1;
const BATCH = 2;

const STATUSES = ['created', 'updated', 'unchanged'];
/** What the addon's first number of a result is made of: a status below this, and what it counts above. */
const STATUS_SPAN = 4;

/** What a write came to, of the addon's number: `{ status, version }`, `{ removed }` or `{ count }`. */
function writeInfo(kind, packed) {
  const status = packed % STATUS_SPAN;
  const counted = (packed - status) / STATUS_SPAN;
  if (kind === PUT) return { status: STATUSES[status], version: counted };
  return kind === REMOVE ? { removed: status === 1 } : { count: counted };
}

/** Gives what a write came to the name of its operation, which is not listed. `sequence`: 0 if nothing was written. */
const named = (info, author, sequence) =>
  Object.defineProperty(info, 'operation', { value: sequence === 0 ? undefined : `${author}-${sequence}` });

module.exports = { BATCH, PUT, REMOVE, named, writeInfo };
