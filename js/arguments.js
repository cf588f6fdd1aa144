'use strict';

const { invalidArgument, reasonOf } = require('./error.js');
const { nearest } = require('./spelling.js');

/** Longest key, in bytes of UTF-8; the engine holds the same limit. */
const KEY_BYTES_MAX = 1024;

/** Why this cannot be a key, or `undefined` if it can. `what` names the argument in the message. */
function checkKey(key, what = 'key') {
  if (typeof key !== 'string') return invalidArgument('invalid_key', `${what} must be a string`, what);
  if (key === '') return invalidArgument('invalid_key', `${what} cannot be empty`, what);
  return checkWellFormed(key, what) ?? checkKeyLength(key, what);
}

/** Why this cannot begin a key, or `undefined` if it can: like a key, but it may be empty. */
function checkPrefix(prefix, what) {
  if (typeof prefix !== 'string') return invalidArgument('invalid_key', `${what} must be a string`, what);
  return checkWellFormed(prefix, what) ?? checkKeyLength(prefix, what);
}

function checkKeyLength(key, what) {
  // A character of UTF-16 takes three bytes of UTF-8 at most, so most keys need no counting.
  if (key.length * 3 <= KEY_BYTES_MAX || Buffer.byteLength(key) <= KEY_BYTES_MAX) return undefined;
  return invalidArgument('invalid_key', `${what} is longer than ${KEY_BYTES_MAX} bytes`, what);
}

function checkWellFormed(text, what) {
  if (text.isWellFormed()) return undefined;
  return invalidArgument(
    'invalid_text',
    `${what} has a lone surrogate, which is not valid Unicode text`,
    what,
  );
}

/** Why this cannot be a value, given what was found inside it (`undefined`: neither text nor bytes). */
function checkContent(content, bytesMax, what = 'value') {
  if (content === undefined) {
    return invalidArgument('invalid_value', `${what} must be a string, a Value or a Uint8Array`, what);
  }
  if (typeof content === 'string') {
    const malformed = checkWellFormed(content, what);
    if (malformed !== undefined) return malformed;
  }
  const size = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  if (size <= bytesMax) return undefined;
  return invalidArgument('invalid_value', `${what} is larger than ${bytesMax} bytes`, what);
}

/** A plain argument object: every name in it must be known. `undefined` is an empty one. */
function checkNames(given, names, what) {
  if (given === undefined) return undefined;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return invalidArgument('invalid_options', `${what} must be an object`, what);
  }
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown === undefined) return undefined;
  const near = nearest(unknown, names);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  return invalidArgument('unknown_option', `unknown option in ${what}: ${unknown}${hint}`, unknown);
}

function checkFlag(given, what) {
  if (given === undefined || typeof given === 'boolean') return undefined;
  return invalidArgument('invalid_options', `${what} must be true or false`, what);
}

function checkCount(given, least, most, what) {
  if (given === undefined || (Number.isInteger(given) && given >= least && given <= most)) return undefined;
  return invalidArgument('invalid_options', `${what} must be a whole number from ${least} to ${most}`, what);
}

/** Runs a reader of the caller's objects, whose getters may throw: that is a wrong argument like another. */
function guarded(what, read) {
  try {
    return read();
  } catch (cause) {
    return { failure: invalidArgument('unreadable', `${what} could not be read: ${reasonOf(cause)}`, what) };
  }
}

module.exports = {
  checkContent,
  checkCount,
  checkFlag,
  checkKey,
  checkNames,
  checkPrefix,
  guarded,
};
