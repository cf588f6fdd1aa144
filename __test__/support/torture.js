/** How many times something is to be done: `usual`, or what `npm run torture` asks for. */
export function rounds(usual) {
  const asked = Number(process.env.TORTURE_ROUNDS);
  return asked > 0 ? asked : usual;
}

/** The first number that decides at random; told where something fails. */
export const firstSeed = Number(process.env.TORTURE_SEED ?? 0);

/** Numbers from 0 to below 1 that are the same for equal seeds (Mulberry32). */
export function dice(seed) {
  let state = (seed + 1) * 0x9e3779b1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
