'use strict';

const { inspect } = require('node:util');
const { ErrorCode, SoftadastraError, errorOf, invalidArgument } = require('./error.js');
const { WriteOutcome } = require('./write-info.js');

class Result {
  // `undefined` means ok; otherwise a failure as data, or the SoftadastraError that was made of it.
  #failure;
  #value;

  constructor(failed, value) {
    this.#failure = failed;
    this.#value = value;
  }

  static ok(value) {
    return new Result(undefined, value);
  }

  static err(error) {
    if (error instanceof SoftadastraError || typeof error?.code === 'string') {
      return new Result(error, undefined);
    }
    const message =
      error instanceof Error ? error.message : typeof error === 'string' ? error : 'unknown error';
    return new Result(new SoftadastraError(ErrorCode.Unknown, message, { cause: error }), undefined);
  }

  // What a write came to is made when it is first looked at.
  #read() {
    if (this.#value instanceof WriteOutcome) this.#value = this.#value.info();
    return this.#value;
  }

  isOk() {
    return this.#failure === undefined;
  }

  isErr() {
    return this.#failure !== undefined;
  }

  value() {
    if (this.#failure === undefined) return this.#read();
    const error = this.error();
    throw new SoftadastraError(
      ErrorCode.InvalidState,
      `value() was called on an error Result: ${error.message}`,
      { kind: 'wrong_result', cause: error },
    );
  }

  error() {
    if (this.#failure === undefined) {
      throw new SoftadastraError(ErrorCode.InvalidState, 'error() was called on an ok Result', {
        kind: 'wrong_result',
      });
    }
    if (!(this.#failure instanceof SoftadastraError)) this.#failure = errorOf(this.#failure);
    return this.#failure;
  }

  unwrap() {
    if (this.#failure === undefined) return this.#read();
    throw this.error();
  }

  valueOr(fallback) {
    return this.#failure === undefined ? this.#read() : fallback;
  }

  map(change) {
    if (this.#failure !== undefined) return this;
    if (typeof change !== 'function') {
      return new Result(invalidArgument('invalid_function', 'change must be a function', 'change'));
    }
    return Result.ok(change(this.#read()));
  }

  [inspect.custom](_depth, options) {
    return this.#failure === undefined
      ? `Result.ok(${inspect(this.#read(), options)})`
      : `Result.err(${this.error().code}: ${this.error().message})`;
  }
}

module.exports = { Result };
