'use strict';

// `SoftadastraError`, the stable codes, and the failures that several files make.

const { inspect } = require('node:util');

/** The stable error codes, coarse enough to branch on. The finer name is `kind`. */
const ErrorCode = Object.freeze({
  None: 'none',
  Unknown: 'unknown',
  InvalidArgument: 'invalid_argument',
  InvalidState: 'invalid_state',
  NotFound: 'not_found',
  AlreadyExists: 'already_exists',
  IoError: 'io_error',
  StoreError: 'store_error',
  SyncError: 'sync_error',
  TransportError: 'transport_error',
  DiscoveryError: 'discovery_error',
  MetadataError: 'metadata_error',
  InternalError: 'internal_error',
});

const CODES = new Set(Object.values(ErrorCode));

/** The details of an error, each read once. */
function detailsOf(given) {
  const { context, kind, cause, retryable, localStateValid, offset, stillValid, whatToDo, count } =
    given ?? {};
  return { context, kind, cause, retryable, localStateValid, offset, stillValid, whatToDo, count };
}

class SoftadastraError extends Error {
  constructor(code, message, details) {
    const { context, kind, cause, retryable, localStateValid, offset, stillValid, whatToDo, count } =
      readArgument('details', () => detailsOf(details));
    super(typeof message === 'string' ? message : '', cause === undefined ? undefined : { cause });
    this.code = CODES.has(code) ? code : ErrorCode.Unknown;
    this.kind = typeof kind === 'string' ? kind : this.code;
    this.context = typeof context === 'string' ? context : undefined;
    this.retryable = retryable === true;
    this.localStateValid = localStateValid !== false;
    this.offset = typeof offset === 'number' ? offset : undefined;
    this.stillValid = typeof stillValid === 'string' ? stillValid : undefined;
    this.whatToDo = typeof whatToDo === 'string' ? whatToDo : undefined;
    this.count = Number.isInteger(count) && count > 0 ? count : 1;
  }

  codeString() {
    return this.code;
  }

  hasContext() {
    return this.context !== undefined && this.context !== '';
  }

  toJSON() {
    return { name: this.name, ...inJson(dataOf(this)) };
  }
}

Object.defineProperty(SoftadastraError.prototype, 'name', {
  value: 'SoftadastraError',
  configurable: true,
  writable: true,
});

/** The fields of an error or a failure as plain data: all of them, always. */
function dataOf(said) {
  return {
    code: said.code,
    kind: said.kind,
    message: said.message,
    context: said.context,
    cause: said.cause,
    retryable: said.retryable,
    localStateValid: said.localStateValid,
    offset: said.offset,
    stillValid: said.stillValid,
    whatToDo: said.whatToDo,
    count: said.count ?? 1,
  };
}

/** The fields of a failure as {@link dataOf} returns them, without a second copy of a {@link failure}. */
const dataOfFailure = (failed) => (failed.count === undefined ? dataOf(failed) : failed);

/** True for a failure made by {@link failure} or by the addon. */
const isFailure = (given) => !(given instanceof Error) && CODES.has(given?.code) && given.kind !== undefined;

/** The JSON form of an error's data: `JSON.stringify` would show an Error in `cause` as an empty object. */
const inJson = (data) =>
  data.cause instanceof Error && typeof data.cause.toJSON !== 'function'
    ? { ...data, cause: reasonOf(data.cause) }
    : data;

/**
 * Makes a failure as data, in the format of the addon's reports. It becomes a `SoftadastraError` only when a program
 * asks for one, so that an expected miss costs no stack trace.
 */
function failure(code, kind, message, more) {
  return {
    code,
    kind,
    message,
    context: more?.context,
    cause: more?.cause,
    retryable: more?.retryable ?? false,
    localStateValid: true,
    offset: undefined,
    stillValid: undefined,
    whatToDo: undefined,
    count: 1,
  };
}

function errorOf({ code, message, ...details }) {
  return new SoftadastraError(code, message, details);
}

/** Longest part of a text in a message, in characters; the whole text is in `context`. */
const SHOWN_MAX = 100;

/** The first printable ASCII character, and the one after the last. */
const SPACE = 0x20;
const DELETE = 0x7f;

/** A text for a message: on one line and shortened. Quick, because misses are common. */
function shortened(text) {
  const shown = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
  for (let at = 0; at < shown.length; at += 1) {
    const code = shown.charCodeAt(at);
    if (code < SPACE || code === DELETE) return JSON.stringify(shown);
  }
  return shown;
}

/** A thrown value in words. One that throws in turn when it is read has none. */
function reasonOf(thrown) {
  try {
    return thrown instanceof Error ? String(thrown.message) : inspect(thrown);
  } catch {
    return 'what was thrown cannot be read';
  }
}

/** Reads an argument of a constructor. An exception of a getter becomes a `TypeError` that names the argument. */
function readArgument(what, read) {
  try {
    return read();
  } catch (cause) {
    throw new TypeError(`${what} could not be read: ${reasonOf(cause)}`, { cause });
  }
}

/**
 * The failure of a call that threw: what was thrown if it says itself what is wrong, else a defect of this package or the
 * runtime. A result like any other, never an exception.
 */
function unexpected(cause) {
  try {
    if (isFailure(cause)) return cause;
  } catch {
    // What was thrown cannot be read, which its words will tell.
  }
  return failure(ErrorCode.InternalError, 'unexpected', `unexpected failure: ${reasonOf(cause)}`, { cause });
}

const invalidArgument = (kind, message, context) =>
  failure(ErrorCode.InvalidArgument, kind, message, { context });

const notOpen = () => failure(ErrorCode.InvalidState, 'client_not_open', 'SDK client is not open');

module.exports = {
  ErrorCode,
  SoftadastraError,
  dataOf,
  dataOfFailure,
  errorOf,
  failure,
  inJson,
  isFailure,
  invalidArgument,
  notOpen,
  readArgument,
  reasonOf,
  shortened,
  unexpected,
};
