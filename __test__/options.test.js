import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientOptions } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

test('the factories set what the documents say', () => {
  const local = ClientOptions.local('a');
  assert.deepEqual([local.nodeId, local.displayName, local.version], ['a', 'a', '0.1.0']);
  assert.deepEqual([local.enableWal, local.walPath, local.autoFlush], [false, 'data/sdk-store.wal', true]);
  assert.deepEqual(
    [local.enableTransport, local.transportHost, local.transportPort],
    [false, '127.0.0.1', 0],
  );
  assert.deepEqual(
    [local.enableDiscovery, local.discoveryHost, local.discoveryPort],
    [false, '127.0.0.1', 9400],
  );
  assert.deepEqual([local.discoveryBroadcastHost, local.discoveryBroadcastPort], ['127.0.0.1', 9400]);
  assert.deepEqual(
    [local.createDirs, local.conflictPolicy, local.ackPolicy, local.syncIntervalMs],
    [false, 'lastWriteWins', 'any', 0],
  );
  assert.deepEqual(
    [local.networkKey, local.allowInsecure, local.allowedPeers, local.autoConnect],
    [undefined, false, undefined, false],
  );
  assert.deepEqual(
    [local.batchSize, local.maxRetries, local.retryIntervalMs, local.ackTimeoutMs, local.requireAck],
    [1024, 5, 5000, 10000, true],
  );
  const persistent = ClientOptions.persistent('b', 'x.wal');
  assert.deepEqual([persistent.enableWal, persistent.walPath, persistent.autoFlush], [true, 'x.wal', true]);
  assert.deepEqual({ ...ClientOptions.durable('b', 'x.wal') }, { ...persistent });
  const memory = ClientOptions.memoryOnly('c');
  assert.deepEqual([memory.enableWal, memory.autoFlush], [false, false]);
  const fast = ClientOptions.fast('d', 'x.wal');
  assert.deepEqual(
    [fast.enableWal, fast.autoFlush, fast.maxRetries, fast.retryIntervalMs, fast.ackTimeoutMs],
    [true, false, 2, 250, 1000],
  );
  assert.equal(ClientOptions.fast('d').enableWal, false);
});

test('names that fall back do so when they are read', () => {
  const options = ClientOptions.local('a');
  options.nodeId = 'b';
  assert.equal(options.displayName, 'b');
  options.displayName = 'Shop';
  assert.equal(options.displayName, 'Shop');
  options.displayName = '';
  assert.equal(options.displayName, 'b');
  options.discoveryHost = '0.0.0.0';
  assert.equal(options.discoveryBroadcastHost, '255.255.255.255');
  options.discoveryBroadcastHost = '10.0.0.255';
  assert.equal(options.discoveryBroadcastHost, '10.0.0.255');
});

