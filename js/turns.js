'use strict';

// Gives answers that are known at once, and now and then makes them wait for the next turn of the event loop.

const { monotonicMs, setImmediate } = require('./host.js');

// Answers that are ready at once, and the event loop. A promise that is resolved already has its reader go on before any timer,
// signal or socket is heard: a loop of such reads would hold all of them up for as long as it lasts. So a turn of the event
// loop gives answers at once for a while only, and those behind wait for the next turn.

/** For how long answers that are ready at once may keep the event loop from going round. */
const TURN_EVERY_MS = 2;

/** Answers between two looks at the clock at most: a look costs a tenth of an answer. */
const LOOK_EVERY = 16;

/** Answers that come slower than this, in milliseconds for a row of them, are each looked at: the next may take as long. */
const QUICK_ROW_MS = 0.25;

/** One answer more is counted for so many bytes or characters that it holds: making it took that much longer. */
const WEIGHT_OF_ANSWER = 4096;

let pace = 1;
// Answers that are still given without a look at the clock.
let left = 0;
// Runs once the event loop has gone round; `undefined` before the first answer of a turn. Nobody has to wait for it, so it
// does not keep the process alive, until an answer is held back.
let mark;
let beganMs = 0;
let lookedMs = 0;
// Resolvers of answers that are held back, each followed by its answer.
let waiting = [];

function turned() {
  mark = undefined;
  left = 0;
  const held = waiting;
  waiting = [];
  for (let at = 0; at < held.length; at += 2) held[at](held[at + 1]);
}

/** Resolves with an answer once the event loop has gone round, and those that were held back earlier have been given. */
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
 * A promise of an answer that is known: at once, or when the event loop has gone round if that is due. Answers come in the
 * order in which they were asked for. `weight`: how long it is, in bytes or characters.
 */
function answered(answer, weight) {
  left -= weight > WEIGHT_OF_ANSWER ? weight / WEIGHT_OF_ANSWER : 1;
  if (left >= 0 || !isDue()) return Promise.resolve(answer);
  left = 0;
  return nextTurn(answer);
}

module.exports = { answered, nextTurn };
