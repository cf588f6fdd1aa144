'use strict';

// Reads the arguments that several calls take: keys, values and options objects. What does not fit is an `invalid_argument`.

const { inspect, types } = require('node:util');
const { invalidArgument, reasonOf } = require('./error.js');
const { didYouMean } = require('./spelling.js');
const { isSignal } = require('./signals.js');

/** Longest key, in bytes of UTF-8. The engine has an equal limit. */
const KEY_BYTES_MAX = 1024;

const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const lengthGetter = Object.getOwnPropertyDescriptor(typedArray, 'length').get;

/** Length of bytes, whatever a subclass says of it. */
const lengthOf = (bytes) => Reflect.apply(lengthGetter, bytes, []);

/** Checks a key. Returns the failure, or `undefined`. `what` names the argument in the message. */
function checkKey(key, what = 'key') {
  if (typeof key !== 'string') return invalidArgument('invalid_key', `${what} must be a string`, what);
  if (key === '') return invalidArgument('invalid_key', `${what} cannot be empty`, what);
  return checkWellFormed(key, what) ?? checkKeyLength(key, what);
}

/** Checks a prefix of keys, which may be empty. Returns the failure, or `undefined`. */
function checkPrefix(prefix, what) {
  if (typeof prefix !== 'string') return invalidArgument('invalid_key', `${what} must be a string`, what);
  return checkWellFormed(prefix, what) ?? checkKeyLength(prefix, what);
}

function checkKeyLength(key, what) {
  // A UTF-16 code unit takes at most three bytes of UTF-8, so most keys need no counting.
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

/** Checks a value by its `content` (`undefined`: neither text nor bytes). Returns the failure, or `undefined`. */
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
  const size = typeof content === 'string' ? Buffer.byteLength(content) : lengthOf(content);
  if (size <= bytesMax) return undefined;
  return invalidArgument('invalid_value', `${what} is larger than ${bytesMax} bytes`, what);
}

/** The failure of a call with too many arguments; `takes` lists the known ones. */
function surplusArgument(call, takes) {
  const most = takes === '' ? 'no argument' : `${takes}, and nothing more`;
  return invalidArgument('unexpected_argument', `${call}() takes ${most}`, call);
}

/** Checks the names in an options object: each must be known. `undefined` counts as an empty object. */
function checkNames(given, names, what) {
  if (given === undefined) return undefined;
  const own = hasNames(given) ? Object.keys(given) : [];
  if (own.length === 0 && !isPlain(given)) {
    return invalidArgument('invalid_options', `${what} must be an object${exampleOf(given, names)}`, what);
  }
  const unknown = own.find((name) => !names.includes(name));
  if (unknown === undefined) return undefined;
  const hint = didYouMean(unknown, names);
  return invalidArgument('unknown_option', `unknown option in ${what}: ${unknown}${hint}`, unknown);
}

/** True for an object whose names may be listed: arrays of either kind have one for each of their entries. */
const hasNames = (given) =>
  typeof given === 'object' &&
  given !== null &&
  !Array.isArray(given) &&
  !types.isTypedArray(given) &&
  !types.isStringObject(given);

/** True for an object that can have named fields: not an array, a Map or a signal. */
function isPlain(given) {
  if (typeof given !== 'object' || given === null) return false;
  const prototype = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** An example of the object that was probably meant, for a value given in its place. */
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

/**
 * Runs a reader of the caller's objects. An exception of a getter becomes a failure like that of any wrong
 * argument.
 */
function guarded(what, read) {
  try {
    return read();
  } catch (cause) {
    return { failure: unreadable(what, cause) };
  }
}

/** The failure of an argument that threw `cause` when it was read. */
const unreadable = (what, cause) =>
  invalidArgument('unreadable', `${what} could not be read: ${reasonOf(cause)}`, what);

module.exports = {
  checkContent,
  checkCount,
  checkFlag,
  checkKey,
  checkNames,
  checkPrefix,
  guarded,
  hasNames,
  isPlain,
  surplusArgument,
  unreadable,
};
