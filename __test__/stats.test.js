// A client's report of its last opening, and its statistics.
import assert from 'node:assert/strict';
import { copyFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ClientOptions } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

const NONE = { count: 0, p50: 0, p99: 0, max: 0 };

test('a client without a log says that there is none', async (t) => {
  const client = await openClient(t);
  ok(await client.put('a', 'x'));
  const recovery = ok(await client.recovery());
  assert.deepEqual([recovery.outcome, recovery.frames, recovery.tornTail], ['none', 0, null]);
  const stats = ok(await client.stats());
  assert.deepEqual([stats.logBytes, stats.diskBytes, stats.commits, stats.keys], [0, 0, 1, 1]);
  assert.deepEqual(stats.syncLatencyMs, NONE);
});

test('recovery tells new, clean, renamed and copied', async (t) => {
  const options = loggedOptions(t);
  const found = async (changes) => {
    const client = await openClient(t, Object.assign(new ClientOptions(options), changes));
    const recovery = ok(await client.recovery());
    ok(await client.put('a', 'x'));
    ok(await client.close());
    refused(await client.recovery(), 'invalid_state', 'SDK client is not open');
    refused(await client.stats(), 'invalid_state', 'SDK client is not open');
    return recovery;
  };
  assert.equal((await found()).outcome, 'new');
  const clean = await found();
  assert.equal(clean.outcome, 'clean');
  assert.ok(clean.frames > 1 && clean.bytes > 64 && Object.isFrozen(clean));
  assert.equal((await found({ nodeId: 'node-other' })).renamedFrom, 'node-test');
  rmSync(`${options.walPath}.lease`);
  assert.equal((await found({ nodeId: 'node-other' })).copyNoticed, true);
});

test('a stop without closing is told as recovered', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  ok(await client.put('a', 'x'));
  const copy = path.join(path.dirname(options.walPath), 'copy.wal');
  copyFileSync(options.walPath, copy);
  copyFileSync(`${options.walPath}.lease`, `${copy}.lease`);
  const killed = await openClient(t, ClientOptions.persistent('node-test', copy));
  const recovery = ok(await killed.recovery());
  assert.equal(recovery.outcome, 'recovered');
  assert.ok(recovery.rewrittenFrames > 0);
});

test('stats count keys, bytes, groups and syncs', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  for (let n = 0; n < 10; n += 1) ok(await client.put(`key-${n}`, 'x'.repeat(90)));
  ok(await client.remove('key-0'));
  await Promise.all(Array.from({ length: 100 }, (_, n) => client.put(`many-${n}`, 'y')));
  const stats = ok(await client.stats());
  assert.deepEqual([stats.keys, stats.tombstones, stats.commits, stats.refusals], [109, 1, 111, 0]);
  assert.ok(stats.liveBytes >= 9 * 95 + 100 * 7);
  assert.ok(stats.groups.count >= 12 && stats.groups.count <= 111);
  assert.ok(stats.groups.max > 1 && stats.groups.max <= 100);
  assert.ok(stats.groups.p50 <= stats.groups.p99 && stats.groups.p99 <= stats.groups.max);
  assert.equal(stats.syncLatencyMs.count, stats.groups.count);
  assert.ok(stats.syncLatencyMs.max > 0 && stats.syncLatencyMs.p50 <= stats.syncLatencyMs.max);
  assert.equal(stats.logBytes, statSync(options.walPath).size);
  const folder = path.dirname(options.walPath);
  const sizes = readdirSync(folder).map((name) => statSync(path.join(folder, name)).size);
  assert.equal(
    stats.diskBytes,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  assert.equal(stats.lastCheckpoint, null);
  ok(await client.compact());
  const { lastCheckpoint } = ok(await client.stats());
  assert.deepEqual([lastCheckpoint.rows, lastCheckpoint.atMs > 1e12], [110, true]);
  ok(await client.close());
  ok(await client.open());
  assert.equal(ok(await client.recovery()).checkpoint.rows, 110);
  assert.equal(ok(await client.stats()).commits, 0);
});

test('tombstones and the last checkpoint are told behind a checkpoint and another opening', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  for (let index = 0; index < 10; index += 1) ok(await client.put(`key/${index}`, 'value'));
  for (let index = 0; index < 4; index += 1) ok(await client.remove(`key/${index}`));
  const before = Date.now();
  ok(await client.compact());
  ok(await client.remove('key/4'));
  ok(await client.put('key/0', 'again'));
  const stats = ok(await client.stats());
  assert.deepEqual([stats.keys, stats.tombstones], [6, 4]);
  const { atMs, rows, bytes } = stats.lastCheckpoint;
  assert.equal(rows, 10, 'tombstones are rows');
  assert.ok(atMs >= before - 1000 && atMs <= Date.now() + 1000);
  assert.equal(bytes, statSync(`${options.walPath}.checkpoint`).size);
  ok(await client.close());

  const again = await openClient(t, options);
  const reopened = ok(await again.stats());
  assert.deepEqual([reopened.keys, reopened.tombstones], [6, 4]);
  assert.equal(reopened.lastCheckpoint, null, 'none was made since it was opened');
});