const wrongOptions = [
  [{ nodeId: '' }, 'invalid configuration: node id must not be empty', 'nodeId'],
  [{ nodeId: 5 }, 'invalid configuration: node id must be a string', 'nodeId'],
  [{ nodeId: 'x'.repeat(256) }, /node id must be at most 255 bytes/, 'nodeId'],
  [{ nodeId: '\ud800' }, /node id must be valid Unicode/, 'nodeId'],
  [{ version: '' }, 'invalid configuration: version must not be empty', 'version'],
  [{ displayName: 5 }, /display name must be a string/, 'displayName'],
  [{ enableWal: 1 }, /enable WAL must be true or false/, 'enableWal'],
  [{ enableWal: true, walPath: '' }, 'invalid WAL path: path is empty', 'walPath'],
  [{ enableWal: true, walPath: 5 }, 'invalid WAL path: path must be a string', 'walPath'],
  [{ enableWal: true, walPath: 'a\0b' }, /^invalid WAL path: path must be valid/, 'walPath'],
  [{ enableWal: false, walPath: 5 }, 'invalid WAL path: path must be a string', 'walPath'],
  [{ autoFlush: 'yes' }, /auto flush must be true or false/, 'autoFlush'],
  [{ maxValueBytes: 0 }, /max value bytes must be a whole number/, 'maxValueBytes'],
  [{ maxValueBytes: 2 ** 26 + 1 }, /max value bytes must be a whole number/, 'maxValueBytes'],
  [{ memoryBytes: 2 ** 25 - 1 }, /memory bytes must be 0, .* or a whole number from 33554432/, 'memoryBytes'],
  [{ memoryBytes: 2 ** 40 + 1 }, /memory bytes must be 0/, 'memoryBytes'],
  [{ memoryBytes: '1g' }, /memory bytes must be 0/, 'memoryBytes'],
  [{ enableTransport: true, transportHost: '' }, /transport host must not be empty/, 'transportHost'],
  [{ transportPort: -1 }, /transport port must be a whole number from 0 to 65535/, 'transportPort'],
  [{ transportPort: 65536 }, /transport port must be/, 'transportPort'],
  [{ transportPort: '80' }, /transport port must be/, 'transportPort'],
  [{ enableDiscovery: true, discoveryHost: '' }, /discovery host must not be empty/, 'discoveryHost'],
  [{ discoveryPort: 1.5 }, /discovery port must be/, 'discoveryPort'],
  [{ batchSize: 0 }, /batch size must be a whole number from 1/, 'batchSize'],
  [{ maxRetries: -1 }, /max retries must be/, 'maxRetries'],
  [{ retryIntervalMs: Number.NaN }, /retry interval ms must be/, 'retryIntervalMs'],
  [{ ackTimeoutMs: 0 }, /ack timeout ms must be/, 'ackTimeoutMs'],
  [{ syncIntervalMs: -1 }, /sync interval ms must be/, 'syncIntervalMs'],
  [{ requireAck: 'no' }, /require ack must be/, 'requireAck'],
  [{ ackPolicy: 'some' }, /ack policy must be "any", "all" or how many/, 'ackPolicy'],
  [{ ackPolicy: { count: 0 } }, /ack policy count must be "any", "all" or how many/, 'ackPolicy'],
  [{ ackPolicy: { memory: 'yes' } }, /ack policy memory must be true or false/, 'ackPolicy'],
  [{ ackPolicy: { memry: true } }, /ack policy has an unknown field: memry/, 'ackPolicy'],
  [{ ackPolicy: [] }, /ack policy must be/, 'ackPolicy'],
  [{ ackPolicy: new Map([['count', 2]]) }, /ack policy must be/, 'ackPolicy'],
  [{ ackPolicy: new Date(0) }, /ack policy must be/, 'ackPolicy'],
  [{ ackPolicy: Promise.resolve(1) }, /ack policy must be/, 'ackPolicy'],
  [{ ackPolicy: 0 }, /ack policy must be/, 'ackPolicy'],
  [{ conflictPolicy: 'mine' }, /conflict policy must be lastWriteWins/, 'conflictPolicy'],
  [{ conflictPolicy: 'constructor' }, /conflict policy must be lastWriteWins/, 'conflictPolicy'],
  [
    { networkKey: 'secret' },
    /network key is not in this version: it comes with the secure channel/,
    'networkKey',
  ],
  [{ allowedPeers: ['b'] }, /allowed peers is not in this version/, 'allowedPeers'],
  [{ autoConnect: true }, /auto connect is not in this version/, 'autoConnect'],
  [
    { autoflush: true },
    'invalid configuration: unknown option: autoflush (did you mean autoFlush?)',
    'autoflush',
  ],
  [{ auto_flush: true }, /unknown option: auto_flush \(did you mean autoFlush\?\)/, 'auto_flush'],
  [{ bananas: true }, 'invalid configuration: unknown option: bananas', 'bananas'],
];

for (const [change, message, context] of wrongOptions) {
  test(`open() refuses ${JSON.stringify(change).slice(0, 60)}`, async () => {
    const changed = Object.assign(ClientOptions.local('a'), change);
    const client = new Client(changed);
    const error = refused(await client.open(), 'invalid_argument', message);
    assert.equal(error.context, context);
    assert.ok(!client.isOpen());
    const plain = new Client({ nodeId: 'a', ...change });
    refused(await plain.open(), 'invalid_argument', message);
  });
}

