// Installs, builds, and runs everything: lints, Rust tests, package checks, JavaScript tests; or only the
// groups that are named. What fails does not stop the rest; the last line counts all of them.
//
// The addon is linked by one processor for minutes, so that goes on beside the lints and the building of the Rust
// tests, which have a folder of their own. While tests run nothing is built.
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { install } from './install.js';
import { root } from './sources.js';

const shell = process.platform === 'win32';
const tests = readdirSync(path.join(root, '__test__'))
  .filter((name) => name.endsWith('.test.js'))
  .map((name) => path.join('__test__', name));
const has = (command) => spawnSync('cargo', [command, '--version'], { shell, stdio: 'ignore' }).status === 0;
const hasNextest = has('nextest');
const hasDeny = has('deny');

/** Files at once: on two processors Node would take one, and the tests wait for a disk and for each other mostly. */
const testsAtOnce = Math.max(2, availableParallelism() - 1);

const sum = (output, pattern) =>
  [...output.matchAll(pattern)].reduce((all, [, count]) => all + Number(count), 0);

/** A step that is one check: it passes or fails as a whole. */
const check = (group, name, command) => ({ group, name, command });

/** A step that counts its own tests. */
const suite = (group, name, passed, failed, command) => ({ group, name, passed, failed, command });

/** The only step that goes on beside others, see {@link takeAll}. */
const building = check('addon', 'building the addon', [process.execPath, 'scripts/build.js']);

const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const dist = `dist/softadastra-sdk-${version}.tgz`;
const npx = (...command) => ['npx', '--no-install', ...command];

const cargoTest = ['cargo', ...(hasNextest ? ['nextest', 'run'] : ['test'])];
const [rustPassed, rustFailed] = hasNextest
  ? [/^ *Summary .* (\d+) passed/gm, /^ *Summary .* (\d+) (?:failed|timed out)/gm]
  : [/^test result: .* (\d+) passed/gm, /^test result: .* (\d+) failed/gm];

const steps = [
  check('lints', 'formatting and lints of JavaScript', npx('biome', 'check', '--error-on-warnings')),
  check('lints', 'types', [process.execPath, 'scripts/types.js']),
  check('lints', 'one version everywhere', [process.execPath, 'scripts/version.js', '--check']),
  check('lints', 'formatting of Rust', ['cargo', 'fmt', '--check']),
  check('lints', 'lints of Rust', [
    'cargo',
    'clippy',
    '--all-targets',
    '--features',
    'node-api',
    '--quiet',
    '--',
    '-D',
    'warnings',
  ]),
  check('lints', 'documentation of Rust', [
    'cargo',
    'rustdoc',
    '--lib',
    '--quiet',
    '--',
    '--document-private-items',
    '-D',
    'warnings',
  ]),
  ...(hasDeny
    ? [
        check('lints', 'licences and sources of crates', [
          'cargo',
          'deny',
          'check',
          'licenses',
          'bans',
          'sources',
        ]),
      ]
    : []),
  check('rust', 'building the Rust tests', [...cargoTest, '--no-run']),
  suite('rust', 'Rust tests', rustPassed, rustFailed, [...cargoTest, '--no-fail-fast']),
  suite(
    'rust',
    'programs in the documentation',
    /^test result: .* (\d+) passed/gm,
    /^test result: .* (\d+) failed/gm,
    ['cargo', 'test', '--doc'],
  ),
  check('package', 'packaging', [process.execPath, 'scripts/package.js']),
  check('package', 'the package for package managers', npx('publint', '--strict', dist)),
  check('package', 'the package for TypeScript', npx('attw', dist)),
  suite('javascript', 'JavaScript tests', /^. pass (\d+)/gm, /^. (?:fail|cancelled) (\d+)/gm, [
    process.execPath,
    '--test',
    '--test-timeout=120000',
    `--test-concurrency=${testsAtOnce}`,
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

const counts = { passed: 0, failed: 0 };
const failedSteps = [];
async function count(step, taken) {
  const { passed, failed } = await taken;
  counts.passed += passed;
  counts.failed += failed;
  if (failed > 0) failedSteps.push(step.name);
}

/** Takes the steps one after another, and the addon beside those before the first tests. */
async function takeAll(chosen) {
  const needsAddon = chosen.some(({ group }) => group === 'package' || group === 'javascript');
  let built = needsAddon ? take(building) : undefined;
  for (const step of chosen) {
    const runsTests = step.passed !== undefined || step.group === 'package';
    if (built !== undefined && runsTests) {
      await count(building, built);
      built = undefined;
    }
    await count(step, take(step));
  }
}

install();
const groups = process.argv.slice(2);
await takeAll(steps.filter(({ group }) => groups.length === 0 || groups.includes(group)));
if (!hasDeny) console.log('\nskipped: licences and sources of crates, because cargo-deny is not installed');
for (const name of failedSteps) console.log(`\nfailed: ${name}`);
console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = failedSteps.length === 0 ? 0 : 1;
