'use strict';

// `Result`: a value or an error.

const { inspect } = require('node:util');
const {
  ErrorCode,
  SoftadastraError,
  dataOf,
  dataOfFailure,
  errorOf,
  inJson,
  invalidArgument,
  isFailure,
} = require('./error.js');
const { named } = require('./write-info.js');

/**
 * A value or a failure. Both are plain properties, so that whatever compares, prints or copies results sees what they
 * hold; the methods are how a program asks.
 */
class Result {
  // The error, once somebody asked for it: an expected miss costs no stack trace.
  #error;
  // The author and the sequence of a write whose operation nobody asked for yet: many writes are only checked for errors,
  // and the name of the operation costs more than all the rest.
  #author;
  #sequence;

  constructor(failure, content, error, author, sequence) {
    this.#error = error;
    this.#author = author;
    this.#sequence = sequence;
    this.ok = failure === undefined;
    this.content = content;
    this.failure = failure;
  }

  static ok(value) {
    return new Result(undefined, value, undefined, undefined, 0);
  }

  static err(error) {
    if (error instanceof SoftadastraError) return new Result(dataOf(error), undefined, error, undefined, 0);
    if (isFailure(error)) return new Result(dataOfFailure(error), undefined, undefined, undefined, 0);
    const message =
      error instanceof Error ? error.message : typeof error === 'string' ? error : 'unknown error';
    return Result.err(new SoftadastraError(ErrorCode.Unknown, message, { cause: error }));
  }

  #read() {
    if (this.#author !== undefined) {
      named(this.content, this.#author, this.#sequence);
      this.#author = undefined;
    }
    return this.content;
  }

  isOk() {
    return this.failure === undefined;
  }

  isErr() {
    return this.failure !== undefined;
  }

  value() {
    if (this.failure === undefined) return this.#read();
    const error = this.error();
    throw new SoftadastraError(
      ErrorCode.InvalidState,
      `value() was called on an error Result: ${error.message}`,
      { kind: 'wrong_result', cause: error },
    );
  }

  error() {
    if (this.failure === undefined) {
      throw new SoftadastraError(ErrorCode.InvalidState, 'error() was called on an ok Result', {
        kind: 'wrong_result',
      });
    }
    this.#error ??= errorOf(this.failure);
    return this.#error;
  }

  unwrap() {
    if (this.failure === undefined) return this.#read();
    throw this.error();
  }

  valueOr(fallback) {
    return this.failure === undefined ? this.#read() : fallback;
  }

  map(change) {
    if (this.failure !== undefined) return this;
    if (typeof change !== 'function') {
      return Result.err(invalidArgument('invalid_function', 'change must be a function', 'change'));
    }
    return Result.ok(change(this.#read()));
  }

  toJSON() {
    if (this.failure === undefined) return { ok: true, content: this.content };
    return { ok: false, failure: inJson(this.failure) };
  }

  [inspect.custom](_depth, options) {
    return this.failure === undefined
      ? `Result.ok(${inspect(this.#read(), options)})`
      : `Result.err(${this.error().code}: ${this.error().message})`;
  }
}

/** The result of a write: what it came to, and the author and sequence of its operation. */
const resultOfWrite = (info, author, sequence) => new Result(undefined, info, undefined, author, sequence);

module.exports = { Result, resultOfWrite };
