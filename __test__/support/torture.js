/** Number of repetitions: `usual`, or the number that `npm run torture` asks for. */
export function rounds(usual) {
  const asked = Number(process.env.TORTURE_ROUNDS);
  return asked > 0 ? asked : usual;
}

/** The first seed of the random decisions, which a failure prints. */
export const firstSeed = Number(process.env.TORTURE_SEED ?? 0);

/** A deterministic source of numbers from 0 to below 1 (Mulberry32). */
export function dice(seed) {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
