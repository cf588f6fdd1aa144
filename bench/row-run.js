// One row, all its contenders, round after round.

import { runContender } from './schedule.js';
import { summary } from './statistics.js';
import { freshDirectory, removeDirectory, settleDisk } from './work-directory.js';

/**
 * Runs A B C, A B C, … so that what the machine does meanwhile meets all contenders alike.
 *
 * @param {object} row one of `rows.js`
 * @param {{ root: string, rounds: number, quick: boolean }} options
 * @param {(line: string) => void} progress told of every measurement
 * @returns {Promise<{ name: string, shape?: string, figures: number[], error?: string, median?: number }[]>}
 *   one result per contender and shape
 */
export async function runRow(row, { root, rounds, quick }, progress) {
  const settings = { ...row.settings, ...(quick ? row.quick : {}) };
  const results = row.contenders.flatMap(({ name, module, shapes }) =>
    shapes.map((shape) => ({ name, module, shape, figures: [] })),
  );
  const attempt = async (result, work) => {
    if (result.error) return;
    try {
      await work();
    } catch (error) {
      result.error = error.message;
      progress(`${row.name}  ${labelOf(result)}: failed: ${error.message}`);
    }
  };
  for (const result of row.prepare ? results : []) {
    result.directory = freshDirectory(root, `${row.name}-${result.name}`);
    await attempt(result, () =>
      runContender(result.module, row.prepare, { ...settings, directory: result.directory }),
    );
    settleDisk();
  }
  for (let round = 1; round <= rounds; round++) {
    for (const result of results) {
      await attempt(result, async () => {
        const directory = result.directory ?? freshDirectory(root, 'round');
        const figure = await runContender(result.module, row.measurement, {
          ...settings,
          shape: result.shape,
          directory,
        });
        result.figures.push(figure);
        progress(`${row.name}  round ${round}  ${labelOf(result)}: ${figure.toPrecision(5)} ${row.unit}`);
        if (!row.prepare) removeDirectory(directory);
      });
      settleDisk();
    }
  }
  for (const { directory } of results) if (directory) removeDirectory(directory);
  return results.map(({ name, shape, figures, error }) =>
    error ? { name, shape, figures, error } : { name, shape, figures, ...summary(figures) },
  );
}

/** @param {{ name: string, shape?: string }} result @returns {string} the contender, and how it was driven */
export function labelOf({ name, shape }) {
  return shape ? `${name} (${shape})` : name;
}
