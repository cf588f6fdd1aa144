import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** Polls until `isTrue` returns something true, and returns that; fails after `patienceMs`. */
export async function until(isTrue, what, patienceMs = 15_000) {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await isTrue();
    if (found) return found;
    if (Date.now() > deadline) assert.fail(`waited ${patienceMs} ms in vain until ${what}`);
    await pause(5);
  }
}
