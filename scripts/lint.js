// Everything that reads code without running it. `--quick` leaves the Rust compiler out.
import { run } from './run.js';

const isQuick = process.argv.includes('--quick');

const checks = [
  ['npx', '--no-install', 'biome', 'check', '--error-on-warnings'],
  ['npx', '--no-install', 'tsc', '-p', '__test__/types'],
  ['cargo', 'fmt', '--check'],
  ...(isQuick ? [] : [['cargo', 'clippy', '--all-targets', '--quiet', '--', '-D', 'warnings']]),
];

const failed = checks.filter((command) => run(...command) !== 0);
for (const command of failed) console.error(`failed: ${command.join(' ')}`);
process.exitCode = failed.length === 0 ? 0 : 1;
