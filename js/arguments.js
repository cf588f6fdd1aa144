'use strict';

// Reads the arguments that several calls take: keys, values and options objects. What does not fit is an `invalid_argument`.

const { inspect, types } = require('node:util');
const { invalidArgument, reasonOf } = require('./error.js');
const { didYouMean } = require('./spelling.js');
const { isSignal } = require('./signals.js');

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

/** Why this cannot be a value; `content` is what was found inside it (`undefined`: neither text nor bytes). */
function checkContent(content, bytesMax, what = 'value', given = content) {
  if (content === undefined) {
    const reason = types.isUint8Array(given)
      ? 'has lost its bytes: its buffer was transferred or made shorter'
      : 'must be a string, a Value or a Uint8Array';
    return invalidArgument('invalid_value', `${what} ${reason}`, what);
  }
  if (typeof content === 'string') {
    const malformed = checkWellFormed(content, what);
    if (malformed !== undefined) return malformed;
  }
  const size = typeof content === 'string' ? Buffer.byteLength(content) : content.length;
  if (size <= bytesMax) return undefined;
  return invalidArgument('invalid_value', `${what} is larger than ${bytesMax} bytes`, what);
}

/** The refusal of more arguments than a call takes; `takes` lists these. */
function surplusArgument(call, takes) {
  const most = takes === '' ? 'no argument' : `${takes}, and nothing more`;
  return invalidArgument('unexpected_argument', `${call}() takes ${most}`, call);
}

/** A plain argument object: every name in it must be known. `undefined` is an empty one. */
function checkNames(given, names, what) {
  if (given === undefined) return undefined;
  const own = typeof given === 'object' && given !== null && !Array.isArray(given) ? Object.keys(given) : [];
  if (own.length === 0 && !isPlain(given)) {
    return invalidArgument('invalid_options', `${what} must be an object${exampleOf(given, names)}`, what);
  }
  const unknown = own.find((name) => !names.includes(name));
  if (unknown === undefined) return undefined;
  const hint = didYouMean(unknown, names);
  return invalidArgument('unknown_option', `unknown option in ${what}: ${unknown}${hint}`, unknown);
}

/** Whether this is an object that could have had names: not a list, a Map, a signal. */
function isPlain(given) {
  if (typeof given !== 'object' || given === null) return false;
  const prototype = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** What was meant by something that was given in the place of an object. */
function exampleOf(given, names) {
  if (isSignal(given) && names.includes('signal')) return ', such as { signal }';
  if (typeof given === 'string' && names.includes('prefix')) return `, such as { prefix: ${inspect(given)} }`;
  if (typeof given === 'function' && names.includes('onProgress')) return ', such as { onProgress }';
  return '';
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
  surplusArgument,
};
