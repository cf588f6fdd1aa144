import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Value } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

const textOf = async (client, key) => (await client.get(key)).map(String).valueOr(undefined);
const shows = (client, key, text) =>
  until(async () => (await textOf(client, key)) === text, `${key} is ${text}`);

/** Clients with these policies, each of which wrote `doc` while it was alone, in the given order. */
async function apart(t, ...policies) {
  const clients = [];
  for (const [place, conflictPolicy] of policies.entries()) {
    const client = await openListening(t, `node-${place}`, { conflictPolicy, syncIntervalMs: 20 });
    client.heard = [];
    client.on('conflict', (conflict) => client.heard.push(conflict));
    const before = Date.now();
    ok(await client.put('doc', `of ${place}`));
    await until(() => Date.now() > before, 'the clock moves on');
    clients.push(client);
  }
  return clients;
}

async function connectAll(clients) {
  for (const [place, client] of clients.entries()) {
    for (const other of clients.slice(place + 1)) ok(await client.connect(peerFor(other)));
  }
}

const shown = ({ key, value, versions }) => [
  key,
  value?.toString(),
  ...versions.map((version) => [version.nodeId, version.value?.toString(), version.current]),
];

test('under lastWriteWins what lost is an event on both sides, and is not kept', async (t) => {
  const [a, b] = await apart(t, 'lastWriteWins', 'LastWriteWins');
  await connectAll([a, b]);
  await shows(a, 'doc', 'of 1');
  for (const client of [a, b]) {
    await until(() => client.heard.length === 1, 'the conflict is told');
    const [conflict] = client.heard;
    assert.deepEqual(shown(conflict), ['doc', 'of 1', ['node-1', 'of 1', true], ['node-0', 'of 0', false]]);
    assert.ok(conflict.value instanceof Value && Object.isFrozen(conflict));
    assert.ok(Math.abs(conflict.versions[1].timestampMs - Date.now()) < 60_000);
    const state = ok(await client.syncStateInfo());
    assert.deepEqual([state.conflictCount, state.conflictsSeen], [0, 1]);
    assert.deepEqual(ok(await client.conflicts()), []);
    refused(await client.conflict('doc'), 'not_found', 'conflict not found: there is none at the key doc');
  }
});

test('keepLocal keeps what it wrote, on every node', async (t) => {
  const [a, b] = await apart(t, 'keepLocal', 'lastWriteWins');
  await connectAll([a, b]);
  await shows(b, 'doc', 'of 0');
  assert.equal(await textOf(a, 'doc'), 'of 0');
  await until(() => a.heard.length === 1, 'the conflict is told');
  assert.deepEqual(shown(a.heard[0]).slice(1), ['of 0', ['node-0', 'of 0', true], ['node-1', 'of 1', false]]);
});

test('keepRemote takes what the other wrote, on every node', async (t) => {
  const [a, b] = await apart(t, 'lastWriteWins', 'ApplyRemote');
  await connectAll([a, b]);
  await shows(b, 'doc', 'of 0');
  await until(async () => !ok(await b.syncStateInfo()).hasWork(), 'its choice has arrived');
  assert.equal(await textOf(a, 'doc'), 'of 0');
});

