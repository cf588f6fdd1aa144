import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientOptions, SyncResult, TickResult, Value } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok } from './support/results.js';
import { until } from './support/until.js';

const counts = async (client) => {
  const { outboxSize, queuedCount, inFlightCount, acknowledgedCount, failedCount } = ok(
    await client.syncStateInfo(),
  );
  return [outboxSize, queuedCount, inFlightCount, acknowledgedCount, failedCount];
};

const reads = (client, key, text) =>
  until(async () => (await client.get(key)).map(String).valueOr(undefined) === text, `${key} is ${text}`);

async function pair(t, changes) {
  const a = await openListening(t, 'node-a', changes);
  const b = await openListening(t, 'node-b', changes);
  ok(await a.connect(peerFor(b)));
  return [a, b];
}

test('a write without a peer stays queued, however many ticks', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  ok(await client.put('a', '1'));
  ok(await client.put('b', '2'));
  assert.deepEqual(await counts(client), [2, 2, 0, 0, 0]);
  for (let n = 0; n < 20; n += 1) {
    const tick = ok(await client.tick(n % 2 === 0));
    assert.ok(tick instanceof TickResult);
    assert.deepEqual([tick.retriedCount, tick.prunedCount, tick.batchSize], [0, 0, 2]);
    assert.deepEqual([tick.sentCount, tick.connectedPeers], [0, 0]);
    assert.ok(tick.hasWork() && tick.producedBatch() && !tick.empty());
  }
  const state = ok(await client.syncStateInfo());
  assert.ok(state instanceof SyncResult);
  assert.deepEqual(await counts(client), [2, 2, 0, 0, 0]);
  assert.ok(state.hasWork() && state.hasQueued() && !state.hasFailed() && !state.empty());
  assert.equal(state.totalTracked(), 2);
  assert.equal(state.lastSubmittedVersion, 2);
});

test('nothing to do is ok', async (t) => {
  const client = await openClient(t);
  const tick = ok(await client.tick({ prune: true }));
  assert.ok(tick.empty() && !tick.hasWork());
  assert.ok(ok(await client.syncStateInfo()).empty());
});

test('a write that a later one replaced is counted with it', async (t) => {
  const client = await openClient(t);
  for (const value of ['1', '2', '3']) ok(await client.put('a', value));
  assert.deepEqual(await counts(client), [1, 1, 0, 0, 0]);
});

test('the outbox is there after closing and opening', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  ok(await client.put('a', '1'));
  ok(await client.remove('a'));
  ok(await client.put('b', '1'));
  ok(await client.close());
  assert.deepEqual(await counts(await openClient(t, options)), [2, 2, 0, 0, 0]);
});

test('a tick delivers, the peer acknowledges, a pruning tick forgets the work and not the data', async (t) => {
  const [a, b] = await pair(t);
  ok(await a.put('message/1', 'hello'));
  assert.deepEqual(await counts(a), [1, 1, 0, 0, 0]);
  const tick = ok(await a.tick());
  assert.deepEqual([tick.batchSize, tick.connectedPeers], [1, 1]);
  await reads(b, 'message/1', 'hello');
  await until(async () => (await counts(a))[3] === 1, 'it is acknowledged');
  assert.deepEqual(await counts(a), [1, 0, 0, 1, 0]);
  assert.equal(ok(await b.syncStateInfo()).outboxSize, 0);
  assert.ok(ok(await b.syncStateInfo()).lastAppliedRemoteVersion > 0);
  const pruned = ok(await a.tick({ prune: true }));
  assert.equal(pruned.prunedCount, 1);
  assert.deepEqual(await counts(a), [0, 0, 0, 0, 0]);
  assert.equal(`${ok(await a.get('message/1'))}`, 'hello');
});

test('overwrites, removals, bytes and odd keys arrive as they are', async (t) => {
  const [a, b] = await pair(t);
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
  const keys = ['__proto__', 'a\0b', '🌍', 'é'.repeat(512), 'x'.repeat(1024)];
  for (const key of keys) ok(await a.put(key, bytes));
  ok(await a.put('text', 'grüß 🌍'));
  ok(await a.put('empty', ''));
  ok(await a.put('gone', 'x'));
  ok(await a.tick());
  await until(() => b.size() === 8, 'all have arrived');
  for (const key of keys) assert.ok(ok(await b.get(key)).equals(bytes));
  assert.equal(`${ok(await b.get('text'))}`, 'grüß 🌍');
  assert.ok(ok(await b.get('empty')).empty());
  ok(await a.put('text', 'new'));
  ok(await a.remove('gone'));
  ok(await a.tick());
  await reads(b, 'text', 'new');
  await until(() => !b.contains('gone'), 'the removal arrives');
  assert.equal(b.size(), 7);
});

