'use strict';

// What the package needs of Node.js, taken once and before a test framework may have put something else in its place: fake
// timers replace these functions wherever they are looked up, and a write would wait for a clock that nobody moves.

const { performance } = require('node:perf_hooks');
const { clearInterval, setImmediate, setInterval, setTimeout } = require('node:timers');

const settled = Promise.resolve();

/** Fake timers mark what they put in place of a function. */
const isFake = (given) => given.clock !== undefined || given._isMockFunction === true;

/** Calls a function once the code that runs now is through. Where that is faked already: as a promise does. */
const nextTick = isFake(process.nextTick) ? (call) => void settled.then(call) : process.nextTick;

/** Milliseconds on a clock that never goes back. */
const monotonicMs = performance.now.bind(performance);

module.exports = { clearInterval, monotonicMs, nextTick, setImmediate, setInterval, setTimeout };
