// Clients that exchange only some keys.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientOptions, NodeInfo, Peer } from '@softadastra/sdk';
import { openClient, openListening, peerFor } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

const automatic = { syncIntervalMs: 1 };

const towards = (client, prefixes) => {
  const { nodeId, host, port } = peerFor(client);
  return new Peer(nodeId, host, port, { prefixes });
};

const has = (client, key) =>
  until(async () => (await client.get(key)).isOk(), `${client.options().nodeId} has ${key}`);

const lacks = async (client, key) => assert.equal((await client.get(key)).isErr(), true, key);

const rowOf = async (client, nodeId) =>
  ok(await client.syncStateInfo()).peers.find((peer) => peer.nodeId === nodeId);

const inSync = (client, nodeId) =>
  until(async () => (await rowOf(client, nodeId)).inSync, `${nodeId} is in sync`);

test('a peer gets the part that it asks for, and the rest when it asks for more', async (t) => {
  const hub = await openListening(t, 'hub', automatic);
  const phone = await openListening(t, 'phone', automatic);
  for (const team of [7, 8]) ok(await hub.put(`team/${team}/hub`, 'of the hub'));
  ok(await phone.put('team/8/phone', 'of the phone'));

  ok(await phone.connect(towards(hub, ['team/7/'])));
  ok(await phone.put('team/7/phone', 'of the phone'));
  await has(phone, 'team/7/hub');
  await has(hub, 'team/7/phone');
  await inSync(phone, 'hub');
  await lacks(phone, 'team/8/hub');
  await lacks(hub, 'team/8/phone');
  assert.deepEqual((await rowOf(phone, 'hub')).prefixes, ['team/7/']);
  assert.deepEqual((await rowOf(hub, 'phone')).prefixes, ['team/7/']);
  assert.deepEqual(ok(await phone.peers())[0].prefixes, ['team/7/']);
  assert.equal(ok(await hub.peers())[0].prefixes, undefined);
  const state = ok(await phone.syncStateInfo());
  assert.deepEqual([state.queuedCount, state.acknowledgedCount, state.failedCount], [1, 1, 0]);

  // With other prefixes, a call makes a new connection.
  ok(await phone.connect(towards(hub, ['team/7/', 'team/8/'])));
  await has(phone, 'team/8/hub');
  await has(hub, 'team/8/phone');
  await inSync(phone, 'hub');
  await until(async () => ok(await phone.syncStateInfo()).acknowledgedCount === 2, 'all is acknowledged');
  ok(await phone.connect(peerFor(hub)));
  await until(async () => (await rowOf(phone, 'hub')).prefixes === undefined, 'all is exchanged');
});

test('both sides have a say, and a key that a peer does not take is not waited for', async (t) => {
  const hub = await openListening(t, 'hub', { ...automatic, prefixes: ['team/'] });
  const phone = await openClient(
    t,
    Object.assign(ClientOptions.memoryOnly('phone'), {
      ...automatic,
      enableTransport: true,
      prefixes: ['team/7/', 'draft/'],
    }),
  );
  ok(await phone.connect(peerFor(hub)));
  const inside = ok(await phone.put('team/7/a', '1'));
  const outside = ok(await phone.put('draft/a', '1'));
  ok(await phone.waitFor(inside.operation, { peer: 'hub' }));
  const outsider = refused(await phone.waitFor(outside.operation, { peer: 'hub' }), 'invalid_state');
  assert.equal(outsider.kind, 'outside_prefixes');
  await lacks(hub, 'draft/a');
  const queued = ok(await phone.outbox({ state: 'queued' }));
  assert.deepEqual(
    queued.map(({ key }) => key),
    ['draft/a'],
  );
});

test('who waits for so many peers is told when too few are left that take the key', async (t) => {
  const a = await openListening(t, 'node-a', { syncIntervalMs: 0 });
  const b = await openListening(t, 'node-b', automatic);
  ok(await a.connect(peerFor(b)));
  const { operation } = ok(await a.put('a/1', '1'));
  const [one, two] = [
    a.waitFor(operation),
    a.waitFor(operation, { count: 2, signal: AbortSignal.timeout(2000) }),
  ];
  ok(await a.connect(towards(b, ['b/'])));
  const error = refused(await one, 'invalid_state', /fewer than 1 of the peers .* It stays here/);
  assert.equal(error.kind, 'too_few_peers');
  // There were never two peers: others may still come.
  assert.equal(refused(await two, 'invalid_state').kind, 'aborted');
  ok(await a.connect(peerFor(b)));
  ok(await a.tick());
  assert.deepEqual(ok(await a.waitFor(operation)).peers, ['node-b']);
});

