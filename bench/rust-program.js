// Programs of the crate itself, for what cannot be measured from JavaScript.

import { execFileSync } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('..', import.meta.url));
const MESSAGES_BYTES_MAX = 64 << 20;

/**
 * Builds a program of `benches/`, as the addon is built.
 *
 * @param {string} name its name
 * @param {string} directory where it goes
 */
export function buildProgram(name, directory) {
  const parameters = ['bench', '--bench', name, '--no-run', '--message-format=json'];
  const options = {
    cwd: repository,
    encoding: 'utf8',
    maxBuffer: MESSAGES_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'ignore'],
  };
  const lines = execFileSync('cargo', parameters, options)
    .split('\n')
    .filter((line) => line.startsWith('{'));
  const found = lines.map((line) => JSON.parse(line)).find(({ executable }) => executable);
  copyFileSync(found.executable, join(directory, name));
}

/**
 * @param {string} name a program that {@link buildProgram} has built there
 * @param {string} directory where it is
 * @param {...string} parameters what it is told
 * @returns {number} the number that it prints
 */
export const numberOf = (name, directory, ...parameters) =>
  Number(execFileSync(join(directory, name), parameters, { encoding: 'utf8' }));
