// Codes and kinds of errors: those in the code, in the types and in the tables of docs/errors.md must be equal. The
// engine's kinds are in one table; those of the JavaScript layer are found by the patterns in which the sources write
// them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ErrorCode } from '@softadastra/sdk';
import { root } from '../scripts/sources.js';

const read = (...where) => readFileSync(path.join(root, ...where), 'utf8');

/** Sources of a folder, without the tests in them. */
const sources = (folder, suffix) =>
  readdirSync(path.join(root, folder), { recursive: true })
    .filter((name) => name.endsWith(suffix) && !name.includes('tests'))
    .map((name) => read(folder, name).split('#[cfg(test)]')[0]);

const found = (texts, ...patterns) =>
  texts.flatMap((text) => patterns.flatMap((pattern) => [...text.matchAll(pattern)].map(([, kind]) => kind)));

/** The engine's table: the name of each kind in the sources, and that for users. */
const kindsOfEngine = [...read('src', 'core', 'error_kind.rs').matchAll(/^ {4}(\w+) = "([a-z_]+)",$/gm)].map(
  ([, variant, name]) => [variant, name],
);

const given = new Set([
  ...found(
    sources('js', '.js'),
    /(?:invalidArgument|refuse)\(\s*'([a-z_]+)'/g,
    /failure\(\s*ErrorCode\.\w+,\s*'([a-z_]+)'/g,
    /refuse\(\s*'([a-z_]+)'/g,
    /kind: '([a-z_]+)'/g,
  ),
  ...kindsOfEngine.map(([, name]) => name),
]);

/** The words in backticks of the first cell of each row. */
const firstCells = (text) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .flatMap((row) => [...row.split('|')[1].matchAll(/`([a-z_]+)`/g)].map(([, word]) => word));

const [codesTable, ...chapters] = read('docs', 'errors.md').split('\n## ').slice(2);
const sections = chapters.join('').split('\n### ').slice(1);
const codeOf = (section) => section.match(/^`([a-z_]+)`\n/)?.[1];

test('every kind that the code gives is in a table, and no other', () => {
  const told = new Set(sections.flatMap(firstCells));
  assert.ok(given.size > 80, `${given.size} kinds were found`);
  assert.deepEqual(
    [...given].filter((kind) => !told.has(kind)),
    [],
    'in the code only',
  );
  assert.deepEqual(
    [...told].filter((kind) => !given.has(kind)),
    [],
    'in a table only',
  );
});

test('the engine gives each kind of its table', () => {
  const engine = sources('src', '.rs');
  const unused = kindsOfEngine.filter(
    ([variant]) => !engine.some((text) => text.includes(`ErrorKind::${variant}`)),
  );
  assert.deepEqual(unused, []);
});

test('the types name every kind, and no other', () => {
  const types = read('index.d.ts');
  const union = types.slice(types.indexOf('type ErrorKind ='), types.indexOf('(string & {})'));
  assert.deepEqual(
    [...union.matchAll(/'([a-z_]+)'/g)].map(([, kind]) => kind),
    [...given].sort(),
  );
});

test('every code is in the table and in the types, no other is, and each that is given has kinds', () => {
  const codes = Object.values(ErrorCode);
  assert.deepEqual(firstCells(codesTable).sort(), [...codes].sort());
  assert.deepEqual([...sections.map(codeOf), 'metadata_error', 'none'].sort(), [...codes].sort());
  const types = read('index.d.ts');
  const declared = types.slice(types.indexOf('declare const ErrorCode'), types.indexOf('type ErrorCode'));
  const named = [...declared.matchAll(/readonly (\w+): '([a-z_]+)'/g)].map(([, name, code]) => [name, code]);
  assert.deepEqual(Object.fromEntries(named), { ...ErrorCode });
});
