// The keys and values that every contender gets: the same bytes, in the same order, made before the clock starts.

/** Bytes of every key. */
export const KEY_BYTES = 20;
/** Bytes of every value. */
export const VALUE_BYTES = 100;
/** Seed of the shuffle, fixed so that all contenders and all rounds meet the same order. */
const SHUFFLE_SEED = 0x5eed1234;

// Slices of one ASCII buffer are flat one-byte strings. A template literal would leave a rope behind, and the first
// contender to touch it would pay for joining it.
const keyScratch = Buffer.alloc(KEY_BYTES, 'key/0000000000000000', 'latin1');
const valueScratch = Buffer.alloc(VALUE_BYTES, 'abcdefghijklmnopqrstuvwxyz', 'latin1');

/**
 * @param {number} index which key
 * @returns {string} 20 ASCII characters that end in the index
 */
export function keyAt(index) {
  writeDigits(keyScratch, KEY_BYTES, 16, index);
  return keyScratch.latin1Slice(0, KEY_BYTES);
}

/**
 * @param {number} index which key the value belongs to
 * @param {number} [generation] how many times the key was written before
 * @returns {string} 100 ASCII characters that differ for every index and generation
 */
export function valueAt(index, generation = 0) {
  writeDigits(valueScratch, 16, 16, index);
  writeDigits(valueScratch, 24, 8, generation);
  return valueScratch.latin1Slice(0, VALUE_BYTES);
}

/**
 * @param {string} key a key of {@link keyAt}
 * @returns {number} its index
 */
export function indexOfKey(key) {
  return Number(key.slice(KEY_BYTES - 16));
}

/**
 * @param {number} count how many indexes
 * @param {'shuffled' | 'ascending'} order in which order
 * @returns {Uint32Array} every index below `count` once
 */
export function indexes(count, order) {
  const all = Uint32Array.from({ length: count }, (_, index) => index);
  if (order === 'ascending') return all;
  const random = seededRandom(SHUFFLE_SEED);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const moved = all[last];
    all[last] = all[other];
    all[other] = moved;
  }
  return all;
}

/**
 * @param {number} count how many entries
 * @param {'shuffled' | 'ascending'} order in which order
 * @returns {{ keys: string[], values: string[] }} the entries to write, ready to use
 */
export function entries(count, order) {
  const chosen = indexes(count, order);
  return {
    keys: Array.from(chosen, (index) => keyAt(index)),
    values: Array.from(chosen, (index) => valueAt(index)),
  };
}

function writeDigits(buffer, end, width, number) {
  let rest = number;
  for (let at = end - 1; at >= end - width; at--) {
    buffer[at] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}

// mulberry32: tiny and good enough to spread keys.
function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
