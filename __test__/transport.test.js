import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { ClientOptions, NodeInfo, Peer } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

/** A port of loopback on which nothing listens. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** A server that is not a node: `greet` handles its connections. */
async function stranger(t, greet) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    greet(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return server.address().port;
}

const transporting = (t) => Object.assign(loggedOptions(t), { enableTransport: true });

test('opening starts nothing', async (t) => {
  const client = await openClient(t, Object.assign(transporting(t), { enableDiscovery: true }));
  assert.deepEqual([client.transportRunning(), client.discoveryRunning()], [false, false]);
});

test('a transport that is disabled says so', async (t) => {
  const client = await openClient(t);
  const disabled = /^transport is disabled: set enableTransport/;
  refused(await client.startTransport(), 'transport_error', disabled);
  refused(await client.connect(Peer.local('b', 4042)), 'transport_error', disabled);
  ok(await client.stopTransport());
  assert.equal(client.transportRunning(), false);
  assert.deepEqual(ok(await client.peers()), []);
});

test('a transport starts, stops and starts again', async (t) => {
  const client = await openClient(t, transporting(t));
  ok(await client.startTransport());
  ok(await client.startTransport());
  assert.equal(client.transportRunning(), true);
  const { transportPort } = client.options();
  assert.ok(transportPort > 0);
  ok(await client.stopTransport());
  ok(await client.stopTransport());
  assert.equal(client.transportRunning(), false);
  assert.equal(client.options().transportPort, 0);
  ok(await client.start_transport());
  assert.equal(client.transport_running(), true);
  ok(await client.close());
  assert.equal(client.transportRunning(), false);
});

test('a busy port is an error that names it, and local work goes on', async (t) => {
  const first = await openListening(t, 'node-a');
  const { transportPort } = first.options();
  const second = await openClient(t, Object.assign(transporting(t), { transportPort }));
  refused(
    await second.startTransport(),
    'transport_error',
    `failed to start transport: port already in use (127.0.0.1:${transportPort})`,
  );
  assert.equal(second.transportRunning(), false);
  ok(await second.put('a', '1'));
  ok(await first.stopTransport());
  ok(await second.startTransport());
});

test('a peer that is not there refuses, and the write stays', async (t) => {
  const client = await openClient(t, transporting(t));
  ok(await client.startTransport());
  const port = await freePort();
  const error = refused(
    await client.connect(Peer.local('node-b', port)),
    'transport_error',
    `connection refused (127.0.0.1:${port})`,
  );
  assert.equal(error.context, `127.0.0.1:${port}`);
  assert.deepEqual([error.retryable, error.localStateValid], [true, true]);
  ok(await client.put('message/1', 'hello'));
  const tick = ok(await client.tick());
  assert.deepEqual([tick.retriedCount, tick.prunedCount, tick.batchSize], [0, 0, 1]);
  const state = ok(await client.syncStateInfo());
  assert.deepEqual(
    [
      state.outboxSize,
      state.queuedCount,
      state.inFlightCount,
      state.acknowledgedCount,
      state.failedCount,
      state.totalRetries,
    ],
    [1, 1, 0, 0, 0, 0],
  );
  assert.equal(`${ok(await client.get('message/1'))}`, 'hello');
  assert.equal(client.transportRunning(), true);
});

test('dialling needs no listener of its own', async (t) => {
  const b = await openListening(t, 'node-b');
  const a = await openClient(t, Object.assign(transporting(t), { nodeId: 'node-a' }));
  ok(await a.connect(peerFor(b)));
  ok(await a.connect(peerFor(b)));
  ok(await a.put('a', '1'));
  ok(await a.tick());
  await until(() => b.contains('a'), 'it arrives');
});

test('a peer that is somebody else is refused, naming both', async (t) => {
  const b = await openListening(t, 'node-b');
  const a = await openListening(t, 'node-a');
  const { host, port } = peerFor(b);
  const error = refused(await a.connect(new Peer('node-x', host, port)), 'transport_error');
  assert.match(error.message, /node-b/);
  assert.match(error.message, /node-x/);
});

test('peers show who is connected, and disconnect ends it', async (t) => {
  const a = await openListening(t, 'node-a');
  const b = await openListening(t, 'node-b');
  const events = [];
  a.on('peer', (event) => events.push(event));
  ok(await a.connect(peerFor(b)));
  const [peer] = ok(await a.peers());
  assert.ok(peer instanceof Peer && peer.isValid() && peer.isLocalhost());
  assert.deepEqual([peer.nodeId, peer.state, peer.port], ['node-b', 'connected', b.options().transportPort]);
  await until(
    async () => ok(await b.peers()).some(({ nodeId, state }) => nodeId === 'node-a' && state === 'connected'),
    'b sees a',
  );
  await until(
    () => events.some(({ nodeId, state }) => nodeId === 'node-b' && state === 'connected'),
    'the event',
  );
  ok(await a.disconnect(peerFor(b)));
  ok(await a.disconnect(peerFor(b)));
  await until(async () => ok(await a.peers()).every(({ state }) => state !== 'connected'), 'a let go');
  await until(async () => ok(await b.peers()).every(({ state }) => state !== 'connected'), 'b noticed');
});

