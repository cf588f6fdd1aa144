'use strict';

// Values and keys of another load of this package, as test runners and reloading servers make one: its classes are
// others, but its objects show their content under a registered symbol.

/** Version of what is under the symbols. Objects of another version are refused like any wrong argument. */
const VERSION = 1;

const VALUE = Symbol.for('@softadastra/sdk.Value');
const KEY = Symbol.for('@softadastra/sdk.Key');

/** Shows the content of a class's instances under a symbol, for other loads. `contentOf` reads it. */
function showContent(prototype, symbol, contentOf) {
  Object.defineProperty(prototype, symbol, {
    get() {
      return { version: VERSION, content: contentOf(this) };
    },
    configurable: true,
  });
}

/** The content that an object of another load shows; `undefined` for any other object, and for one that throws. */
function contentShown(object, symbol) {
  try {
    const shown = object[symbol];
    return shown?.version === VERSION ? shown.content : undefined;
  } catch {
    return undefined;
  }
}

module.exports = { KEY, VALUE, contentShown, showContent };
