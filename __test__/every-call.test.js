// Every call, in every state, with every kind of wrong argument.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { Client, ClientOptions, Peer, Result, SoftadastraError, salvage, verify } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok, refused } from './support/results.js';

const CODES = new Set([
  'unknown',
  'invalid_argument',
  'invalid_state',
  'not_found',
  'already_exists',
  'io_error',
  'store_error',
  'sync_error',
  'transport_error',
  'discovery_error',
  'metadata_error',
  'internal_error',
]);

/** Valid arguments of every asynchronous call but `open` and `close`. */
const asynchronous = {
  put: ['key', 'value'],
  get: ['key'],
  remove: ['key'],
  batch: [[{ put: 'key', value: 'value' }]],
  flush: [],
  compact: [],
  backup: ['no/such/folder/copy.wal'],
  syncStateInfo: [],
  tick: [],
  conflicts: [],
  conflict: ['key'],
  resolve: ['key', 'value'],
  retryFailed: [],
  outbox: [],
  waitFor: ['all', { signal: AbortSignal.abort() }],
  startSync: [],
  stopSync: [],
  startTransport: [],
  stopTransport: [],
  connect: [{ nodeId: 'b', host: '127.0.0.1', port: 1 }],
  disconnect: [{ nodeId: 'b', host: '127.0.0.1', port: 1 }],
  peers: [],
  verify: ['b', { signal: AbortSignal.abort() }],
  startDiscovery: [],
  stopDiscovery: [],
  recovery: [],
  stats: [],
  nodeInfo: [],
  refreshNodeInfo: [],
};

const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error('not to be read');
    },
    ownKeys: () => {
      throw new Error('not to be listed');
    },
  },
);

const nonsense = [
  undefined,
  null,
  true,
  0,
  -1,
  1.5,
  Number.NaN,
  2 ** 53,
  10n,
  '',
  '\ud800',
  'x'.repeat(2000),
  Symbol('s'),
  () => 'called',
  {},
  { put: 'a' },
  { nodeId: 5, host: {}, port: 'x' },
  { nodeId: '', host: '', port: 0 },
  { nodeId: 'b', host: '127.0.0.1', port: 1, prefixes: 'all' },
  { nodeId: 'b', host: '127.0.0.1', port: 1, prefixes: [] },
  { nodeId: 'b', host: '127.0.0.1', port: 1, prefixes: ['a/', 5] },
  { prune: 'yes' },
  { thne: 1 },
  { signal: AbortSignal.abort(), peer: 'nobody' },
  { signal: AbortSignal.abort(), count: 'all' },
  { peer: '', count: 1 },
  { count: -1 },
  { state: 'lost' },
  { after: -1, limit: 1e9 },
  [],
  [[]],
  [null],
  new Date(0),
  new Map(),
  new ArrayBuffer(4),
  Object.create(null),
  throwing,
  [throwing],
];

/** Codes with which each call may answer wrong arguments while the client is open, if it does not accept them. */
const answersWhenOpen = {
  get: ['invalid_argument', 'not_found'],
  conflict: ['invalid_argument', 'not_found'],
  resolve: ['invalid_argument', 'not_found'],
  backup: ['invalid_argument', 'io_error'],
  connect: ['invalid_argument', 'transport_error'],
  disconnect: ['invalid_argument', 'transport_error'],
  startTransport: ['invalid_argument', 'transport_error'],
  startDiscovery: ['invalid_argument', 'discovery_error'],
  waitFor: ['invalid_argument', 'invalid_state'],
  verify: ['invalid_argument', 'invalid_state', 'not_found'],
};

async function everyAnswer(client, check) {
  for (const [name, good] of Object.entries(asynchronous)) {
    check(name, good, await client[name](...good));
    for (const first of nonsense) {
      check(name, [first], await client[name](first));
      for (const second of nonsense)
        if (name === 'put' || name === 'resolve' || name === 'waitFor' || name === 'verify')
          check(name, [first, second], await client[name](first, second));
    }
  }
}

