import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers';
import { Client, ClientOptions, verify } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { ok } from './support/results.js';

/** Far more calls than fit into a few milliseconds. */
const CALLS_MAX = 1_000_000;

/** Awaits calls one after another until the event loop has turned three times; fails if it does not. */
async function givesWay(name, call) {
  let turns = 0;
  let pending = setImmediate(function turned() {
    turns += 1;
    pending = setImmediate(turned);
  });
  for (let calls = 0; turns < 3 && calls < CALLS_MAX; calls += 1) await call();
  clearImmediate(pending);
  assert.equal(turns, 3, `${name} keeps the event loop from going round`);
}

test('calls that have their answer at once give way to the event loop', async (t) => {
  const client = await openClient(t);
  ok(await client.put('key', 'value'));
  ok(await client.put('bytes', Buffer.alloc(100, 255)));
  const closed = new Client(ClientOptions.local('closed'));
  const calls = {
    get: () => client.get('key'),
    'get of bytes': () => client.get('bytes'),
    'get of nothing': () => client.get('nothing'),
    'get of no key': () => client.get(7),
    'get with too much': () => client.get('key', 1),
    'get on a closed client': () => closed.get('key'),
    'put that is refused': () => client.put('', 'value'),
    'remove that is refused': () => client.remove(''),
    'batch of nothing': () => client.batch([]),
    'batch that is refused': () => client.batch(7),
    'call with too much': () => client.stats(1),
    'open of an open client': () => client.open(),
    'close of a closed client': () => closed.close(),
    'conflict of no key': () => client.conflict(7),
    'outbox that is refused': () => client.outbox({ limit: -1 }),
    'verify of no path': () => verify(7),
    'a listing of nothing': () => client.entries({ limit: 0 }).next(),
    'a listing that is left': () => client.entries().return(),
  };
  for (const [name, call] of Object.entries(calls)) await givesWay(name, call);
});

test('a listing gives way to the event loop', async (t) => {
  const client = await openClient(t);
  const keys = Array.from({ length: 1000 }, (_, n) => `k${n}`);
  (await Promise.all(keys.map((key) => client.put(key, 'value')))).forEach(ok);
  let entries = client.entries();
  await givesWay('entries', async () => {
    const { done } = await entries.next();
    if (done) entries = client.entries();
  });
  await givesWay('the first entry', async () => {
    for await (const _ of client.entries({ limit: 1 }));
  });
});

test('a watch with much to read gives way to the event loop', async (t) => {
  const client = await openClient(t);
  const watch = client.watch();
  const keys = Array.from({ length: 300_000 }, (_, n) => `k${n}`);
  for (let from = 0; from < keys.length; from += 10_000) {
    (await Promise.all(keys.slice(from, from + 10_000).map((key) => client.put(key, 'v')))).forEach(ok);
  }
  await givesWay('watch', () => watch.next());
  watch.close();
});

test('answers that were held back come in the order of the calls', async (t) => {
  const client = await openClient(t);
  for (let n = 0; n < 10; n += 1) ok(await client.put(`k${n}`, `${n}`));
  const order = [];
  const asked = [];
  for (let round = 0; round < 3000; round += 1) {
    const call = asked.length;
    asked.push(client.get(`k${round % 10}`).then(() => order.push(call)));
  }
  await Promise.all(asked);
  assert.deepEqual(
    order,
    asked.map((_, call) => call),
  );
});

test('an answer that is held back is what was there at the call', async (t) => {
  const client = await openClient(t);
  ok(await client.put('key', 'old'));
  const early = Array.from({ length: 20_000 }, () => client.get('key'));
  ok(await client.put('key', 'new'));
  for (const result of await Promise.all(early)) assert.equal(`${ok(result)}`, 'old');
});
