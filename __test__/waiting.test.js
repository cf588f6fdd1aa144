// Delivery of writes: their names, waiting for them, and the outbox.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { ClientOptions, Peer } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { runProgram } from './support/processes.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

const NAME = /^[0-9a-f]{32}-[1-9]\d*$/;

/** True if a promise is still pending after later calls have their answers. */
async function isPending(client, promise) {
  for (let n = 0; n < 5; n += 1) ok(await client.syncStateInfo());
  const pending = Symbol('pending');
  return (await Promise.race([promise, Promise.resolve(pending)])) === pending;
}

async function pair(t, changes) {
  const a = await openListening(t, 'node-a', changes);
  const b = await openListening(t, 'node-b', changes);
  ok(await a.connect(peerFor(b)));
  return [a, b];
}

test('every write has a name, and no two the same', async (t) => {
  const options = loggedOptions(t);
  const names = [];
  for (let opening = 0; opening < 2; opening += 1) {
    const client = await openClient(t, options);
    names.push(ok(await client.put('a', '1')).operation, ok(await client.put('a', '1')).operation);
    names.push(ok(await client.batch([{ put: 'b', value: '1' }, { remove: 'a' }])).operation);
    names.push(ok(await client.remove('b')).operation);
    assert.equal(ok(await client.remove('b')).operation, undefined, 'nothing was written');
    assert.equal(ok(await client.batch([])).operation, undefined);
    assert.equal(ok(await client.batch([{ remove: 'b' }])).operation, undefined);
    ok(await client.close());
  }
  for (const name of names) assert.match(name, NAME);
  assert.equal(new Set(names).size, names.length);
  const authors = names.map((name) => name.split('-')[0]);
  assert.equal(new Set(authors).size, 2, 'one author an opening');
});

test('the result of a write lists what it always did', async (t) => {
  const client = await openClient(t);
  const put = await client.put('a', '1');
  assert.deepEqual(ok(put), { status: 'created', version: 1 });
  assert.equal(ok(put), ok(put), 'it is made once');
  assert.match(put.map((info) => info.operation).value(), NAME);
  assert.match(put.unwrap().operation, NAME);
  assert.match(put.valueOr(undefined).operation, NAME);
});

test('a wait for a removal that wrote nothing says that there is nothing to wait for', async (t) => {
  const client = await openClient(t);
  const { operation } = ok(await client.remove('no/such/key'));
  const { kind, message } = refused(await client.waitFor(operation), 'invalid_argument');
  assert.equal(kind, 'invalid_wait');
  assert.match(message, /nothing was written, so there is nothing to wait for/);
});

test('a wait ends when the peer has it on disk', async (t) => {
  const [a, b] = await pair(t);
  const { operation } = ok(await a.put('key', 'value'));
  const waits = [
    a.waitFor(operation, { peer: 'node-b' }),
    a.waitFor(operation),
    a.waitFor('all', { count: 'all' }),
    a.waitFor('all', { count: 1 }),
  ];
  for (const wait of waits) assert.ok(await isPending(a, wait), 'nothing was ticked');
  ok(await a.tick());
  for (const wait of waits) {
    assert.deepEqual(ok(await wait), { peers: ['node-b'], replaced: false, replacedBy: undefined });
  }
  assert.equal(`${ok(await b.get('key'))}`, 'value');
  assert.deepEqual(ok(await a.waitFor(operation)).peers, ['node-b'], 'also afterwards');
});

test('all means what was asked for before, answered or not', async (t) => {
  const [a, b] = await pair(t, { syncIntervalMs: 20 });
  for (let n = 0; n < 500; n += 1) a.put(`key/${n}`, 'x'.repeat(100));
  ok(await a.waitFor('all', { peer: 'node-b' }));
  assert.equal(b.size(), 500);
});

test('with nothing written there is nothing to wait for', async (t) => {
  const client = await openClient(t);
  assert.deepEqual(ok(await client.waitFor('all', { count: 3 })).peers, []);
});

