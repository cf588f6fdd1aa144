'use strict';

// `Value`: immutable bytes.

const { Buffer, isUtf8 } = require('node:buffer');
const { inspect, types } = require('node:util');
const { readArgument } = require('./error.js');
const { VALUE, contentShown, showContent } = require('./other-loads.js');

let rawOf;
let adopt;

/**
 * Immutable bytes. Text stays a string until its bytes are asked for. Bytes that are UTF-8 are held as a string, so
 * that equal values have equal properties for code that compares or copies them.
 */
class Value {
  // A string, a Buffer that nothing else writes to, or `undefined` for an invalid Value.
  #raw;

  constructor(content) {
    let raw = content;
    if (typeof raw !== 'string') {
      raw = types.isUint8Array(raw) ? readArgument('content', () => canonical(raw)) : rawOf(raw);
    }
    this.#raw = raw;
    // The content for assertions, clones and `JSON`; not read here.
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
    if (!types.isUint8Array(raw)) return false;
    try {
      return this.#view().equals(raw);
    } catch {
      // Bytes of a subclass that do not say how many they are equal none.
      return false;
    }
  }

  toJSON() {
    // Text, or the JSON form of a Buffer: bytes that are not UTF-8 would not survive as text.
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
    rawOf = (value) => {
      if (typeof value !== 'object' || value === null) return undefined;
      return #raw in value ? value.#raw : rawOfOther(value);
    };
    showContent(Value.prototype, VALUE, (value) => value.#raw);
    adopt = (bytes) => {
      const value = new Value('');
      value.#raw = bytes;
      value.content = bytes;
      return value;
    };
  }
}

/** The content of a Value of another load of this package: text, or bytes that nothing writes to. */
function rawOfOther(value) {
  const content = contentShown(value, VALUE);
  return typeof content === 'string' || types.isUint8Array(content) ? content : undefined;
}

/** True for a detached array, whose memory was transferred: it shows no bytes, whatever it held. */
function isGone(bytes) {
  if (bytes.length > 0) return false;
  try {
    bytes.keys();
    return false;
  } catch {
    return true;
  }
}

/** A copy of bytes in a Value's form: a string if they are UTF-8. */
function canonical(bytes) {
  if (isGone(bytes)) return undefined;
  const copy = Buffer.from(new Uint8Array(bytes).buffer);
  return isUtf8(copy) ? copy.toString('utf8') : copy;
}

/**
 * The content of a string, bytes or a Value, not copied: only for passing to the addon. `undefined` for any other
 * value.
 */
function contentOf(value) {
  if (typeof value === 'string') return value;
  if (types.isUint8Array(value)) return isGone(value) ? undefined : value;
  return rawOf(value);
}

/** A Value of content from the addon, which nothing else holds: a string if it is text, else a Buffer. */
const valueFrom = (content) => (typeof content === 'string' ? new Value(content) : adopt(content));

module.exports = { Value, contentOf, valueFrom };