test('values of 2 MB and of 4 MB travel without any option', async (t) => {
  const [a, b] = await pair(t);
  const big = Buffer.alloc(2_000_000, 'binary \xff\0');
  ok(await a.put('two', big));
  ok(await a.put('four', Buffer.alloc(4_000_000, 7)));
  ok(await a.tick());
  await until(() => b.contains('two') && b.contains('four'), 'both arrive');
  assert.ok(ok(await b.get('two')).equals(big));
  assert.ok(ok(await b.get('four')).equals(Buffer.alloc(4_000_000, 7)));
});

test('both write, and the later write of each key wins on both', async (t) => {
  const [a, b] = await pair(t);
  ok(await a.put('only/a', '1'));
  ok(await b.put('only/b', '2'));
  ok(await a.put('both', 'from a'));
  ok(await a.tick());
  await reads(b, 'both', 'from a');
  ok(await b.put('both', 'from b'));
  ok(await b.tick());
  await reads(a, 'both', 'from b');
  await reads(a, 'only/b', '2');
  await reads(b, 'only/a', '1');
});

test('automatic sync needs no ticks', async (t) => {
  const [a, b] = await pair(t, { syncIntervalMs: 20 });
  ok(await a.put('a', '1'));
  ok(await b.put('b', '2'));
  await reads(b, 'a', '1');
  await reads(a, 'b', '2');
});

test('automatic sync can be started and stopped', async (t) => {
  const [a, b] = await pair(t);
  ok(await a.put('before', '1'));
  ok(await a.startSync());
  await reads(b, 'before', '1');
  ok(await a.put('during', '2'));
  await reads(b, 'during', '2');
  ok(await a.stopSync());
  ok(await a.stopSync());
  await until(async () => !ok(await a.syncStateInfo()).hasWork(), 'all is acknowledged');
  ok(await a.put('after', '3'));
  assert.equal(ok(await a.syncStateInfo()).queuedCount, 1);
});

test('what arrives is a change with the name of its author', async (t) => {
  const [a, b] = await pair(t);
  const watch = b.watch('w/');
  const heard = [];
  b.on('change', (change) => heard.push(change));
  ok(await a.put('w/1', 'x'));
  ok(await a.tick());
  const { value: change } = await watch.next();
  assert.deepEqual([change.key, change.kind, change.local, change.nodeId], ['w/1', 'put', false, 'node-a']);
  assert.ok(change.value instanceof Value && change.value.equals('x'));
  assert.equal(heard[0], change);
});

test('a node in the middle hands on', async (t) => {
  const [a, b, c] = [
    await openListening(t, 'node-a'),
    await openListening(t, 'node-b'),
    await openListening(t, 'node-c'),
  ];
  ok(await a.connect(peerFor(b)));
  ok(await c.connect(peerFor(b)));
  ok(await a.put('a', 'from a'));
  ok(await c.put('c', 'from c'));
  ok(await a.tick());
  ok(await c.tick());
  await reads(c, 'a', 'from a');
  await reads(a, 'c', 'from c');
  assert.equal(ok(await b.syncStateInfo()).outboxSize, 0);
});

test('nodes in memory exchange too', async (t) => {
  const options = (nodeId) => Object.assign(ClientOptions.memoryOnly(nodeId), { enableTransport: true });
  const [a, b] = [await openClient(t, options('node-a')), await openClient(t, options('node-b'))];
  ok(await a.startTransport());
  ok(await b.startTransport());
  ok(await a.connect(peerFor(b)));
  ok(await a.put('a', '1'));
  ok(await a.tick());
  await reads(b, 'a', '1');
});

test('closing right after a tick still delivers', async (t) => {
  const [a, b] = await pair(t);
  ok(await a.put('last', 'words'));
  ok(await a.tick());
  ok(await a.close());
  await reads(b, 'last', 'words');
});

test('retrying failed work is ok when there is none', async (t) => {
  ok(await (await openClient(t)).retryFailed());
});

test('a change names the node that wrote it, also when that node has just been opened again', async (t) => {
  const b = await openListening(t, 'b');
  const changes = [];
  b.on('change', ({ key, nodeId }) => changes.push([key, nodeId]));
  const options = Object.assign(loggedOptions(t), { nodeId: 'a', enableTransport: true, syncIntervalMs: 1 });
  for (let opening = 0; opening < 4; opening += 1) {
    const a = new Client(options);
    ok(await a.open());
    ok(await a.connect(peerFor(b)));
    ok(await a.put(`key/${opening}`, 'first write of an opening'));
    ok(await a.waitFor('all', { peer: 'b' }));
    ok(await a.close());
  }
  await until(() => changes.length === 4, 'the changes');
  assert.deepEqual(
    changes.map(([, nodeId]) => nodeId),
    ['a', 'a', 'a', 'a'],
  );
});
