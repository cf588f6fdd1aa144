import { spawnSync } from 'node:child_process';
import { root } from './sources.js';

/** On Windows npm and the programs of packages are scripts for a shell. */
const shell = process.platform === 'win32';

/** Runs a program in the project's folder, showing what it says; its exit code. */
export function run(program, ...parameters) {
  const { status, error } = spawnSync(program, parameters, { cwd: root, stdio: 'inherit', shell });
  if (error !== undefined) console.error(`${program} could not be run: ${error.message}`);
  return status ?? 1;
}

/** The same for a step without which the rest makes no sense. */
export function must(program, ...parameters) {
  const status = run(program, ...parameters);
  if (status !== 0) process.exit(status);
}