test('a batch is there as a whole', async (t) => {
  const [a, b] = await pair(t);
  const batch = Array.from({ length: 50 }, (_, n) => ({ put: `key/${n}`, value: 'x' }));
  const { operation } = ok(await a.batch(batch));
  const wait = a.waitFor(operation, { peer: 'node-b' });
  ok(await a.tick());
  ok(await wait);
  assert.equal(b.size(), 50);
});

test('a write that was replaced ends with its successor, and says so', async (t) => {
  const [a] = await pair(t);
  const first = ok(await a.put('key', '1')).operation;
  const before = a.waitFor(first);
  const second = ok(await a.put('key', '2')).operation;
  const after = a.waitFor(first);
  ok(await a.tick());
  for (const wait of [before, after]) {
    assert.deepEqual(ok(await wait), { peers: ['node-b'], replaced: true, replacedBy: second });
  }
});

test('a peer that is not known may still come', async (t) => {
  const a = await openListening(t, 'node-a', { syncIntervalMs: 20 });
  const { operation } = ok(await a.put('key', 'value'));
  const wait = a.waitFor(operation, { peer: 'node-b' });
  assert.ok(await isPending(a, wait));
  const b = await openListening(t, 'node-b');
  ok(await b.connect(peerFor(a)));
  assert.deepEqual(ok(await wait).peers, ['node-b']);
});

test('an abort and a close end it with an error, and nothing is thrown', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  const { operation } = ok(await client.put('key', 'value'));
  const controller = new AbortController();
  const aborted = client.waitFor(operation, { signal: controller.signal });
  const closed = client.waitFor('all', { peer: 'nobody' });
  assert.ok(await isPending(client, aborted));
  controller.abort();
  assert.equal(refused(await aborted, 'invalid_state').kind, 'aborted');
  assert.equal(
    refused(await client.waitFor('all', { signal: AbortSignal.abort() }), 'invalid_state').kind,
    'aborted',
  );
  assert.ok(await isPending(client, closed));
  ok(await client.close());
  assert.equal(refused(await closed, 'invalid_state').kind, 'closed_while_waiting');
});

test('what is no operation of this node is told', async (t) => {
  const [a, b] = await pair(t);
  const own = ok(await a.put('key', 'value')).operation;
  const others = ok(await b.put('other', 'value')).operation;
  const [author] = own.split('-');
  for (const operation of [others, `${author}-99`, `${author}-0`]) {
    assert.equal(refused(await a.waitFor(operation), 'not_found').kind, 'operation_not_found');
  }
  for (const operation of [
    '',
    'node-a-1',
    own.toUpperCase().replace(/-.*/, '-x'),
    `${author}-01`,
    `${own} `,
  ]) {
    assert.equal(refused(await a.waitFor(operation), 'invalid_argument').kind, 'invalid_operation');
  }
  refused(await a.waitFor('all', { peer: 'node-b', count: 1 }), 'invalid_argument', /either peer or count/);
  refused(await a.waitFor('all', { pear: 'node-b' }), 'invalid_argument', /did you mean peer/);
  for (const count of [0, 1.5, '1']) refused(await a.waitFor('all', { count }), 'invalid_argument', /count/);
});

test('very many waits at once', async (t) => {
  const [a] = await pair(t, { syncIntervalMs: 20 });
  const waits = [];
  for (let n = 0; n < 2_000; n += 1) {
    waits.push(a.put(`key/${n}`, 'x').then((put) => a.waitFor(ok(put).operation, { peer: 'node-b' })));
  }
  for (const wait of await Promise.all(waits)) assert.deepEqual(ok(wait).peers, ['node-b']);
});

test('the process stays alive while something is waited for, and no longer', async () => {
  const program = (end) => `
    import { Client, ClientOptions } from '@softadastra/sdk';
    const client = new Client(ClientOptions.memoryOnly('a'));
    await client.open();
    await client.put('key', 'value');
    const controller = new AbortController();
    client.waitFor('all', { signal: controller.signal }).then((result) => console.log(result.error().kind));
    setTimeout(() => { console.log('still here'); ${end} }, 50).unref();
    // Not awaited: only the wait is pending.
  `;
  const ended = await runProgram(['--input-type=module', '-e', program('controller.abort();')], {
    cwd: new URL('..', import.meta.url).pathname,
  });
  assert.deepEqual([ended.code, ended.stdout], [0, 'still here\naborted\n'], ended.stderr);
});