test('under manual all versions are kept on all nodes until one decides', async (t) => {
  const clients = await apart(t, 'manual', 'lastWriteWins', 'manual');
  const [a, b, c] = clients;
  await connectAll(clients);
  for (const client of clients) {
    await until(
      async () => (await client.conflict('doc')).valueOr({ versions: [] }).versions.length === 3,
      'all are kept',
    );
    assert.deepEqual(shown(ok(await client.conflict('doc'))), [
      'doc',
      'of 2',
      ['node-2', 'of 2', true],
      ['node-1', 'of 1', false],
      ['node-0', 'of 0', false],
    ]);
    assert.deepEqual(ok(await client.conflicts({ prefix: 'd' })).map(shown), [
      shown(ok(await client.conflict('doc'))),
    ]);
    assert.deepEqual(ok(await client.conflicts({ prefix: 'docs' })), []);
    refused(await client.conflict('do'), 'not_found');
    assert.equal(ok(await client.syncStateInfo()).conflictCount, 1);
    assert.equal(client.size(), 1);
    const entries = [];
    for await (const { key } of client.entries()) entries.push(key);
    assert.deepEqual(entries, ['doc']);
  }
  const watch = c.watch();
  assert.deepEqual(ok(await b.resolve('doc', Buffer.from('grüß'))), { status: 'updated', version: 2 });
  assert.deepEqual(ok(await b.conflicts()), []);
  for (const client of clients) {
    await shows(client, 'doc', 'grüß');
    assert.deepEqual(ok(await client.conflicts()), []);
    refused(await client.resolve('doc', 'again'), 'not_found');
  }
  // Only the value is a change; siblings never are.
  ok(await a.put('next', '1'));
  const keys = [(await watch.next()).value.key, (await watch.next()).value.key];
  assert.deepEqual(keys, ['doc', 'next']);
});

test('an open conflict outlives a restart, and so does its end', async (t) => {
  const [a, b] = await apart(t, 'manual', 'manual');
  await connectAll([a, b]);
  await until(async () => (await a.conflict('doc')).isOk() && (await b.conflict('doc')).isOk(), 'it is kept');
  ok(await a.compact());
  const options = a.options();
  ok(await a.close());
  const again = await openClient(t, { ...options, transportPort: 0, enableTransport: false });
  assert.equal(ok(await again.syncStateInfo()).conflictCount, 1);
  assert.deepEqual(shown(ok(await again.conflict('doc'))).length, 4);
  ok(await again.resolve('doc', 'settled'));
  ok(await again.close());
  const last = await openClient(t, { ...options, transportPort: 0, enableTransport: false });
  assert.deepEqual(ok(await last.conflicts()), []);
  assert.equal(await textOf(last, 'doc'), 'settled');
});

test('a removal against a write has a version without a value', async (t) => {
  const a = await openListening(t, 'node-a', { conflictPolicy: 'manual', syncIntervalMs: 20 });
  const b = await openListening(t, 'node-b', { conflictPolicy: 'manual', syncIntervalMs: 20 });
  ok(await a.put('doc', 'first'));
  ok(await a.connect(peerFor(b)));
  await shows(b, 'doc', 'first');
  ok(await a.disconnect(peerFor(b)));
  ok(await a.put('doc', 'second'));
  const written = Date.now();
  await until(() => Date.now() > written + 1, 'the clock moves on');
  ok(await b.remove('doc'));
  ok(await a.connect(peerFor(b)));
  await until(async () => (await a.conflict('doc')).isOk(), 'it is kept');
  assert.deepEqual(shown(ok(await a.conflict('doc'))), [
    'doc',
    undefined,
    ['node-b', undefined, true],
    ['node-a', 'second', false],
  ]);
  ok(await a.resolve('doc', 'second'));
  await shows(b, 'doc', 'second');
});

test('wrong arguments are named, and a key without a conflict is not found', async (t) => {
  const client = await openClient(
    t,
    Object.assign(loggedOptions(t), { conflictPolicy: 'manual', maxValueBytes: 10 }),
  );
  ok(await client.put('doc', 'x'));
  refused(await client.resolve('doc', 'y'), 'not_found', 'conflict not found: there is none at the key doc');
  assert.equal(await textOf(client, 'doc'), 'x');
  const error = refused(await client.conflict('doc'), 'not_found');
  assert.deepEqual([error.kind, error.context], ['conflict_not_found', 'doc']);
  refused(await client.resolve('', 'y'), 'invalid_argument', 'key cannot be empty');
  refused(await client.resolve('doc'), 'invalid_argument', /^value must be a string/);
  refused(await client.resolve('doc', 'x'.repeat(11)), 'invalid_argument', /^value is larger than 10/);
  refused(await client.conflict(5), 'invalid_argument', 'key must be a string');
  refused(await client.conflicts({ prefx: 'a' }), 'invalid_argument', /did you mean prefix/);
  refused(await client.conflicts({ prefix: 5 }), 'invalid_argument', 'prefix must be a string');
});
