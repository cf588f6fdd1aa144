// When is the network done? When nothing has passed for a while: late duplicates have to be counted too.

import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than any relay or hint delay of a contender; shorter than keep-alive intervals. */
const QUIET_MS = 2_500;
const CHECK_INTERVAL_MS = 100;
/** Contenders that never fall silent are stopped here. */
const WAIT_MS_MAX = 60_000;

/**
 * @param {() => number} bytes what has passed so far
 * @returns {Promise<number>} what had passed when nothing more came
 */
export async function bytesWhenQuiet(bytes) {
  let last = bytes();
  let unchangedMs = 0;
  for (let waitedMs = 0; unchangedMs < QUIET_MS; waitedMs += CHECK_INTERVAL_MS) {
    if (waitedMs >= WAIT_MS_MAX) throw new Error('the connections never fell silent');
    await sleep(CHECK_INTERVAL_MS);
    unchangedMs = bytes() === last ? unchangedMs + CHECK_INTERVAL_MS : 0;
    last = bytes();
  }
  return last;
}
