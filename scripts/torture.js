// Runs the proofs about crashes, failures and damage with large numbers, a slice of each at a time, until all numbers
// are reached or the time is up: `--minutes 30`, `--only crashes`, `--seed 1000000`.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.js';
import { install } from './install.js';
import { root } from './sources.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: 'Infinity' },
    only: { type: 'string' },
    seed: { type: 'string', default: '0' },
  },
});
const firstSeed = Number(values.seed);
const deadline = Date.now() + Number(values.minutes) * 60_000;
if (Number.isNaN(deadline) || !Number.isSafeInteger(firstSeed))
  throw new Error('--minutes and --seed take numbers');

/** Runs a program in the project's folder; what it said, and how it ended. */
async function run(program, parameters, environment = {}) {
  const env = { ...process.env, RUST_BACKTRACE: '0', ...environment };
  const child = spawn(program, parameters, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  }
  const code = await new Promise((resolve) => {
    child.on('close', resolve);
    child.on('error', (error) => {
      output += error.message;
      resolve(1);
    });
  });
  return { code, output };
}

/** Builds the Rust tests; where their program is. */
async function rustTests() {
  const parameters = ['test', '--lib', '--no-run', '--message-format=json'];
  const { code, output } = await run('cargo', parameters);
  if (code !== 0) throw new Error(output);
  const messages = output.split('\n').filter((line) => line.startsWith('{'));
  const artifacts = messages.map((line) => JSON.parse(line)).filter(({ profile }) => profile?.test);
  return artifacts.find(({ executable }) => executable).executable;
}

const module = 'store::tests::torture::';
const simulation = 'node::simulation::';

/** A proof in Rust; `seeds` in all, so many at once. */
const rust = (name, filter, unit, seeds, slice, within = module) => ({
  name,
  unit,
  seeds,
  slice,
  run: (program, seed, count) =>
    run(program, [`${within}${filter}`, '--nocapture'], {
      TORTURE_SEED: `${seed}`,
      TORTURE_COUNT: `${count}`,
    }),
  cases: (output) => Number(/ (\d+) cases$/m.exec(output)?.[1] ?? 0),
});

/** A proof in JavaScript; `rounds` in all, so many at once. */
const javascript = (name, file, unit, rounds, slice) => ({
  name,
  unit,
  seeds: rounds,
  slice,
  run: (_, seed, count) =>
    run(process.execPath, ['--test', path.join('__test__', file)], {
      TORTURE_SEED: `${seed}`,
      TORTURE_ROUNDS: `${count}`,
    }),
  cases: (_, count) => count,
});

const crashes = 'crashes::nothing_acknowledged';
const proofs = [
  rust('seeded-bugs', 'seeded_bugs', 'runs', 1, 1),
  rust('golden', 'golden', 'runs', 1, 1),
  rust('crashes', crashes, 'images', 3_200, 50),
  rust('faults', 'faults::whatever_call', 'failures', 100, 2),
  rust('pairs', 'faults::whatever_two', 'pairs', 100_000, 2_000),
  rust('bits', 'damage::every_flipped_bit', 'bits', 266, 38),
  rust('cuts', 'damage::a_file_that_is_cut', 'cuts', 1_600, 80),
  rust('bursts', 'bursts', 'bursts', 1_000_000, 50_000),
  rust('lineage', 'every_history::no_', 'histories', 1, 1, 'store::lineage::tests::'),
  rust('simulation', 'proof::whatever_happens', 'runs', 500_000, 5_000, simulation),
  rust('rules', 'rules', 'runs', 1, 1, simulation),
  javascript('kill', 'kill-checkpoints.test.js', 'kills', 5_000, 100),
  javascript('processes', 'five-processes.test.js', 'runs of 20 s', 10_000, 1),
  javascript('ending', 'ending.test.js', 'endings of each kind', 1_000, 25),
].filter(({ name }) => values.only === undefined || name === values.only);
if (proofs.length === 0) throw new Error(`there is no proof ${values.only}`);

install();
build();
const program = await rustTests();
const under = proofs.map((proof) => ({ ...proof, done: 0, count: 0, ms: 0 }));
const isLeft = (proof) => proof.done < proof.seeds;
let failures = 0;
while (under.some(isLeft) && failures === 0 && Date.now() < deadline) {
  for (const proof of under.filter(isLeft)) {
    if (Date.now() >= deadline || failures > 0) break;
    const count = Math.min(proof.slice, proof.seeds - proof.done);
    const began = Date.now();
    const { code, output } = await proof.run(program, firstSeed + proof.done, count);
    proof.ms += Date.now() - began;
    if (code !== 0) {
      console.error(`${output}\nfailed: ${proof.name}`);
      failures += 1;
    }
    proof.done += count;
    proof.count += proof.cases(output, count);
    const seconds = (proof.ms / 1000).toFixed(1);
    console.log(
      `${proof.name}: ${proof.done} of ${proof.seeds} seeds, ${proof.count} ${proof.unit}, ${seconds} s`,
    );
  }
}
const unfinished = under.filter(isLeft).map(({ name, done, seeds }) => `${name} ${done} of ${seeds}`);
if (unfinished.length > 0) console.log(`\nthe time was up: ${unfinished.join(', ')}`);
console.log(failures === 0 ? '\nnothing failed' : '\nfailed');
process.exitCode = failures === 0 ? 0 : 1;