test('the outbox lists what waits, what is under way, what has arrived', async (t) => {
  const a = await openListening(t, 'node-a');
  const { operation } = ok(await a.put('b', '1'));
  ok(await a.put('a', '1'));
  ok(await a.remove('a'));
  ok(await a.put('c', '1'));
  const queued = ok(await a.outbox());
  assert.deepEqual(
    queued.map(({ key, kind, version, state, attempts }) => [key, kind, version, state, attempts]),
    [
      ['b', 'put', 1, 'queued', 0],
      ['a', 'remove', 2, 'queued', 0],
      ['c', 'put', 1, 'queued', 0],
    ],
  );
  assert.equal(queued[0].operation, operation);
  assert.deepEqual(
    [queued[0].nextRetryMs, queued[0].lastError, queued[0].refusals],
    [undefined, undefined, []],
  );
  assert.ok(Object.isFrozen(queued[0]) && Object.isFrozen(queued[0].refusals));
  const pages = [];
  for (let after = 0; ; after = pages.at(-1).position) {
    const page = ok(await a.outbox({ after, limit: 2 }));
    if (page.length === 0) break;
    pages.push(...page);
  }
  assert.deepEqual(pages, queued);
  assert.deepEqual(ok(await a.outbox({ limit: 0 })), []);
  const b = await openListening(t, 'node-b');
  ok(await a.connect(peerFor(b)));
  ok(await a.tick());
  ok(await a.waitFor('all'));
  assert.deepEqual(ok(await a.outbox({ state: 'queued' })), []);
  assert.equal(ok(await a.outbox({ state: 'acknowledged' })).length, 3);
  ok(await a.tick(true));
  assert.deepEqual(ok(await a.outbox()), []);
});

test('a value that a peer refuses says who and why, until it takes it', async (t) => {
  const a = await openListening(t, 'node-a', { syncIntervalMs: 20 });
  const b = await openListening(t, 'node-b', { maxValueBytes: 100 });
  ok(await a.connect(peerFor(b)));
  const { operation } = ok(await a.put('large', 'x'.repeat(1000)));
  ok(await a.put('small', 'x'));
  const [failed] = await until(async () => {
    const entries = ok(await a.outbox({ state: 'failed' }));
    return entries.length === 1 ? entries : undefined;
  }, 'it has failed');
  assert.deepEqual([failed.key, failed.operation], ['large', operation]);
  assert.deepEqual(failed.refusals, [
    { nodeId: 'node-b', reason: 'value_too_large', message: 'the value is larger than the peer accepts' },
  ]);
  assert.match(failed.lastError, /node-b: the value is larger/);
  const state = ok(await a.syncStateInfo());
  assert.deepEqual([state.failedCount, state.peers[0].parked], [1, 1]);
  assert.equal(ok(await a.retryFailed()), 1);
  // Another peer that takes it is enough for the policy; the refusal is still reported.
  const c = await openListening(t, 'node-c');
  ok(await a.connect(peerFor(c)));
  assert.deepEqual(ok(await a.waitFor(operation)).peers, ['node-c']);
  assert.equal(ok(await a.syncStateInfo()).failedCount, 0);
  const [large] = ok(await a.outbox());
  assert.deepEqual([large.key, large.state, large.refusals.length], ['large', 'acknowledged', 1]);
});

