'use strict';

// Prefixes of keys, as options and peers name them.

/** Limits of prefixes, equal to those of the engine: prefixes travel in every greeting. */
const PREFIXES_MAX = 64;
const PREFIX_BYTES_MAX = 1024;
const PREFIXES_BYTES_MAX = 8 * 1024;

/**
 * Checks the prefixes of the exchanged keys. Returns the fault in words, or `undefined`; no prefixes stand for all
 * keys.
 */
function wrongPrefixes(given) {
  if (given === undefined || given === null) return undefined;
  if (!Array.isArray(given)) return 'must be an array of strings';
  if (given.length === 0) return 'must name at least one prefix; leave them out for all keys';
  if (given.length > PREFIXES_MAX) return `must be at most ${PREFIXES_MAX}`;
  let bytes = 0;
  for (const prefix of given) {
    if (typeof prefix !== 'string') return 'must be an array of strings';
    if (!prefix.isWellFormed()) return 'must be valid Unicode text';
    const length = Buffer.byteLength(prefix);
    if (length > PREFIX_BYTES_MAX) return `must be at most ${PREFIX_BYTES_MAX} bytes long each`;
    bytes += length;
  }
  return bytes > PREFIXES_BYTES_MAX ? `must be at most ${PREFIXES_BYTES_MAX} bytes long together` : undefined;
}

/**
 * A frozen copy of an array, with at most one entry more than `countMax`, so that a check can tell that there are too
 * many: a length says nothing of how much memory an array takes, and its copy takes all of it.
 */
function frozenStart(given, countMax) {
  const count = Math.min(given.length, countMax + 1);
  return Object.freeze(Array.from({ length: count }, (_, index) => given[index]));
}

/** A frozen copy of an array; any other value is returned unchanged, so that the check can name it. */
const frozenPrefixes = (given) =>
  Array.isArray(given) ? frozenStart(given, PREFIXES_MAX) : (given ?? undefined);

module.exports = { frozenPrefixes, frozenStart, wrongPrefixes };