test('without a common prefix nothing is exchanged, and nothing said to be in sync', async (t) => {
  const a = await openListening(t, 'node-a', { ...automatic, prefixes: ['a/'] });
  const b = await openListening(t, 'node-b', { ...automatic, prefixes: ['b/'] });
  ok(await a.put('a/1', '1'));
  ok(await a.connect(peerFor(b)));
  const row = await rowOf(a, 'node-b');
  assert.deepEqual([row.connected, row.inSync, row.prefixes], [true, false, []]);
  const compared = refused(await a.verify('node-b'), 'invalid_state', /no key is within the prefixes/);
  assert.equal(compared.kind, 'outside_prefixes');
  await lacks(b, 'a/1');
});

test('prefixes of a peer that leave nothing of the own ones are refused', async (t) => {
  const a = await openListening(t, 'node-a', { ...automatic, prefixes: ['a/'] });
  const b = await openListening(t, 'node-b', automatic);
  const error = refused(await a.connect(towards(b, ['b/'])), 'invalid_argument', /no prefix of the peer/);
  assert.equal(error.kind, 'invalid_peer');
});

test('prefixes are copied, frozen, and read back', async (t) => {
  const given = ['a/', 'b/'];
  const options = Object.assign(ClientOptions.memoryOnly('a'), { prefixes: given });
  const client = await openClient(t, options);
  const peer = new Peer('b', '127.0.0.1', 1, { prefixes: given });
  given.push('c/');
  for (const { prefixes } of [client.options(), peer]) {
    assert.ok(Object.isFrozen(prefixes));
  }
  assert.deepEqual(client.options().prefixes, ['a/', 'b/']);
  assert.deepEqual(peer.prefixes, ['a/', 'b/']);
  assert.equal(new ClientOptions().prefixes, undefined);
  assert.equal(new Peer('b', '127.0.0.1', 1).prefixes, undefined);
  assert.ok(new Peer('b', '127.0.0.1', 1, { prefixes: [''] }).isValid());
});

test('prefixes that say nothing clear are refused by name', async (t) => {
  const client = await openClient(t);
  const many = Array.from({ length: 65 }, (_, n) => `${n}/`);
  const heavy = Array.from({ length: 9 }, (_, n) => `${n}`.padEnd(1000, '.'));
  const wrong = [
    ['a/', /must be an array of strings/],
    [[], /must name at least one prefix; leave them out for all keys/],
    [[1], /must be an array of strings/],
    [['\ud800'], /must be valid Unicode text/],
    [many, /must be at most 64/],
    [['x'.repeat(1025)], /must be at most 1024 bytes long each/],
    [heavy, /must be at most 8192 bytes long together/],
    [{}, /must be an array of strings/],
  ];
  for (const [prefixes, message] of wrong) {
    const peer = new Peer('b', '127.0.0.1', 1, { prefixes });
    assert.equal(peer.isValid(), false);
    const ofPeer = refused(await client.connect(peer), 'invalid_argument', message);
    assert.deepEqual([ofPeer.kind, ofPeer.context], ['invalid_peer', 'peer']);
    assert.match(ofPeer.message, /^invalid peer: prefixes /);
    const other = new Client({ nodeId: 'c', prefixes });
    const ofOptions = refused(await other.open(), 'invalid_argument', message);
    assert.match(ofOptions.message, /^invalid configuration: prefixes /);
  }
});

test('an array that is longer than it has entries is refused before it is copied', async (t) => {
  const endless = [];
  endless.length = 2 ** 32 - 1;
  const bytes = new Uint8Array(2 ** 28);
  const open = (options) => new Client({ ...ClientOptions.memoryOnly('a'), ...options }).open();
  const client = await openClient(t, Object.assign(ClientOptions.memoryOnly('b'), { enableTransport: true }));
  const peer = { nodeId: 'b', host: '127.0.0.1', port: 1 };
  for (const [call, message] of [
    [open({ prefixes: endless }), /prefixes must be at most 64$/],
    [open({ allowedPeers: endless }), /allowed peers is not in this version/],
    [open({ ackPolicy: endless }), /ack policy must be/],
    [new Client(new ClientOptions(endless)).open(), /options must be a ClientOptions/],
    [new Client(new ClientOptions(bytes)).open(), /options must be a ClientOptions/],
    [new Client(bytes).open(), /options must be a ClientOptions/],
    [client.connect({ ...peer, prefixes: endless }), /prefixes must be at most 64$/],
    [client.connect(new Peer('b', '127.0.0.1', 1, { prefixes: endless })), /prefixes must be at most 64$/],
    [client.connect(bytes), /peer must be an object/],
    [client.disconnect({ ...peer, prefixes: endless }), /prefixes must be at most 64$/],
    [client.batch(endless), /operations are larger than \d+ bytes together/],
    [client.batch([bytes]), /must be \{ put: key, value \}/],
    [client.tick(bytes), /options must be an object/],
  ]) {
    refused(await call, 'invalid_argument', message);
  }
  assert.throws(() => new NodeInfo({ capabilities: endless }), {
    name: 'TypeError',
    message: /capabilities must be at most 255$/,
  });
  const shown = new Client({ ...ClientOptions.memoryOnly('a'), prefixes: endless }).options();
  assert.equal(shown.prefixes.length, 65);
});
