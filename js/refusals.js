'use strict';

// The failure behind each number with which a hot call refuses.

const { ErrorCode, failure, invalidArgument, notOpen } = require('./error.js');
const { checkContent, checkKey } = require('./arguments.js');

const NOT_OPEN = -1;
const POISONED = -6;
const BATCH_TOO_LARGE = -9;
const UNREADABLE = -11;

/** Most bytes of keys and values in one batch: it is one frame of the log. */
const BATCH_BYTES_MAX = 8 * 1024 * 1024;

/**
 * The failure of a negative number from the addon's hot calls. Those only report that something is wrong, as cheaply as
 * possible; this finds the fault, in the order of the arguments.
 */
function refusalOf(code, operation, bytesMax, { poisoned, unreadable }) {
  if (code === NOT_OPEN) return notOpen();
  if (code === POISONED)
    return poisoned() ?? failure(ErrorCode.IoError, 'poisoned', 'the log failed earlier');
  if (code === UNREADABLE)
    return unreadable() ?? failure(ErrorCode.IoError, 'unreadable', 'the store could not be read');
  if (code === BATCH_TOO_LARGE) return batchTooLarge();
  return (
    checkOperation(operation, bytesMax) ??
    failure(ErrorCode.InternalError, 'unexpected', `unexpected refusal ${code}`)
  );
}

const batchTooLarge = () =>
  invalidArgument(
    'batch_too_large',
    `operations are larger than ${BATCH_BYTES_MAX} bytes together`,
    'operations',
  );

function checkOperation({ key, value, keys, values }, bytesMax) {
  if (keys === undefined) return checkWrite(key, value, bytesMax);
  for (const [index, name] of keys.entries()) {
    const content = values[index] === null ? undefined : values[index];
    const wrong = checkWrite(name, content, bytesMax, `operations[${index}]: `);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

function checkWrite(key, value, bytesMax, where = '') {
  const wrongKey = checkKey(key, `${where}key`);
  if (wrongKey !== undefined || value === undefined) return wrongKey;
  return checkContent(value, bytesMax, `${where}value`);
}

module.exports = { BATCH_BYTES_MAX, batchTooLarge, refusalOf };
