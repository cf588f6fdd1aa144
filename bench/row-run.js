// One row, all its contenders, round after round.

import { runContender } from './schedule.js';
import { summary } from './statistics.js';
import { copyDirectory, freshDirectory, removeDirectory, settleDisk } from './work-directory.js';

/**
 * Runs A B C, A B C, … so that what the machine does meanwhile meets all contenders alike.
 *
 * @param {object} row one of `rows.js`
 * @param {{ root: string, rounds: number, quick: boolean }} options
 * @param {(line: string) => void} progress told of every measurement
 * @returns {Promise<{ name: string, shape?: string, figures: number[], error?: string, median?: number }[]>}
 *   one result per contender and shape, each followed by what it measured beside
 */
export async function runRow(row, { root, rounds, quick }, progress) {
  const results = row.contenders.flatMap((contender) => {
    const work = workOf(row, contender, quick);
    return contender.shapes.map((shape) => ({
      ...work,
      name: contender.name,
      shape,
      figures: [],
      beside: {},
    }));
  });
  const attempt = async (result, work) => {
    if (result.error) return;
    try {
      await work();
    } catch (error) {
      result.error = error.message;
      progress(`${row.name}  ${labelOf(result)}: failed: ${error.message}`);
    }
  };
  for (const result of results) {
    if (!result.prepare) continue;
    result.directory = freshDirectory(root, `${row.name}-${result.name}`);
    await attempt(result, () =>
      runContender(result.module, result.prepare, { ...result.settings, directory: result.directory }),
    );
    settleDisk();
  }
  for (let round = 1; round <= rounds; round++) {
    for (const result of results) {
      await attempt(result, async () => {
        const { figure, beside } = await measureOnce(result, root);
        result.figures.push(figure);
        for (const [name, other] of Object.entries(beside)) {
          result.beside[name] ??= [];
          result.beside[name].push(other);
        }
        progress(`${row.name}  round ${round}  ${labelOf(result)}: ${figure.toPrecision(5)} ${row.unit}`);
      });
      settleDisk();
    }
  }
  for (const { directory } of results) if (directory) removeDirectory(directory);
  return results.flatMap(({ name, shape, figures, error, beside }) => {
    if (error) return [{ name, shape, figures, error }];
    const others = Object.entries(beside).map(([other, found]) => ({ name: other, shape, figures: found }));
    return [{ name, shape, figures }, ...others].map((one) => ({ ...one, ...summary(one.figures) }));
  });
}

// What a contender does in a row: what the row says, unless the contender says something else.
function workOf(row, contender, quick) {
  const { module, prepare, restored, measurement } = { ...row, ...contender };
  const counts = quick ? { ...row.quick, ...contender.quick } : {};
  return {
    module,
    prepare,
    restored,
    measurement,
    settings: { ...row.settings, ...contender.settings, ...counts },
  };
}

async function measureOnce({ module, measurement, settings, shape, directory: prepared, restored }, root) {
  const isPassing = !prepared || restored;
  const directory = isPassing ? freshDirectory(root, 'round') : prepared;
  if (prepared && restored) {
    copyDirectory(prepared, directory);
    settleDisk();
  }
  const answer = await runContender(module, measurement, { ...settings, shape, directory });
  if (isPassing) removeDirectory(directory);
  return typeof answer === 'number' ? { figure: answer, beside: {} } : answer;
}

/** @param {{ name: string, shape?: string }} result @returns {string} the contender, and how it was driven */
export function labelOf({ name, shape }) {
  return shape ? `${name} (${shape})` : name;
}
