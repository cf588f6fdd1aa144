'use strict';

// Functions of Node.js that the package needs, taken once at loading, before a test framework replaces them: fake
// timers replace these functions wherever they are looked up, and a write would wait for a clock that does not move.

const { performance } = require('node:perf_hooks');
const { clearInterval, setImmediate, setInterval, setTimeout } = require('node:timers');

const settled = Promise.resolve();

/** True for a function that fake timers have put in place of a real one, by its marks. */
const isFake = (given) => given.clock !== undefined || given._isMockFunction === true;

/** Calls a function after the running code. Through a promise, if `process.nextTick` is faked already. */
const nextTick = isFake(process.nextTick) ? (call) => void settled.then(call) : process.nextTick;

/** Milliseconds on a clock that never goes back. */
const monotonicMs = performance.now.bind(performance);

module.exports = { clearInterval, monotonicMs, nextTick, setImmediate, setInterval, setTimeout };
