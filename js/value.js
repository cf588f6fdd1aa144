'use strict';

// `Value`: bytes that do not change.

const { Buffer, isUtf8 } = require('node:buffer');
const { inspect, types } = require('node:util');

let rawOf;
let adopt;

/**
 * Bytes that do not change. Text stays a string until somebody wants its bytes. Bytes that are text are held as that, so
 * that equal values are equal to whatever compares or copies their properties.
 */
class Value {
  // A string, a Buffer that nobody else writes to, or `undefined` for a Value made of something else.
  #raw;

  constructor(given) {
    let raw = given;
    if (typeof raw !== 'string') raw = types.isUint8Array(raw) ? canonical(raw) : rawOf(raw);
    this.#raw = raw;
    // What assertions, clones and `JSON` see of it; nothing here reads it.
    this.content = raw;
  }

  static fromString(text) {
    return new Value(typeof text === 'string' ? text : undefined);
  }

  static fromBytes(bytes) {
    return new Value(types.isUint8Array(bytes) ? bytes : undefined);
  }

  isValid() {
    return this.#raw !== undefined;
  }

  toString() {
    if (typeof this.#raw === 'string') return this.#raw;
    return this.#view().toString('utf8');
  }

  bytes() {
    return Uint8Array.from(this.#view());
  }

  toBuffer() {
    return Buffer.from(this.#view());
  }

  size() {
    return typeof this.#raw === 'string' ? Buffer.byteLength(this.#raw) : (this.#raw?.length ?? 0);
  }

  empty() {
    return this.size() === 0;
  }

  equals(other) {
    const raw = rawOf(other) ?? other;
    if (this.#raw === undefined) return false;
    if (typeof raw === 'string') return this.#raw === raw;
    return types.isUint8Array(raw) && this.#view().equals(raw);
  }

  toJSON() {
    // Text, or what a Buffer is in JSON: bytes that are no text would not survive as some.
    return typeof this.#raw === 'object' ? this.#raw.toJSON() : this.toString();
  }

  [inspect.custom](_depth, options) {
    if (this.#raw === undefined) return 'Value(invalid)';
    return `Value(${inspect(this.#raw, options)})`;
  }

  #view() {
    return typeof this.#raw === 'object' ? this.#raw : Buffer.from(this.#raw ?? '');
  }

  static {
    rawOf = (value) =>
      typeof value === 'object' && value !== null && #raw in value ? value.#raw : undefined;
    adopt = (bytes) => {
      const value = new Value('');
      value.#raw = bytes;
      value.content = bytes;
      return value;
    };
  }
}

/** Whether an array has lost its memory to somebody else: it shows no bytes then, whatever it held. */
function isGone(bytes) {
  if (bytes.length > 0) return false;
  try {
    bytes.keys();
    return false;
  } catch {
    return true;
  }
}

/** A copy of bytes as a Value holds them: text where they are some. */
function canonical(bytes) {
  if (isGone(bytes)) return undefined;
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  return isUtf8(copy) ? copy.toString('utf8') : copy;
}

/**
 * What a string, bytes or a Value hold, not copied: only for handing to the addon. `undefined` for anything
 * else.
 */
function contentOf(value) {
  if (typeof value === 'string') return value;
  if (types.isUint8Array(value)) return isGone(value) ? undefined : value;
  return rawOf(value);
}

/** A Value of what the addon gave, which nobody else holds: text as a string, bytes that are none as a Buffer. */
const valueFrom = (content) => (typeof content === 'string' ? new Value(content) : adopt(content));

module.exports = { Value, contentOf, valueFrom };
