'use strict';

// Gives answers that are known at once, and now and then makes them wait for the next turn of the event loop.

const { monotonicMs, setImmediate } = require('./host.js');

// Fairness of synchronous answers. The reader of a resolved promise continues before any timer, signal or socket: a
// loop of such reads would block all of them for as long as it lasts. So a turn of the event loop gives immediate
// answers for a limited time only, and later ones wait for the next turn.

/** Longest time for which immediate answers may hold the event loop, in milliseconds. */
const TURN_EVERY_MS = 2;

/** Most answers between two readings of the clock: a reading costs a tenth of an answer. */
const LOOK_EVERY = 16;

/** Time of a run of answers, in milliseconds, above which the clock is read for each: the next one may take as long. */
const QUICK_ROW_MS = 0.25;

/** Length of an answer, in bytes or characters, that counts as one further answer: making it takes that much longer. */
const WEIGHT_OF_ANSWER = 4096;

let pace = 1;
// Answers that are still given without reading the clock.
let left = 0;
// Runs in the next turn of the event loop; `undefined` before the first answer of a turn. It does not keep the process
// alive, until an answer is held back.
let mark;
let beganMs = 0;
let lookedMs = 0;
// Resolvers of the answers held back, each followed by its answer.
let waiting = [];

function turned() {
  mark = undefined;
  left = 0;
  const held = waiting;
  waiting = [];
  for (let at = 0; at < held.length; at += 2) held[at](held[at + 1]);
}

/** Resolves with an answer in the next turn of the event loop, after the answers held back earlier. */
function nextTurn(answer) {
  begin(monotonicMs());
  mark.ref?.();
  return new Promise((resolve) => waiting.push(resolve, answer));
}

function begin(nowMs) {
  if (mark !== undefined) return false;
  mark = setImmediate(turned);
  mark.unref?.();
  beganMs = nowMs;
  return true;
}

function isDue() {
  const nowMs = monotonicMs();
  const isFirst = begin(nowMs);
  if (!isFirst) pace = nowMs - lookedMs < QUICK_ROW_MS ? Math.min(LOOK_EVERY, pace * 2) : 1;
  lookedMs = nowMs;
  left = pace;
  return waiting.length > 0 || nowMs - beganMs >= TURN_EVERY_MS;
}

/**
 * A promise of a known answer: resolved at once, or in the next turn of the event loop if that is due. Answers come in
 * the order of the calls. `weight`: length of the answer, in bytes or characters.
 */
function answered(answer, weight) {
  left -= weight > WEIGHT_OF_ANSWER ? weight / WEIGHT_OF_ANSWER : 1;
  if (left >= 0 || !isDue()) return Promise.resolve(answer);
  left = 0;
  return nextTurn(answer);
}

module.exports = { answered, nextTurn };
