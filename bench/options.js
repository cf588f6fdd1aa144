// The command line of the benchmark.

import { parseArgs } from 'node:util';
import { rows } from './rows.js';

const USAGE = `usage: node run.js [options]

  --rows name,name         only these rows: ${rows.map((row) => row.name).join(', ')}
  --contenders name,name   only these contenders
  --rounds N               rounds, interleaved (default 5, quick 2)
  --quick                  small counts: does it all work? The figures mean little
  --directory path         where the files go: a disk that you want to know about (default .work beside run.js)
  --write file.md          put the tables between the markers of that file
  --json file.json         all figures
`;

/**
 * @param {string[]} words the arguments after the script
 * @returns {object} what to run; prints usage and ends the process on arguments that it does not know
 */
export function readOptions(words) {
  try {
    const { values } = parseArgs({
      args: words,
      options: {
        rows: { type: 'string' },
        contenders: { type: 'string' },
        rounds: { type: 'string' },
        quick: { type: 'boolean', default: false },
        directory: { type: 'string' },
        write: { type: 'string' },
        json: { type: 'string' },
      },
    });
    const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
    if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number from 1');
    return { ...values, rounds, rows: chosenRows(values) };
  } catch (error) {
    console.error(`error: ${error.message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function chosenRows({ rows: rowNames, contenders: contenderNames }) {
  const byName = (all, names, what) => {
    if (names === undefined) return all;
    const wanted = names.split(',');
    const unknown = wanted.find((name) => !all.some((one) => one.name === name));
    if (unknown) throw new Error(`there is no ${what} "${unknown}"`);
    return all.filter((one) => wanted.includes(one.name));
  };
  const chosen = byName(rows, rowNames, 'row');
  if (contenderNames === undefined) return chosen;
  byName(
    rows.flatMap((row) => row.contenders),
    contenderNames,
    'contender',
  );
  const wanted = contenderNames.split(',');
  const only = (row) => ({ ...row, contenders: row.contenders.filter((one) => wanted.includes(one.name)) });
  return chosen.map(only).filter((row) => row.contenders.length > 0);
}
