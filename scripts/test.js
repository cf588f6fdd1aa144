// Installs, builds, and runs everything: lints, Rust tests, package checks, JavaScript tests; or only the
// groups that are named. What fails does not stop the rest; the last line counts all of them.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { build } from './build.js';
import { install } from './install.js';
import { root } from './sources.js';

const shell = process.platform === 'win32';
const tests = readdirSync(path.join(root, '__test__'))
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => path.join('__test__', name));
const hasNextest = spawnSync('cargo', ['nextest', '--version'], { shell, stdio: 'ignore' }).status === 0;

const sum = (output, pattern) =>
  [...output.matchAll(pattern)].reduce((all, [, count]) => all + Number(count), 0);

/** A step that is one check: it passes or fails as a whole. */
const check = (group, name, command) => ({ group, name, command });

/** A step that counts its own tests. */
const suite = (group, name, passed, failed, command) => ({ group, name, passed, failed, command });

const dist = 'dist/softadastra-sdk-0.1.0.tgz';
const npx = (...command) => ['npx', '--no-install', ...command];

const rustFlags = ['--no-default-features', '--no-fail-fast'];
const rust = hasNextest
  ? suite(
      'rust',
      'Rust tests',
      /^ *Summary .* (\d+) passed/gm,
      /^ *Summary .* (\d+) (?:failed|timed out)/gm,
      ['cargo', 'nextest', 'run', ...rustFlags],
    )
  : suite('rust', 'Rust tests', /^test result: .* (\d+) passed/gm, /^test result: .* (\d+) failed/gm, [
      'cargo',
      'test',
      ...rustFlags,
    ]);

const steps = [
  check('lints', 'formatting and lints of JavaScript', npx('biome', 'check', '--error-on-warnings')),
  check('lints', 'types', npx('tsc', '-p', '__test__/types')),
  check('lints', 'formatting of Rust', ['cargo', 'fmt', '--check']),
  check('lints', 'lints of Rust', ['cargo', 'clippy', '--all-targets', '--quiet', '--', '-D', 'warnings']),
  rust,
  check('package', 'packaging', [process.execPath, 'scripts/package.js']),
  check('package', 'the package for package managers', npx('publint', '--strict', dist)),
  check('package', 'the package for TypeScript', npx('attw', dist)),
  suite('javascript', 'JavaScript tests', /^. pass (\d+)/gm, /^. (?:fail|cancelled) (\d+)/gm, [
    process.execPath,
    '--test',
    '--test-timeout=120000',
    ...tests,
  ]),
];

/** Runs a step, showing what it says; `{ passed, failed }`. */
async function take({ name, passed, failed, command: [program, ...parameters] }) {
  console.log(`\n── ${name}`);
  const child = spawn(program, parameters, { cwd: root, shell, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const show = (to) => (bytes) => {
    output += bytes;
    to.write(bytes);
  };
  child.stdout.on('data', show(process.stdout));
  child.stderr.on('data', show(process.stderr));
  const code = await new Promise((resolve) => {
    child.on('close', resolve);
    child.on('error', (error) => {
      console.error(`${program} could not be run: ${error.message}`);
      resolve(1);
    });
  });
  if (passed === undefined) return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  const failures = sum(output, failed);
  // One that fails without counting, by not compiling for instance, is a failure all the same.
  return { passed: sum(output, passed), failed: code === 0 ? failures : Math.max(failures, 1) };
}

install();
build();
const counts = { passed: 0, failed: 0 };
const failedSteps = [];
const groups = process.argv.slice(2);
for (const step of steps.filter(({ group }) => groups.length === 0 || groups.includes(group))) {
  const { passed, failed } = await take(step);
  counts.passed += passed;
  counts.failed += failed;
  if (failed > 0) failedSteps.push(step.name);
}
for (const name of failedSteps) console.log(`\nfailed: ${name}`);
console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = failedSteps.length === 0 ? 0 : 1;