test('a peer that is none is refused by name', async (t) => {
  const client = await openClient(t, transporting(t));
  for (const peer of [
    undefined,
    null,
    5,
    'node-b',
    {},
    new Peer(),
    new Peer('', '127.0.0.1', 4042),
    new Peer('b', '', 4042),
    new Peer('b', '127.0.0.1', 0),
    new Peer('b', '127.0.0.1', 65536),
    new Peer('b', '127.0.0.1', '4042'),
    new Peer('b\ud800', '127.0.0.1', 4042),
  ]) {
    for (const call of [client.connect(peer), client.disconnect(peer)]) {
      refused(await call, 'invalid_argument', /^invalid peer: /);
    }
    if (peer instanceof Peer) assert.equal(peer.isValid(), false);
  }
});

test('another host than this machine is refused, with what can be set in this version', async (t) => {
  const away = Object.assign(transporting(t), { transportHost: '0.0.0.0' });
  const client = await openClient(t, away).catch((error) => error);
  const result = client instanceof Error ? client : await client.startTransport();
  const message = result instanceof Error ? result.message : result.error().message;
  assert.match(message, /^host 0\.0\.0\.0 is not this machine.*allowInsecure/);
  assert.doesNotMatch(message, /networkKey/);
});

test('a stranger that talks garbage is dropped, and local work goes on', async (t) => {
  const client = await openClient(t, transporting(t));
  ok(await client.startTransport());
  for (const greet of [
    (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    (socket) => socket.write(Buffer.alloc(64, 0xff)),
    (socket) => socket.destroy(),
  ]) {
    const port = await stranger(t, greet);
    refused(await client.connect(Peer.local('node-b', port)), 'transport_error');
  }
  ok(await client.put('a', '1'));
});

test('garbage into the listening port is dropped, and peers still get through', async (t) => {
  const b = await openListening(t, 'node-b');
  const { port } = peerFor(b);
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
    Buffer.alloc(200_000, 0xff),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 1, 2, 3]),
    Buffer.alloc(64),
  ]) {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(bytes);
    const closed = once(socket, 'close');
    socket.resume();
    await until(
      () => Promise.race([closed.then(() => true), Promise.resolve(socket.destroyed)]),
      'it is dropped',
    );
  }
  const a = await openListening(t, 'node-a');
  ok(await a.connect(peerFor(b)));
  ok(await a.put('a', '1'));
  ok(await a.tick());
  await until(() => b.contains('a'), 'it arrives');
});

test('discovery that is disabled says so, and otherwise that it is not here yet', async (t) => {
  const client = await openClient(t);
  refused(await client.startDiscovery(), 'discovery_error', 'discovery is disabled');
  ok(await client.stopDiscovery());
  const enabled = await openClient(
    t,
    Object.assign(ClientOptions.memoryOnly('b'), { enableDiscovery: true }),
  );
  const error = refused(await enabled.startDiscovery(), 'discovery_error');
  assert.notEqual(error.message, 'discovery is disabled');
  ok(await enabled.stopDiscovery());
  assert.equal(enabled.discoveryRunning(), false);
  assert.deepEqual(ok(await enabled.peers()), []);
});

test('a node describes itself', async (t) => {
  const options = Object.assign(ClientOptions.local('node-metadata'), {
    displayName: 'Shop',
    version: '2.3.4',
  });
  const client = await openClient(t, options);
  const info = ok(await client.refreshNodeInfo());
  assert.ok(info instanceof NodeInfo);
  assert.deepEqual(
    [info.nodeId, info.displayName, info.version, info.label()],
    ['node-metadata', 'Shop', '2.3.4', 'Shop'],
  );
  assert.ok(info.hostname.length > 0);
  const names = { linux: 'linux', darwin: 'macos', win32: 'windows' };
  assert.equal(info.osName, names[process.platform] ?? info.osName);
  assert.deepEqual(info.capabilities, ['core', 'store', 'sync', 'metadata']);
  assert.ok(info.hasCapability('store') && !info.hasCapability('wal'));
  assert.ok(Math.abs(Date.now() - info.startedAtMs) < 60_000);
  const earlier = info.uptime_ms();
  await until(() => info.uptimeMs() > earlier, 'time passes');
});

test('a description of a node is kept until it is refreshed, and until it is closed', async (t) => {
  const client = await openClient(t, ClientOptions.local('kept'));
  const first = ok(await client.nodeInfo());
  assert.equal(ok(await client.nodeInfo()), first);
  const second = ok(await client.refreshNodeInfo());
  assert.notEqual(second, first);
  assert.equal(ok(await client.nodeInfo()), second);
  ok(await client.close());
  assert.equal((await client.nodeInfo()).error().codeString(), 'invalid_state');
  ok(await client.open());
  assert.notEqual(ok(await client.nodeInfo()), second);
});

test('capabilities are the features that are on, in order', async (t) => {
  const client = await openClient(t, Object.assign(transporting(t), { enableDiscovery: true }));
  const { capabilities } = ok(await client.nodeInfo());
  assert.deepEqual(capabilities.slice(0, 5), ['core', 'wal', 'store', 'sync', 'transport']);
  assert.equal(capabilities.at(-1), 'metadata');
});
