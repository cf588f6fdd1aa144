import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { ClientOptions } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok } from './support/results.js';

const ROUNDS = 12;
const program = path.join(import.meta.dirname, 'programs', 'write-lanes.js');

/** Lets the lanes write until so many writes are acknowledged, kills them, and gives what was acknowledged. */
async function writeAndKill(walPath, round, count) {
  const child = spawn(process.execPath, [program, walPath, `${round}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const gone = once(child, 'exit');
  const acknowledged = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const [sign, key, value, end] = line.split(' ');
    if (end !== '.') continue;
    acknowledged.push({ sign, key, value });
    if (acknowledged.length === count) child.kill('SIGKILL');
  }
  const [, signal] = await gone;
  assert.equal(signal, 'SIGKILL', 'it ended because it was killed');
  return acknowledged;
}

const LANES = 16;
const KEYS_PER_LANE = 50;

test('every acknowledged write is there after kill -9, in a loop while sixteen lanes write', async (t) => {
  const walPath = path.join(temporaryFolder(t), 'node.wal');
  const expected = new Map();
  for (let round = 0; round < ROUNDS; round += 1) {
    const underWay = new Map(Array.from({ length: LANES }, (_, lane) => [`${lane}`, 0]));
    for (const { sign, key, value } of await writeAndKill(walPath, round, 100 + round * 150)) {
      expected.set(key, sign === '+' ? value : undefined);
      underWay.set(key.split('/')[0], Number(value.split(':')[1]) + 1);
    }
    const client = await openClient(t, ClientOptions.persistent('node-lanes', walPath));
    const read = async (key) => (await client.get(key)).map(String).valueOr(undefined);
    // A lane goes on only when its write is acknowledged: one write of each may or may not have happened.
    for (const [lane, n] of underWay) {
      const key = `${lane}/${n % KEYS_PER_LANE}`;
      const found = await read(key);
      assert.ok(found === expected.get(key) || found === undefined || found === `${round}:${n}`, key);
      expected.set(key, found);
    }
    for (const [key, value] of expected) assert.equal(await read(key), value, `round ${round}: ${key}`);
    ok(await client.close());
  }
});
