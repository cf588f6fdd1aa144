'use strict';

// `Key`: a key that is checked in advance.

const { inspect } = require('node:util');
const { checkKey } = require('./arguments.js');
const { KEY, contentShown, showContent } = require('./other-loads.js');

let textInside;

class Key {
  #text;

  constructor(text) {
    this.#text = typeof text === 'string' ? text : textInside(text);
    // The text for assertions and clones; not read here.
    this.text = this.#text;
  }

  toString() {
    return this.#text ?? '';
  }

  empty() {
    return this.toString() === '';
  }

  isValid() {
    return checkKey(this.#text) === undefined;
  }

  equals(other) {
    return this.#text !== undefined && this.#text === (typeof other === 'string' ? other : textInside(other));
  }

  toJSON() {
    return this.toString();
  }

  [inspect.custom](_depth, options) {
    return `Key(${inspect(this.#text, options)})`;
  }

  static {
    textInside = (key) => {
      if (typeof key !== 'object' || key === null) return undefined;
      return #text in key ? key.#text : textOfOther(key);
    };
    showContent(Key.prototype, KEY, (key) => key.#text);
  }
}

/** The text of a Key of another load of this package. */
function textOfOther(key) {
  const text = contentShown(key, KEY);
  return typeof text === 'string' ? text : undefined;
}

/** The text of a key given as a string or a Key; `undefined` for any other value. */
const textOf = (key) => (typeof key === 'string' ? key : textInside(key));

module.exports = { Key, textOf };
