'use strict';

// Finds the name that a misspelled one was probably meant to be.

/** Edit distance of two names (Levenshtein), at most `limit` + 1: a greater one is of no use. */
function distance(a, b, limit) {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const replaced = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column] + 1, current[column - 1] + 1));
    }
    previous = current;
  }
  return previous[b.length];
}

/** Names in other libraries, with the names used here. */
const SAID_ELSEWHERE = Object.freeze({
  gt: 'after',
  start: 'after',
  from: 'after',
  cursor: 'after',
  max: 'limit',
  count: 'limit',
  take: 'limit',
  startswith: 'prefix',
  timeout: 'signal',
  timeoutms: 'signal',
  abortsignal: 'signal',
  path: 'walPath',
  file: 'walPath',
  filename: 'walPath',
  wal: 'enableWal',
  persistent: 'enableWal',
  id: 'nodeId',
  name: 'nodeId',
  address: 'host',
});

const folded = (name) => name.replaceAll(/[_-]/g, '').toLowerCase();

/** The known name nearest to an unknown one, or `undefined` if none is near. */
function nearest(unknown, names) {
  const wanted = folded(unknown);
  const limit = Math.min(3, Math.ceil(wanted.length / 3));
  let best;
  let bestDistance = limit + 1;
  for (const name of names) {
    const found = distance(wanted, folded(name), limit);
    if (found < bestDistance) [best, bestDistance] = [name, found];
  }
  const synonym = SAID_ELSEWHERE[wanted];
  return best ?? (names.includes(synonym) ? synonym : undefined);
}

/** `(did you mean …?)` after a space; empty if no known name is near. */
function didYouMean(unknown, names) {
  const near = nearest(unknown, names);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}

module.exports = { didYouMean };
