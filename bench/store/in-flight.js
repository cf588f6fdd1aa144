// Two ways to keep many promises under way. Which of them suits a store better depends on how it groups writes, so
// stores that take single puts are measured with both.

/**
 * Starts `width` puts, waits for all of them, starts the next `width`.
 *
 * @param {string[]} keys
 * @param {string[]} values one for each key
 * @param {number} width puts under way at once
 * @param {(key: string, value: string) => Promise<unknown>} put the contender's own call
 * @param {(result: unknown) => void} check throws when a result says that the put failed
 */
export async function inWaves(keys, values, width, put, check) {
  for (let from = 0; from < keys.length; from += width) {
    const to = Math.min(from + width, keys.length);
    const pending = new Array(to - from);
    for (let at = from; at < to; at++) pending[at - from] = put(keys[at], values[at]);
    for (const result of await Promise.all(pending)) check(result);
  }
}

/**
 * Runs `width` lanes, each of which waits for its put before it starts the next.
 *
 * @param {string[]} keys
 * @param {string[]} values one for each key
 * @param {number} width puts under way at once
 * @param {(key: string, value: string) => Promise<unknown>} put the contender's own call
 * @param {(result: unknown) => void} check throws when a result says that the put failed
 */
export async function inLanes(keys, values, width, put, check) {
  let next = 0;
  const lane = async () => {
    while (next < keys.length) {
      const at = next++;
      check(await put(keys[at], values[at]));
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
}
