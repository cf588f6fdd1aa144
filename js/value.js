'use strict';

const { inspect, types } = require('node:util');

let rawOf;
let adopt;

/** Bytes that do not change. Text stays a string until somebody wants its bytes, and the other way round. */
class Value {
  // A string, a Uint8Array that nobody else holds, or `undefined` for a Value made of something else.
  #raw;

  constructor(raw) {
    if (typeof raw === 'string') this.#raw = raw;
    else if (types.isUint8Array(raw)) this.#raw = Uint8Array.from(raw);
    else this.#raw = rawOf(raw);
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
    if (typeof raw === 'string') {
      return typeof this.#raw === 'string' ? this.#raw === raw : this.#view().equals(Buffer.from(raw));
    }
    return types.isUint8Array(raw) && this.#view().equals(raw);
  }

  toJSON() {
    return this.toString();
  }

  [inspect.custom](_depth, options) {
    if (this.#raw === undefined) return 'Value(invalid)';
    return `Value(${inspect(this.#raw, options)})`;
  }

  #view() {
    if (typeof this.#raw === 'string') return Buffer.from(this.#raw);
    const bytes = this.#raw ?? new Uint8Array(0);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  static {
    rawOf = (value) =>
      typeof value === 'object' && value !== null && #raw in value ? value.#raw : undefined;
    adopt = (bytes) => {
      const value = new Value('');
      value.#raw = bytes;
      return value;
    };
  }
}

/**
 * What a string, bytes or a Value hold, not copied: only for handing to the addon. `undefined` for anything
 * else.
 */
function contentOf(value) {
  if (typeof value === 'string' || types.isUint8Array(value)) return value;
  return rawOf(value);
}

/** A Value of what the addon gave, which nobody else holds: bytes are taken over, not copied. */
const valueFrom = (content) => (typeof content === 'string' ? new Value(content) : adopt(content));

module.exports = { Value, contentOf, valueFrom };