test('the documented spelling of the default policy is accepted', async (t) => {
  await openClient(t, Object.assign(ClientOptions.memoryOnly('a'), { conflictPolicy: 'LastWriteWins' }));
});

test('every conflict policy is accepted, by all its names', async (t) => {
  const names = {
    keepLocal: 'keepLocal',
    KeepRemote: 'keepRemote',
    ApplyRemote: 'keepRemote',
    manual: 'manual',
    custom: 'manual',
  };
  for (const [conflictPolicy, meant] of Object.entries(names)) {
    const client = await openClient(t, Object.assign(ClientOptions.memoryOnly('a'), { conflictPolicy }));
    assert.equal(client.options().conflictPolicy, meant);
  }
});

test('every acknowledgement policy is accepted', async (t) => {
  for (const ackPolicy of ['any', 'all', 1, 3, { count: 2, memory: true }, { memory: false }, {}]) {
    const client = await openClient(t, Object.assign(ClientOptions.memoryOnly('a'), { ackPolicy }));
    assert.deepEqual(client.options().ackPolicy, ackPolicy);
  }
});

test('whatever a Client is given, only open() says that it is wrong', async () => {
  const throwing = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error('no keys here');
      },
    },
  );
  for (const given of [undefined, null, 5, 'a', [], () => {}, Symbol('s'), throwing]) {
    const client = new Client(given);
    refused(await client.open(), 'invalid_argument', /^invalid configuration: /);
    assert.ok(client.options() instanceof ClientOptions);
  }
});

test('options are read at open, and shown as they are in force', async (t) => {
  const options = ClientOptions.memoryOnly('a');
  const client = new Client(options);
  t.after(() => client.close());
  options.nodeId = 'b';
  assert.equal(client.options().nodeId, 'b');
  ok(await client.open());
  options.nodeId = 'c';
  assert.equal(client.options().nodeId, 'b');
  assert.equal(ok(await client.nodeInfo()).nodeId, 'b');
  assert.ok(Object.isFrozen(client.options()));
  ok(await client.close());
  ok(await client.open());
  assert.equal(client.options().nodeId, 'c');
});

test('a plain object is as good as ClientOptions', async (t) => {
  const client = await openClient(t, { nodeId: 'plain', displayName: undefined });
  assert.equal(client.options().displayName, 'plain');
});

test('a path of a log that would not be kept is refused, with what to set', async () => {
  for (const options of [
    Object.assign(ClientOptions.memoryOnly('a'), { walPath: 'x.wal' }),
    Object.assign(ClientOptions.local('a'), { walPath: 'x.wal' }),
    { nodeId: 'a', walPath: 'x.wal' },
    Object.assign(ClientOptions.persistent('a', 'x.wal'), { enableWal: false }),
  ]) {
    const message = /WAL path is set.* set enableWal to true .* or walPath to ""/;
    const error = refused(await new Client(options).open(), 'invalid_argument', message);
    assert.equal(error.context, 'walPath');
  }
  const client = new Client(ClientOptions.local('a'));
  ok(await client.open());
  ok(await client.close());
});

test('options that a factory or a constructor does not take are refused at the opening', async () => {
  for (const [client, message] of [
    [
      new Client(ClientOptions.memoryOnly('a', { syncIntervalMs: 5 })),
      /ClientOptions.memoryOnly\(\) takes nodeId/,
    ],
    [new Client(ClientOptions.local('a', {})), /ClientOptions.local\(\) takes nodeId/],
    [new Client(ClientOptions.persistent('a', 'x.wal', {})), /persistent\(\) takes nodeId and walPath/],
    [new Client(ClientOptions.durable('a', 'x.wal', {})), /durable\(\) takes nodeId and walPath/],
    [new Client(ClientOptions.fast('a', undefined, {})), /fast\(\) takes nodeId and walPath/],
    [new Client(new ClientOptions({ nodeId: 'a' }, {})), /new ClientOptions\(\) takes an object/],
    [new Client(ClientOptions.memoryOnly('a'), {}), /new Client\(\) takes options/],
  ]) {
    refused(await client.open(), 'invalid_argument', message);
  }
});
