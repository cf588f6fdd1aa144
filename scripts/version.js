// The version of the product stands in package.json. `npm version` runs this to write it where else it has to stand: the
// crate, the packages of the platforms, the lock files, and the loader, which names it to whoever lacks an addon. With
// `--check` nothing is written, and a place that says another version fails.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { root } from './sources.js';

const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** Files that repeat the version, each with what stands before it. */
const places = [
  ['Cargo.toml', /(^\[package\][^[]*?\nversion = ")([^"]+)/],
  ['Cargo.lock', /(name = "softadastra"\nversion = ")([^"]+)/],
  ['package-lock.json', /(^\{\n.*\n {2}"version": ")([^"]+)/],
  ['package-lock.json', /(\n {4}"": \{\n.*\n {6}"version": ")([^"]+)/],
  ['js/native.js', /(const VERSION = ')([^']+)/],
  ...readdirSync(path.join(root, 'npm')).map((name) => [
    `npm/${name}/package.json`,
    /(\n {2}"version": ")([^"]+)/,
  ]),
];

const isCheck = process.argv.includes('--check');
for (const [name, pattern] of places) {
  const file = path.join(root, name);
  const text = readFileSync(file, 'utf8');
  const found = pattern.exec(text);
  if (found === null) throw new Error(`${name}: there is no version where one is looked for`);
  if (found[2] === version) continue;
  if (isCheck) {
    console.error(`${name} is version ${found[2]}, package.json ${version}: run node scripts/version.js`);
    process.exitCode = 1;
  } else {
    writeFileSync(
      file,
      text.replace(pattern, (_, before) => before + version),
    );
  }
}
