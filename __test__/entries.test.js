import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientOptions, Key, Value } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

async function all(entries) {
  const found = [];
  for await (const entry of entries) found.push(entry);
  ok(entries.result());
  return found;
}

const keysOf = async (entries) => (await all(entries)).map(({ key }) => key);

async function filled(t, keys) {
  const client = await openClient(t);
  for (const key of keys) ok(await client.put(key, `value of ${key}`));
  return client;
}

test('entries come in the order of the bytes of their keys', async (t) => {
  const keys = ['b', 'a', 'a/2', 'a/10', 'B', '~', 'é', 'z', '\uffee', '🌍', 'a\0', '0'];
  const client = await filled(t, keys);
  const sorted = [...keys].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
  const found = await all(client.entries());
  assert.deepEqual(
    found.map(({ key }) => key),
    sorted,
  );
  for (const { key, value, version } of found) {
    assert.ok(value instanceof Value);
    assert.equal(`${value}`, `value of ${key}`);
    assert.equal(version, 1);
  }
});

test('prefix, after and limit narrow it', async (t) => {
  const client = await filled(t, ['a', 'user/1', 'user/2', 'user/3', 'users', 'z']);
  assert.deepEqual(await keysOf(client.entries({ prefix: 'user/' })), ['user/1', 'user/2', 'user/3']);
  assert.deepEqual(await keysOf(client.entries({ prefix: 'user' })), ['user/1', 'user/2', 'user/3', 'users']);
  assert.deepEqual(await keysOf(client.entries({ prefix: 'user/', after: 'user/1' })), ['user/2', 'user/3']);
  assert.deepEqual(await keysOf(client.entries({ after: new Key('user/25'), limit: 2 })), [
    'user/3',
    'users',
  ]);
  assert.deepEqual(await keysOf(client.entries({ limit: 2 })), ['a', 'user/1']);
  assert.deepEqual(await keysOf(client.entries({ limit: 0 })), []);
  assert.deepEqual(await keysOf(client.entries({ prefix: '', after: '' })), await keysOf(client.entries()));
  assert.deepEqual(await keysOf(client.entries({ prefix: 'nothing' })), []);
  assert.deepEqual(await keysOf(client.entries({ prefix: 'b', after: 'z' })), []);
  assert.deepEqual(await keysOf(client.entries({ prefix: 'user/', after: 'a' })), [
    'user/1',
    'user/2',
    'user/3',
  ]);
});

test('a long listing is complete, whatever the sizes of its values', async (t) => {
  const client = await openClient(t);
  const calls = [];
  for (let n = 0; n < 10_000; n += 1)
    calls.push(client.put(`k${`${n}`.padStart(5, '0')}`, 'x'.repeat(n % 50)));
  for (let n = 0; n < 20; n += 1) calls.push(client.put(`k05000/${n}`, Buffer.alloc(300_000, n)));
  (await Promise.all(calls)).forEach(ok);
  const keys = await keysOf(client.entries());
  assert.equal(keys.length, 10_020);
  assert.equal(new Set(keys).size, 10_020);
  assert.equal(keys[5001].startsWith('k05000/'), true);
});

test('a listing shows what was there when it was asked for', async (t) => {
  const keys = Array.from({ length: 3000 }, (_, n) => `k${`${n}`.padStart(4, '0')}`);
  const client = await openClient(t);
  (await Promise.all(keys.map((key) => client.put(key, 'old')))).forEach(ok);
  const entries = client.entries();
  const seen = [];
  for await (const { key, value } of entries) {
    assert.equal(`${value}`, 'old');
    seen.push(key);
    if (seen.length === 10) {
      (await Promise.all(keys.map((name) => client.put(name, 'new')))).forEach(ok);
      ok(await client.remove('k2999'));
      ok(await client.put('k2998b', 'added'));
    }
  }
  assert.deepEqual(seen, keys);
});

test('leaving the loop early ends the listing', async (t) => {
  const client = await filled(t, ['a', 'b', 'c']);
  const entries = client.entries();
  for await (const { key } of entries) if (key === 'b') break;
  assert.deepEqual(await entries.next(), { value: undefined, done: true });
  ok(entries.result());
});

test('an unread listing does not stop the client from closing', async (t) => {
  const client = await filled(t, ['a', 'b']);
  client.entries();
  ok(await client.close());
});

test('a listing that is cut off by close throws where it is read', async (t) => {
  const client = await openClient(t);
  const calls = Array.from({ length: 5000 }, (_, n) => client.put(`k${n}`, 'x'));
  (await Promise.all(calls)).forEach(ok);
  const entries = client.entries();
  let seen = 0;
  const reading = async () => {
    for await (const _ of entries) {
      seen += 1;
      if (seen === 3) ok(await client.close());
    }
  };
  await assert.rejects(reading(), { code: 'invalid_state', message: 'SDK client is not open' });
  assert.ok((await entries.next()).done, 'and has ended');
  assert.ok(seen < 5000);
  refused(entries.result(), 'invalid_state', 'SDK client is not open');
});

