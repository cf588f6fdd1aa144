import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { Client, ClientOptions } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

const program = path.join(import.meta.dirname, 'programs', 'worker.js');
const walPathFor = (t) => path.join(temporaryFolder(t), 'node.wal');

function startWorker(t, workerData) {
  const worker = new Worker(program, { workerData });
  t.after(() => worker.terminate());
  return worker;
}

test('workers and the main thread have clients side by side', async (t) => {
  const main = await openClient(t, ClientOptions.persistent('node-main', walPathFor(t)));
  const workers = Array.from({ length: 4 }, () => startWorker(t, { walPath: walPathFor(t) }));
  const told = await Promise.all(workers.map((worker) => once(worker, 'message')));
  for (const [{ size }] of told) assert.equal(size, 1);
  ok(await main.put('a', '1'));
  for (const worker of workers) await worker.terminate();
  ok(await main.put('b', '2'));
  assert.equal(main.size(), 2);
});

test('a log in use in one thread is refused in another', async (t) => {
  const walPath = walPathFor(t);
  const main = await openClient(t, ClientOptions.persistent('node-main', walPath));
  const [refusal] = await once(startWorker(t, { walPath }), 'message');
  assert.equal(refusal.code, 'invalid_state');
  ok(await main.close());
  const [opened] = await once(startWorker(t, { walPath }), 'message');
  assert.equal(opened.size, 1);
});

test('a worker that is terminated while it writes leaves a log that opens, with what it wrote', async (t) => {
  const walPath = walPathFor(t);
  for (let round = 0; round < 5; round += 1) {
    const worker = startWorker(t, { walPath, task: 'write for ever' });
    await once(worker, 'message');
    await worker.terminate();
    const client = new Client(ClientOptions.persistent('node-main', walPath));
    t.after(() => client.close());
    await until(async () => {
      const opened = await client.open();
      if (opened.isErr()) refused(opened, 'invalid_state', /in use/);
      return opened.isOk();
    }, 'the log is free');
    assert.equal(client.size(), 50);
    assert.ok(Number(`${ok(await client.get('0'))}`) >= 3);
    ok(await client.close());
  }
});

test('workers may be the only threads that load the addon, one after another, however they end', () => {
  const reloading = path.join(import.meta.dirname, 'programs', 'reloading.js');
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [reloading], { encoding: 'utf8' });
  assert.deepEqual({ status, signal, stdout }, { status: 0, signal: null, stdout: '12 workers\n' }, stderr);
});
