import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, ClientOptions } from '@softadastra/sdk';
import { temporaryFolder } from './support/folders.js';
import { ok } from './support/results.js';
import { dice, firstSeed, rounds } from './support/torture.js';
import { until } from './support/until.js';

const ROUNDS = rounds(40);
const LANES = 16;
const KEYS_PER_LANE = 50;
const program = path.join(import.meta.dirname, 'programs', 'write-lanes.js');

/** Whole lines of the notes: one for each acknowledged write. */
const read = (notes) => (existsSync(notes) ? readFileSync(notes, 'utf8').split('\n').slice(0, -1) : []);

/** Lets the lanes write for some milliseconds after their first write, and kills them. */
async function writeAndKill(folder, round, logBytes, waitMs) {
  const notes = path.join(folder, `acknowledged-${round}`);
  const child = spawn(
    process.execPath,
    [program, path.join(folder, 'node.wal'), notes, `${round}`, `${logBytes}`],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const gone = once(child, 'exit');
  await until(() => child.exitCode !== null || read(notes).length > 0, 'something is written');
  await pause(waitMs);
  child.kill('SIGKILL');
  const [, signal] = await gone;
  assert.equal(signal, 'SIGKILL', 'it ended because it was killed');
  return read(notes).map((line) => {
    const [sign, key, value] = line.split(' ');
    return { sign, key, value };
  });
}

/** Compares the store with the acknowledged writes; of each lane one more write may have happened. */
async function compare(client, expected, underWay, round) {
  const text = async (key) => (await client.get(key)).map(String).valueOr(undefined);
  for (const [lane, n] of underWay) {
    const key = `${lane}/${n % KEYS_PER_LANE}`;
    const found = await text(key);
    const afterwards = n % 10 === 9 ? undefined : `${round}:${n}`;
    assert.ok(found === expected.get(key) || found === afterwards, `${key} is ${found}`);
    expected.set(key, found);
  }
  for (const [key, value] of expected) assert.equal(await text(key), value, key);
  assert.equal(client.size(), [...expected.values()].filter((value) => value !== undefined).length);
}

test('every acknowledged write is there after kill -9 while checkpoints are made', async (t) => {
  const folder = temporaryFolder(t);
  const expected = new Map();
  const left = [];
  for (let round = firstSeed; round < firstSeed + ROUNDS; round += 1) {
    const random = dice(round);
    const logBytes = 2 ** (12 + Math.floor(random() * 5));
    const again = `again: TORTURE_SEED=${round} TORTURE_ROUNDS=${firstSeed + ROUNDS - round} node --test __test__/kill-checkpoints.test.js`;
    try {
      const underWay = new Map(Array.from({ length: LANES }, (_, lane) => [`${lane}`, 0]));
      for (const { sign, key, value } of await writeAndKill(folder, round, logBytes, random() * 120)) {
        expected.set(key, sign === '+' ? value : undefined);
        underWay.set(key.split('/')[0], Number(value.split(':')[1]) + 1);
      }
      left.push(readdirSync(folder).join(' '));
      const options = ClientOptions.persistent('node-lanes', path.join(folder, 'node.wal'));
      options.checkpointLogBytes = logBytes;
      const client = new Client(options);
      ok(await client.open());
      await compare(client, expected, underWay, round);
      if (random() < 0.2) ok(await client.compact());
      ok(await client.close());
    } catch (error) {
      error.message = `round ${round}, ${logBytes} bytes: ${error.message}\n${again}`;
      throw error;
    }
  }
  const checkpoints = left.filter((names) => /checkpoint( |$)/.test(names)).length;
  const halves = left.filter((names) => /sealed|sealing|checkpoint\.new/.test(names)).length;
  t.diagnostic(`${ROUNDS} kills, ${checkpoints} with a checkpoint, ${halves} in the middle of one`);
  assert.ok(checkpoints > ROUNDS / 2 && (halves > 0 || ROUNDS < 40), `${checkpoints} ${halves}`);
  assert.ok(statSync(path.join(folder, 'node.wal')).size < 2 ** 20);
});
