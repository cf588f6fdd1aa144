import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Client } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

const value = (index, generation) => `${generation}-${index}-${'x'.repeat(60)}`;

async function fill(client, count, generation) {
  const puts = Array.from({ length: count }, (_, index) =>
    client.put(`key/${index}`, value(index, generation)),
  );
  for (const result of await Promise.all(puts)) ok(result);
}

async function read(client) {
  const entries = [];
  for await (const entry of client.entries()) entries.push([entry.key, entry.value.toString()]);
  return entries;
}

test('a compacted store reads back, goes on, and is as large as its data', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  for (let generation = 0; generation < 4; generation += 1) await fill(client, 2000, generation);
  const before = await read(client);
  ok(await client.compact());
  assert.deepEqual(await read(client), before);
  assert.ok(existsSync(`${options.walPath}.checkpoint`));
  ok(await client.put('key/7', 'again'));
  ok(await client.remove('key/8'));
  assert.equal(ok(await client.get('key/7')).toString(), 'again');
  refused(await client.get('key/8'), 'not_found');
  assert.equal(client.size(), 1999);
  assert.equal(ok(await client.put('key/9', 'third')).version, 5);
  const after = await read(client);
  ok(await client.close());

  const again = new Client(options);
  t.after(() => again.close());
  ok(await again.open());
  assert.deepEqual(await read(again), after);
  assert.equal(again.size(), 1999);
  const state = ok(await again.syncStateInfo());
  assert.equal(state.queuedCount, 2000, 'each own write, the removal too, waits for a peer');
});

test('checkpoints are made by themselves while writes go on', async (t) => {
  const options = loggedOptions(t);
  options.checkpointLogBytes = 64 * 1024;
  const client = await openClient(t, options);
  for (let generation = 0; generation < 30; generation += 1) await fill(client, 500, generation);
  ok(await client.compact());
  const folder = path.dirname(options.walPath);
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
  assert.ok(bytes < 500 * 80 * 6, `${bytes} bytes on disk`);
  for (let index = 0; index < 500; index += 1) {
    assert.equal(ok(await client.get(`key/${index}`)).toString(), value(index, 29));
  }
});

test('a checkpoint that was cut off is told, and what it does not hold still reads', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  await fill(client, 5000, 0);
  ok(await client.compact());
  ok(await client.close());
  const file = `${options.walPath}.checkpoint`;
  truncateSync(file, statSync(file).size - 5000);
  const again = new Client(options);
  const error = refused(await again.open(), 'io_error');
  assert.equal(error.kind, 'checkpoint_damaged');
  assert.match(error.message, /byte offset/);
  assert.equal(error.localStateValid, false);
});

test('what a checkpoint makes durable is sent', async (t) => {
  const other = await openListening(t, 'other');
  const { walPath } = loggedOptions(t);
  const changes = { enableWal: true, walPath, autoFlush: false, syncIntervalMs: 50 };
  const client = await openListening(t, 'writer', changes);
  ok(await client.connect(peerFor(other)));
  ok(await client.put('a', '1'));
  ok(await client.compact());
  await until(() => other.contains('a'), 'the write at the peer', 3000);
});

test('closing with a checkpoint leaves everything in it, and no more than the beginning of a log', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  await fill(client, 3000, 'first');
  const before = await read(client);
  ok(await client.close({ compact: true }));
  assert.ok(existsSync(`${options.walPath}.checkpoint`));
  assert.ok(statSync(options.walPath).size <= 4096, `${statSync(options.walPath).size} bytes of log`);

  const again = await openClient(t, options);
  assert.deepEqual(await read(again), before);
});

test('closing closes whatever it is given, and names what it does not take', async (t) => {
  const options = loggedOptions(t);
  for (const wrong of [{ compakt: true }, { compact: 'yes' }, 'compact', 7, [true]]) {
    const client = await openClient(t, options);
    const error = refused(await client.close(wrong), 'invalid_argument');
    assert.match(error.message, /compact|options/, JSON.stringify(wrong));
    assert.equal(client.isOpen(), false);
    ok(await client.close());
  }
});

test('a checkpoint that closing gives up is told as closed, and everything is in the log', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const large = Buffer.alloc(1 << 20, 'x');
  for (let index = 0; index < 200; index += 1) ok(await client.put(`key/${index}`, large));
  const copy = `${options.walPath}.copy`;
  const [compacted, backup, closed] = await Promise.all([
    client.compact(),
    client.backup(copy),
    client.close(),
  ]);
  ok(closed);
  for (const result of [compacted, backup]) {
    if (result.isErr()) assert.equal(refused(result, 'invalid_state').kind, 'closed');
  }
  assert.equal(existsSync(copy), backup.isOk(), 'half a backup stays nowhere');

  const again = await openClient(t, options);
  assert.equal(again.size(), 200);
  assert.deepEqual(ok(await again.get('key/199')).toBuffer(), large);
});