test('a wrong argument or a closed client throws where the listing is read', async (t) => {
  const client = await filled(t, ['a']);
  for (const [options, message] of [
    [{ prefix: 5 }, 'prefix must be a string'],
    [{ prefix: '\ud800' }, /prefix has a lone surrogate/],
    [{ prefix: null }, 'prefix must be a string'],
    [{ after: 5 }, 'after must be a string'],
    [{ limit: -1 }, /limit must be a whole number from 0/],
    [{ limit: 1.5 }, /limit must be/],
    [{ limit: '5' }, /limit must be/],
    [{ limti: 5 }, 'unknown option in options: limti (did you mean limit?)'],
    [null, 'options must be an object'],
    ['a', "options must be an object, such as { prefix: 'a' }"],
    [[], 'options must be an object'],
    [
      {
        get prefix() {
          throw new Error('boo');
        },
      },
      'options could not be read: boo',
    ],
  ]) {
    const entries = client.entries(options);
    await assert.rejects(entries.next(), { code: 'invalid_argument', message });
    assert.ok((await entries.next()).done);
    refused(entries.result(), 'invalid_argument', message);
  }
  const closed = new Client(ClientOptions.local('a')).entries({ limit: -1 });
  await assert.rejects(closed.next(), { message: 'SDK client is not open' });
  refused(closed.result(), 'invalid_state', 'SDK client is not open');
});

test('a listing that is closed is at its end', async (t) => {
  const client = await filled(t, ['a', 'b', 'c']);
  const entries = client.entries();
  assert.equal((await entries.next()).value.key, 'a');
  entries.close();
  entries.close();
  assert.deepEqual(await entries.next(), { value: undefined, done: true });
  ok(entries.result());
  if (Symbol.asyncDispose === undefined) return;
  for (const iteration of [client.entries(), client.watch()]) {
    await iteration[Symbol.asyncDispose]();
    assert.ok((await iteration.next()).done);
  }
});

test('listings that nobody holds any more are collected, because what they keep weighs', async (t) => {
  const client = await openClient(t);
  const keys = Array.from({ length: 100 }, (_, n) => `k${n}`);
  // A constant value, so that only the listings give the garbage collector a reason to run.
  const value = Buffer.alloc(100_000, 255);
  const fill = async () => (await Promise.all(keys.map((key) => client.put(key, value)))).forEach(ok);
  await fill();
  const listings = [];
  for (let round = 0; round < 40; round += 1) {
    listings.push(new WeakRef(client.entries()));
    await fill();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const held = listings.filter((listing) => listing.deref() !== undefined);
  assert.ok(held.length < 30, `${held.length} of ${listings.length} are still there`);
});

test('readers of one state all see it, however much is overwritten', async (t) => {
  const client = await filled(t, ['a', 'b', 'c', 'd']);
  const readers = Array.from({ length: 20 }, () => client.entries());
  for (const text of ['x', 'y']) {
    for (const key of ['a', 'b', 'c', 'e']) ok(await client.put(key, text));
    readers.push(client.entries());
  }
  ok(await client.remove('d'));
  for (const [place, reader] of readers.entries()) {
    const found = (await all(reader)).map(({ key, value }) => `${key}: ${value}`).join();
    const first = 'a: value of a,b: value of b,c: value of c,d: value of d';
    const later = (text) => `a: ${text},b: ${text},c: ${text},d: value of d,e: ${text}`;
    assert.equal(found, place < 20 ? first : later(place === 20 ? 'x' : 'y'));
  }
});

test('the first entry behind many that were removed is found, before and after a checkpoint', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  const keys = Array.from({ length: 30_000 }, (_, n) => `job/${`${n}`.padStart(9, '0')}`);
  const first = async () => (await keysOf(client.entries({ prefix: 'job/', limit: 1 })))[0];
  (await Promise.all(keys.map((key) => client.put(key, 'x')))).forEach(ok);
  ok(await client.compact());
  assert.equal(await first(), keys[0]);
  (await Promise.all(keys.slice(0, -1).map((key) => client.remove(key)))).forEach(ok);
  assert.equal(await first(), keys.at(-1));
  ok(await client.compact());
  assert.equal(await first(), keys.at(-1));
  assert.deepEqual(await keysOf(client.entries({ prefix: 'job/', after: keys.at(-1) })), []);
  ok(await client.put('job/000000007', 'back'));
  assert.deepEqual(await keysOf(client.entries()), ['job/000000007', keys.at(-1)]);
});