test('every known peer has its row, connected or not', async (t) => {
  const [a, b] = await pair(t, { syncIntervalMs: 20 });
  ok(await a.put('key', 'value'));
  ok(await a.waitFor('all'));
  const row = async () => ok(await a.syncStateInfo()).peers.find(({ nodeId }) => nodeId === 'node-b');
  await until(async () => (await row()).inSync, 'both know that they hold the same');
  const near = await until(
    async () => ((await row()).skewMs === undefined ? undefined : row()),
    'it is measured',
  );
  assert.deepEqual(
    [near.state, near.connected, near.durable, near.lagEntries, near.lagBytesEstimate, near.parked],
    ['connected', true, true, 0, 0, 0],
  );
  assert.equal(near.sent, near.acknowledged);
  assert.ok(Math.abs(near.skewMs) < 5_000 && Math.abs(Date.now() - near.lastSeenMs) < 60_000);
  assert.ok(ok(await a.peers())[0].inSync);
  ok(await b.close());
  await until(async () => !(await row()).connected, 'it is gone');
  for (let n = 0; n < 10; n += 1) ok(await a.put(`later/${n}`, 'x'.repeat(100)));
  const away = await row();
  assert.deepEqual([away.connected, away.inSync, away.lagEntries], [false, false, 10]);
  assert.ok(away.lagBytesEstimate > 0 && away.lastSeenMs > 0 && away.skewMs !== undefined);
  assert.ok(!ok(await a.peers())[0].inSync);
  // A peer that was only ever called by its address, and never met.
  const nobody = net.createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const { port } = nobody.address();
  nobody.close();
  await once(nobody, 'close');
  refused(await a.connect(new Peer('node-x', '127.0.0.1', port)), 'transport_error');
  const rows = ok(await a.syncStateInfo()).peers;
  const stranger = rows.find(({ nodeId }) => nodeId === 'node-x');
  assert.deepEqual([stranger.state, stranger.connected, stranger.lagEntries], ['faulted', false, 11]);
});

test('whether memory will do is a matter of the policy', async (t) => {
  for (const [ackPolicy, acknowledged] of [
    ['any', 0],
    [{ count: 'any', memory: true }, 1],
    [{ count: 1, memory: true }, 1],
    [{ memory: true }, 1],
    [{ count: 'all' }, 0],
  ]) {
    const a = await openListening(t, 'node-a', { ackPolicy });
    const options = Object.assign(ClientOptions.memoryOnly('node-m'), { enableTransport: true });
    const b = await openClient(t, options);
    ok(await b.connect(peerFor(a)));
    ok(await a.put('key', 'value'));
    ok(await a.tick());
    await until(async () => ok(await a.syncStateInfo()).peers[0]?.acknowledged > 0, 'it is acknowledged');
    assert.equal(ok(await a.syncStateInfo()).acknowledgedCount, acknowledged, JSON.stringify(ackPolicy));
    const wait = a.waitFor('all');
    // A wait that can end needs one sync of the disk, whatever other calls are made meanwhile.
    if (acknowledged === 0) assert.ok(await isPending(a, wait), JSON.stringify(ackPolicy));
    else ok(await wait);
    ok(await a.close());
    assert.equal((await wait).isOk(), acknowledged === 1);
    ok(await b.close());
  }
});

/** A line to a port that stops carrying data when it is told to. */
async function stoppableWay(t, port) {
  const sockets = [];
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => {});
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const stop = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return { port: server.address().port, stop };
}

test('a peer that never reads costs neither memory nor time', async (t) => {
  const options = Object.assign(ClientOptions.memoryOnly('node-a'), {
    enableTransport: true,
    syncIntervalMs: 20,
  });
  const a = await openClient(t, options);
  const b = await openListening(t, 'node-b');
  const way = await stoppableWay(t, b.options().transportPort);
  ok(await a.connect(new Peer('node-b', '127.0.0.1', way.port)));
  ok(await a.put('first', 'x'));
  await until(() => b.contains('first'), 'they are connected');
  way.stop();
  const value = Buffer.alloc(100_000, 7);
  const write = async (rounds) => {
    for (let round = 0; round < rounds; round += 1) {
      const puts = Array.from({ length: 20 }, (_, n) => a.put(`key/${n}`, value));
      for (const put of await Promise.all(puts)) ok(put);
    }
  };
  await write(10);
  const before = process.memoryUsage().rss;
  // A queue for the peer would hold these 400 MB.
  await write(200);
  assert.ok(process.memoryUsage().rss - before < 150e6, `${process.memoryUsage().rss - before} bytes more`);
  const { peers, outboxSize } = ok(await a.syncStateInfo());
  assert.deepEqual([outboxSize, peers[0].connected, peers[0].inSync], [21, true, false]);
});
