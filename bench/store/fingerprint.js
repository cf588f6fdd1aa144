// What the fingerprint of all entries costs those who write. It is kept up to date by every write, so there is nothing
// to compare with: a program of our own crate tells how long it takes, and it is held against the time of a put.

import { buildProgram, numberOf } from '../rust-program.js';
import { freshDirectory } from '../work-directory.js';
import { putsInFlight } from './measure.js';

const PROGRAM = 'fingerprint';

/**
 * @param {object} _contender only the product takes part
 * @param {{ directory: string }} settings where the program goes
 */
export async function build(_contender, { directory }) {
  buildProgram(PROGRAM, directory);
}

/**
 * @param {object} contender the product
 * @param {{ directory: string, count: number, order: string }} settings
 * @returns {Promise<{ figure: number, beside: object }>} how many hundredths of the time of a put its fingerprint takes,
 *   if the key is new; beside it, if it is overwritten, when the old entry is taken out of the sum as well. At most so
 *   much is lost: where JavaScript limits the rate, the committing thread has the time
 */
export async function share(contender, { directory, ...settings }) {
  const store = freshDirectory(directory, 'store');
  const perSecond = await putsInFlight(contender, { ...settings, directory: store, synced: true });
  const nanoseconds = numberOf(PROGRAM, directory);
  const figure = (nanoseconds / 1e9) * perSecond * 100;
  return { figure, beside: { 'softadastra, an overwriting put': 2 * figure } };
}
