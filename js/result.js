'use strict';

// `Result`: a value or an error.

const { inspect } = require('node:util');
const {
  ErrorCode,
  SoftadastraError,
  dataOf,
  dataOfFailure,
  errorOf,
  failure,
  inJson,
  invalidArgument,
  isFailure,
  reasonOf,
} = require('./error.js');
const { named } = require('./write-info.js');

/**
 * A value or a failure. Both are plain properties, so that code that compares, prints or copies results sees their
 * content; programs use the methods.
 */
class Result {
  // The error, made at the first call of error(): an expected miss costs no stack trace.
  #error;
  // Author and sequence of a write whose operation was not read yet: many writes are only checked for errors, and
  // making the name of the operation costs more than everything else.
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
    try {
      return Result.#of(error);
    } catch (cause) {
      const message = `unknown error: error could not be read: ${reasonOf(cause)}`;
      return new Result(
        failure(ErrorCode.Unknown, ErrorCode.Unknown, message),
        undefined,
        undefined,
        undefined,
        0,
      );
    }
  }

  static #of(error) {
    if (error instanceof SoftadastraError) return new Result(dataOf(error), undefined, error, undefined, 0);
    if (isFailure(error)) return new Result(dataOfFailure(error), undefined, undefined, undefined, 0);
    const message =
      error instanceof Error ? error.message : typeof error === 'string' ? error : 'unknown error';
    return Result.#of(new SoftadastraError(ErrorCode.Unknown, message, { cause: error }));
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

/** Makes the result of a write: its information, and the author and sequence of its operation. */
const resultOfWrite = (info, author, sequence) => new Result(undefined, info, undefined, author, sequence);

module.exports = { Result, resultOfWrite };
