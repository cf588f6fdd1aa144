import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Client } from '@softadastra/sdk';
import { loggedOptions } from './support/clients.js';
import { ok } from './support/results.js';
import { until } from './support/until.js';

const program = new URL('./programs/opening-worker.js', import.meta.url);

// The node reports its new name while it opens: to a worker that may be gone by then.
test('a worker that is terminated while it opens harms nobody', async (t) => {
  const options = { ...loggedOptions(t, 'first') };
  const client = new Client(options);
  ok(await client.open());
  await Promise.all(Array.from({ length: 20_000 }, (_, i) => client.put(`key-${i}`, 'v'.repeat(100))));
  ok(await client.close());
  for (let round = 0; round < 25; round += 1) {
    const worker = new Worker(program, { workerData: { ...options, nodeId: `node-${round}` } });
    await once(worker, 'message');
    await pause(round % 20);
    await worker.terminate();
    await until(async () => (await client.open()).isOk(), 'the log is free');
    ok(await client.close());
  }
});