function checkAnswer(name, result) {
  assert.ok(result instanceof Result, name);
  if (result.isOk()) return undefined;
  const error = result.error();
  assert.ok(error instanceof SoftadastraError, name);
  assert.ok(CODES.has(error.code), `${name}: ${error.code}`);
  assert.ok(error.message.length > 0 && error.kind.length > 0, name);
  return error;
}

/** Checks the synchronous calls of a closed client: they return 0, false, or nothing. */
function checkSynchronous(client) {
  assert.deepEqual(
    [client.isOpen(), client.size(), client.empty(), client.transportRunning(), client.discoveryRunning()],
    [false, 0, true, false, false],
  );
  for (const given of [...nonsense, 'key']) assert.equal(client.contains(given), false);
}

async function checkClosed(client) {
  checkSynchronous(client);
  await everyAnswer(client, (name, given, result) => {
    const error = checkAnswer(name, result);
    assert.ok(error, `${name}(${given.map((part) => typeof part)}) was ok`);
    assert.deepEqual([error.code, error.message], ['invalid_state', 'SDK client is not open'], name);
  });
  for (const given of nonsense) {
    refused(client.entries(given).result(), 'invalid_state', 'SDK client is not open');
    refused(client.watch(given, given).result(), 'invalid_state', 'SDK client is not open');
    for (const iteration of [client.entries(given), client.watch(given, given)]) {
      await assert.rejects(iteration.next(), { message: 'SDK client is not open' });
      assert.ok((await iteration.next()).done);
    }
  }
}

test('never opened', async () => {
  await checkClosed(new Client(ClientOptions.local('a')));
});

test('opening', async (t) => {
  const client = new Client(loggedOptions(t));
  t.after(() => client.close());
  const opening = client.open();
  const early = Object.entries(asynchronous).map(([name, good]) => client[name](...good));
  checkSynchronous(client);
  for (const call of early) refused(await call, 'invalid_state', 'SDK client is not open');
  ok(await opening);
});

test('open', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  await everyAnswer(client, (name, given, result) => {
    const error = checkAnswer(name, result);
    if (error === undefined) return;
    const expected = answersWhenOpen[name] ?? ['invalid_argument'];
    assert.ok(
      expected.includes(error.code),
      `${name}(${given.map(typeName)}): ${error.code}: ${error.message}`,
    );
  });
  for (const given of nonsense) {
    checkAnswer('entries', client.entries(given).result());
    const watch = client.watch(given, given);
    checkAnswer('watch', watch.result());
    await watch.return();
    for (const other of nonsense) {
      refused(client.on(given, other), 'invalid_argument');
      refused(client.off(given, other), 'invalid_argument');
    }
    client.contains(given);
  }
  assert.ok(client.isOpen());
  assert.deepEqual(ok(await client.put('still', 'works')), { status: 'created', version: 1 });
});

const typeName = (given) => (given === null ? 'null' : Array.isArray(given) ? 'array' : typeof given);

test('closing', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  for (let n = 0; n < 200; n += 1) client.put(`k${n}`, 'x');
  const closing = client.close();
  const late = Object.entries(asynchronous).map(([name, good]) => client[name](...good));
  checkSynchronous(client);
  for (const call of late) refused(await call, 'invalid_state', 'SDK client is not open');
  ok(await closing);
});

test('closed', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  ok(await client.put('key', 'value'));
  ok(await client.close());
  await checkClosed(client);
});

test('failed to open', async (t) => {
  const client = new Client(ClientOptions.persistent('a', path.join(temporaryFolder(t), 'missing', 'x.wal')));
  refused(await client.open(), 'io_error');
  await checkClosed(client);
});

test('methods taken off their client reject nothing and crash nothing', async (t) => {
  const client = await openClient(t);
  for (const name of ['isOpen', 'size', 'contains', 'put']) {
    assert.throws(() => Reflect.apply(client[name], {}, ['a', 'b']), TypeError);
  }
  ok(await client.put('a', '1'));
});

