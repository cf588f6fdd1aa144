'use strict';

// Results of `put`, `remove` and `batch`, with the name of the write, which is made when it is read.

const PUT = 0;
const REMOVE = 1;
const BATCH = 2;

const STATUSES = ['created', 'updated', 'unchanged'];
/**
 * Span of the status in the addon's first number of a result: the number is the status plus this times the version or
 * count.
 */
const STATUS_SPAN = 4;

/** Unpacks the addon's first number of a result: `{ status, version }`, `{ removed }` or `{ count }`. */
function writeInfo(kind, packed) {
  const status = packed % STATUS_SPAN;
  const counted = (packed - status) / STATUS_SPAN;
  if (kind === PUT) return { status: STATUSES[status], version: counted };
  return kind === REMOVE ? { removed: status === 1 } : { count: counted };
}

/**
 * Adds the name of its operation to the information of a write, not enumerable. `sequence`: 0 if nothing was
 * written.
 */
const named = (info, author, sequence) =>
  Object.defineProperty(info, 'operation', { value: sequence === 0 ? undefined : `${author}-${sequence}` });

module.exports = { BATCH, PUT, REMOVE, named, writeInfo };
