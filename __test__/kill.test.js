import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ClientOptions } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok } from './support/results.js';
import { until } from './support/until.js';

const ROUNDS = 15;
const LANES = 16;
const KEYS_PER_LANE = 50;
const program = path.join(import.meta.dirname, 'programs', 'write-lanes.js');

/** Lets the lanes write until that many writes are acknowledged, and kills them. Returns the acknowledged writes. */
async function writeAndKill(folder, round, count) {
  const notes = path.join(folder, `acknowledged-${round}`);
  const child = spawn(process.execPath, [program, path.join(folder, 'node.wal'), notes, `${round}`], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const gone = once(child, 'exit');
  // Whole lines only.
  const read = () => (existsSync(notes) ? readFileSync(notes, 'utf8').split('\n').slice(0, -1) : []);
  await until(() => child.exitCode !== null || read().length >= count, 'enough is written');
  child.kill('SIGKILL');
  const [, signal] = await gone;
  assert.equal(signal, 'SIGKILL', 'it ended because it was killed');
  return read().map((line) => {
    const [sign, key, value] = line.split(' ');
    return { sign, key, value };
  });
}

test('every acknowledged write is there after kill -9, in a loop while sixteen lanes write', async (t) => {
  const folder = temporaryFolder(t);
  const expected = new Map();
  for (let round = 0; round < ROUNDS; round += 1) {
    const underWay = new Map(Array.from({ length: LANES }, (_, lane) => [`${lane}`, 0]));
    for (const { sign, key, value } of await writeAndKill(folder, round, 1 + round * 150)) {
      expected.set(key, sign === '+' ? value : undefined);
      underWay.set(key.split('/')[0], Number(value.split(':')[1]) + 1);
    }
    const client = await openClient(t, ClientOptions.persistent('node-lanes', path.join(folder, 'node.wal')));
    const read = async (key) => (await client.get(key)).map(String).valueOr(undefined);
    // A lane continues only when its write is acknowledged: one more write of each may or may not have happened.
    for (const [lane, n] of underWay) {
      const key = `${lane}/${n % KEYS_PER_LANE}`;
      const found = await read(key);
      const afterwards = n % 10 === 9 ? undefined : `${round}:${n}`;
      assert.ok(found === expected.get(key) || found === afterwards, `round ${round}: ${key} is ${found}`);
      expected.set(key, found);
    }
    for (const [key, value] of expected) assert.equal(await read(key), value, `round ${round}: ${key}`);
    ok(await client.close());
  }
});