test('no call swallows an argument that it does not take', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  const most = { ...asynchronous, backup: ['copy.wal', {}], tick: [{}], conflicts: [{}], outbox: [{}] };
  most.startSync = [5];
  for (const [name, good] of Object.entries(most)) {
    const { kind, message } = refused(await client[name](...good, 'surplus'), 'invalid_argument');
    assert.equal(kind, 'unexpected_argument', `${name}: ${message}`);
    assert.match(message, new RegExp(`^${name}\\(\\) takes `));
  }
  assert.equal(client.size(), 0);
  for (const name of ['on', 'off']) {
    refused(
      client[name]('change', () => {}, { once: true }),
      'invalid_argument',
      /takes event and listener/,
    );
  }
  for (const read of [client.entries({}, 1), client.watch('', {}, 1)]) {
    await assert.rejects(read.next(), { kind: 'unexpected_argument' });
  }
  ok(await client.put('a', '1'));
  assert.equal(client.contains('a', 1), false);
  refused(await client.open(1), 'invalid_argument', 'open() takes no argument');
  refused(await client.close({ quickly: true }), 'invalid_argument', 'unknown option in options: quickly');
  assert.ok(!client.isOpen());
});

test('a call that can only answer warns once of an argument that it does not take', async (t) => {
  const client = await openClient(t);
  const warnings = [];
  const warned = (warning) => warnings.push(`${warning.name}: ${warning.message}`);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  assert.deepEqual([client.empty('a'), client.empty('a'), client.discoveryRunning({})], [true, true, false]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings, [
    'SoftadastraWarning: empty() takes no argument',
    'SoftadastraWarning: discoveryRunning() takes no argument',
  ]);
});

test('a name that no call knows is refused with the one that was probably meant', async (t) => {
  const client = await openClient(t);
  const rejects = (iteration, message) => assert.rejects(iteration.next(), { message });
  await rejects(client.entries({ gt: 'a' }), 'unknown option in options: gt (did you mean after?)');
  await rejects(client.entries({ Prefix: 'a' }), 'unknown option in options: Prefix (did you mean prefix?)');
  await rejects(client.entries('note/'), "options must be an object, such as { prefix: 'note/' }");
  await rejects(client.entries(new Map([['prefix', 'a']])), 'options must be an object');
  const { signal } = new AbortController();
  await rejects(client.watch('', signal), 'options must be an object, such as { signal }');
  await rejects(client.watch({ prefix: 'a' }), 'prefix must be a string');
  for (const [call, message] of [
    [client.waitFor('all', signal), /such as \{ signal \}/],
    [client.waitFor('all', { timeout: 5 }), /timeout \(did you mean signal\?\)/],
    [client.tick({ prunes: true }), /prunes \(did you mean prune\?\)/],
    [client.outbox({ stat: 'queued' }), /stat \(did you mean state\?\)/],
    [client.conflicts({ prefixes: ['a'] }), /prefixes \(did you mean prefix\?\)/],
    [client.backup('x.wal', () => {}), /such as \{ onProgress \}/],
    [
      client.connect({ nodeId: 'b', host: '::1', port: 1, prefix: 'a' }),
      /prefix \(did you mean prefixes\?\)/,
    ],
    [client.connect(new Peer('b', '::1', 1, { prefixs: ['a'] })), /prefixs \(did you mean prefixes\?\)/],
    [client.verify({ nodeID: 'b' }), /nodeID \(did you mean nodeId\?\)/],
  ]) {
    refused(await call, 'invalid_argument', message);
  }
  assert.ok(!new Peer('b', '::1', 1, { prefixs: ['a'] }).isValid());
});

test('functions of the package refuse what they do not take', async () => {
  refused(await verify('x.wal', {}), 'invalid_argument', 'verify() takes walPath, and nothing more');
  refused(
    await salvage('x.wal', 'y.wal', {}),
    'invalid_argument',
    /salvage\(\) takes fromWalPath and toWalPath/,
  );
});
