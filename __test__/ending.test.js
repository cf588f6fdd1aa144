import assert from 'node:assert/strict';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Client, ClientOptions } from '@softadastra/sdk';
import { temporaryFolder } from './support/folders.js';
import { runProgram } from './support/processes.js';
import { ok, refused } from './support/results.js';
import { dice, firstSeed, rounds } from './support/torture.js';
import { until } from './support/until.js';

const ROUNDS = rounds(15);
const program = path.join(import.meta.dirname, 'programs', 'ending.js');
const expectedCodes = { exit: 3, close: 3, compact: 3, throw: 1, reject: 1 };

/** Checks that the store opens again with every acknowledged write. */
async function opensWhole(walPath) {
  const client = new Client(ClientOptions.persistent('node-ending', walPath));
  await until(async () => {
    const opened = await client.open();
    if (opened.isErr()) refused(opened, 'invalid_state', /in use/);
    return opened.isOk();
  }, 'the log is free');
  for (let n = 0; n < 20; n += 1) assert.equal(`${ok(await client.get(`done/${n}`))}`, `${n}`);
  ok(await client.close());
}

/** Does something many times, each with other numbers; a failure names the seed that repeats it. */
async function manyTimes(t, act) {
  const walPath = path.join(temporaryFolder(t), 'node.wal');
  for (let round = firstSeed; round < firstSeed + ROUNDS; round += 1) {
    const random = dice(round);
    const logBytes = 2 ** (12 + Math.floor(random() * 5));
    try {
      await act({ walPath, logBytes, afterMs: random() * 150 }, round);
      await opensWhole(walPath);
    } catch (error) {
      const left = firstSeed + ROUNDS - round;
      error.message = `round ${round}: ${error.message}\nagain: TORTURE_SEED=${round} TORTURE_ROUNDS=${left} node --test __test__/ending.test.js`;
      throw error;
    }
  }
}

test('a process that ends while it writes and makes checkpoints does so without a signal', async (t) => {
  await manyTimes(t, async (numbers, round) => {
    const way = Object.keys(expectedCodes)[round % 5];
    const { code, signal, stderr } = await runProgram([program, JSON.stringify({ ...numbers, way })]);
    assert.deepEqual([code, signal], [expectedCodes[way], null], `${way}: ${stderr}`);
  });
});

test('a worker that ends while it writes and makes checkpoints leaves a log that opens', async (t) => {
  await manyTimes(t, async (numbers, round) => {
    const way = ['terminated', 'throw', 'terminated', 'exit', 'reject'][round % 5];
    const worker = new Worker(program, { workerData: { ...numbers, way } });
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const isExpected = (error) => assert.match(error.message, /uncaught|unhandled/);
    worker.on('error', isExpected);
    // The messages of a worker and its failure arrive by two ways: where it fails at once, either can be first.
    await once(worker, 'message').catch(isExpected);
    if (way === 'terminated') {
      await pause(numbers.afterMs);
      await worker.terminate();
    }
    await ended;
  });
});
