// Runs the product and its peers side by side and prints what came out. `node run.js --help` is not an option; wrong
// options print the right ones.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOptions } from './options.js';
import { runRow } from './row-run.js';
import { replaceFigures, tables } from './tables.js';
import { removeDirectory } from './work-directory.js';

const options = readOptions(process.argv.slice(2));
const place = resolve(options.directory ?? fileURLToPath(new URL('.work', import.meta.url)));
// A folder of its own for every run: two runs at once spoil each other's figures, but not each other's files.
const root = join(place, `run-${process.pid}`);
mkdirSync(root, { recursive: true });
process.once('exit', () => removeDirectory(root));
process.once('SIGINT', () => process.exit(130));

const measured = [];
for (const row of options.rows) {
  const results = await runRow(row, { ...options, root }, (line) => console.error(line));
  measured.push({ row, results });
}

const figures = await tables(measured, options);
console.log(`\n${figures}`);
if (options.write) writeFileSync(options.write, replaceFigures(readFileSync(options.write, 'utf8'), figures));
if (options.json) {
  const rows = measured.map(({ row, results }) => ({ row: row.name, unit: row.unit, results }));
  writeFileSync(options.json, `${JSON.stringify({ rounds: options.rounds, rows }, null, 2)}\n`);
}
// Figures that fall short are for reading; a contender that failed is a broken benchmark.
if (measured.some(({ results }) => results.some(({ error }) => error))) process.exitCode = 1;
