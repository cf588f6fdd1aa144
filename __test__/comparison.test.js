// Comparison of two nodes: `client.verify(peer)`.
import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

const EQUAL = {
  equal: true,
  compared: 100,
  sent: 0,
  received: 0,
  heldBack: 0,
  refused: 0,
  keys: [],
  moreKeys: false,
};

async function pair(t, changes = {}) {
  const b = await openListening(t, 'b', changes);
  const a = await openClient(t, Object.assign(loggedOptions(t, 'a'), { enableTransport: true }));
  ok(await a.connect(peerFor(b)));
  return { a, b, peer: peerFor(b) };
}

async function filledPair(t, changes) {
  const nodes = await pair(t, changes);
  const keys = Array.from({ length: 100 }, (_, number) => `key/${number}`);
  await Promise.all(keys.map((key) => nodes.a.put(key, 'value')));
  ok(await nodes.a.tick());
  ok(await nodes.a.waitFor('all', { peer: 'b' }));
  return nodes;
}

test('two nodes that hold the same are equal, for both of them', async (t) => {
  const { a, b, peer } = await filledPair(t);
  assert.deepEqual(ok(await a.verify(peer)), EQUAL);
  assert.deepEqual(ok(await a.verify('b')), EQUAL);
  assert.deepEqual(ok(await b.verify({ nodeId: 'a' })), EQUAL);
  assert.ok(Object.isFrozen(ok(await a.verify('b'))));
});

test('writes that wait for a tick are held back, and named', async (t) => {
  const { a, b } = await filledPair(t);
  ok(await a.put('later/1', 'x'));
  ok(await a.remove('key/7'));
  const found = ok(await a.verify('b'));
  assert.deepEqual(found, { ...EQUAL, equal: false, compared: 101, heldBack: 2, keys: ['key/7', 'later/1'] });
  assert.equal(ok(await b.verify('a')).equal, false);
  assert.equal(b.contains('later/1'), false);
  ok(await a.tick());
  ok(await a.waitFor('all', { peer: 'b' }));
  assert.deepEqual(ok(await a.verify('b')), { ...EQUAL, compared: 101 });
});

test('a value that the peer does not take is refused, and named', async (t) => {
  const { a, b } = await filledPair(t, { maxValueBytes: 1000 });
  ok(await a.put('large', 'x'.repeat(2000)));
  ok(await a.tick());
  const found = ok(await a.verify('b'));
  assert.deepEqual(found, { ...EQUAL, equal: false, compared: 101, refused: 1, keys: ['large'] });
  assert.equal(b.contains('large'), false);
});

test('writes that arrive meanwhile are lost on nobody', async (t) => {
  const { a, b } = await filledPair(t);
  ok(await a.startSync());
  ok(await b.startSync());
  const asked = [];
  for (let round = 0; round < 20; round += 1) {
    a.put(`a/${round}`, 'x');
    b.put(`b/${round}`, 'x');
    asked.push(a.verify('b'), b.verify('a'));
  }
  for (const answer of asked) ok(await answer);
  await until(async () => ok(await a.verify('b')).equal);
  assert.deepEqual([a.size(), b.size()], [140, 140]);
  assert.deepEqual(ok(await b.verify('a')), { ...EQUAL, compared: 140 });
});

test('nobody, a stranger, and somebody who is not connected', async (t) => {
  const { a, b, peer } = await pair(t);
  assert.equal(refused(await a.verify('c'), 'not_found').kind, 'peer_not_found');
  refused(await a.verify(''), 'invalid_argument');
  refused(await a.verify({ nodeId: 5 }), 'invalid_argument');
  refused(await a.verify('b', { signal: 'soon' }), 'invalid_argument');
  refused(await a.verify('b', { sgnal: undefined }), 'invalid_argument', /did you mean signal/);
  ok(await a.disconnect(peer));
  const error = refused(await a.verify('b'), 'transport_error');
  assert.deepEqual([error.kind, error.retryable, error.context], ['peer_not_connected', true, 'b']);
  await until(async () => (await b.verify('a')).isErr());
});

test('an abort, a peer that goes away, and closing end it', async (t) => {
  // A line between the two: the comparison waits for data that does not come through.
  const b = await openListening(t, 'b');
  const { port: target } = peerFor(b);
  const sockets = [];
  const proxy = net.createServer((near) => {
    const far = net.connect(target, '127.0.0.1');
    near.pipe(far).pipe(near);
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => {});
  });
  t.after(() => proxy.close());
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const a = await openClient(t, Object.assign(loggedOptions(t, 'a'), { enableTransport: true }));
  ok(await a.put('a', '1'));
  ok(await a.connect({ nodeId: 'b', host: '127.0.0.1', port: proxy.address().port }));
  ok(await a.verify('b'));

  const [near, far] = sockets;
  near.unpipe(far);
  far.unpipe(near);
  near.pause();
  far.pause();
  const stopped = new AbortController();
  const answers = [a.verify('b', { signal: stopped.signal }), a.verify('b')];
  stopped.abort();
  assert.equal(refused(await answers[0], 'invalid_state').kind, 'aborted');
  assert.equal(refused(await a.verify('b', { signal: stopped.signal }), 'invalid_state').kind, 'aborted');
  for (const socket of sockets) socket.destroy();
  assert.equal(refused(await answers[1], 'transport_error').kind, 'connection_lost');

  let found = await a.verify('b');
  await until(async () => {
    found = await a.verify('b');
    return found.isOk();
  });
  for (const socket of sockets.slice(2)) {
    socket.unpipe();
    socket.pause();
  }
  const last = a.verify('b');
  await new Promise((resolve) => setImmediate(resolve));
  ok(await a.close());
  assert.ok(
    ['closed_while_waiting', 'outcome_unknown', 'connection_lost'].includes((await last).error().kind),
  );
});
