'use strict';

// Aborts. Programs pass one signal to many calls, and Node.js warns of a leak from the eleventh listener on: so there
// is one listener for each signal, and it calls all waiting functions.

const { invalidArgument, reasonOf } = require('./error.js');

const waiting = new WeakMap();

/** True for an AbortSignal, of this realm or another. */
const isSignal = (given) =>
  typeof given?.aborted === 'boolean' && typeof given.addEventListener === 'function';

/**
 * Calls `abort` when the signal aborts, at once if it has. Returns a function that stops this. Does nothing without a
 * signal.
 */
function onAbort(signal, abort) {
  if (signal === undefined) return () => {};
  if (signal.aborted) {
    abort();
    return () => {};
  }
  let calls = waiting.get(signal);
  if (calls === undefined) {
    calls = new Set();
    waiting.set(signal, calls);
  }
  // A function of its own, because one function may be passed twice.
  const call = () => abort();
  if (calls.size === 0) {
    calls.listener = () => {
      for (const one of [...calls]) one();
      calls.clear();
    };
    listenTo(signal, calls.listener);
  }
  calls.add(call);
  return () => {
    if (calls.delete(call) && calls.size === 0) signal.removeEventListener('abort', calls.listener);
  };
}

/** Listens to a signal. One of the caller's making may throw: then the call has a wrong argument. */
function listenTo(signal, listener) {
  try {
    signal.addEventListener('abort', listener, { once: true });
  } catch (cause) {
    throw invalidArgument('invalid_signal', `signal cannot be listened to: ${reasonOf(cause)}`, 'signal');
  }
}

module.exports = { isSignal, onAbort };
