import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Client, ClientOptions } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

test('a watch gives the changes under its prefix, from its call on', async (t) => {
  const client = await openClient(t);
  ok(await client.put('user/0', 'before'));
  const watch = client.watch('user/');
  ok(await client.put('user/1', 'a'));
  ok(await client.put('other', 'b'));
  ok(await client.remove('user/0'));
  const first = await watch.next();
  const second = await watch.next();
  assert.deepEqual([first.value.key, `${first.value.value}`], ['user/1', 'a']);
  assert.deepEqual([second.value.key, second.value.kind], ['user/0', 'remove']);
  ok(watch.result());
});

test('a watch waits for what comes', async (t) => {
  const client = await openClient(t);
  const watch = client.watch();
  const coming = [watch.next(), watch.next()];
  ok(await client.put('a', '1'));
  ok(await client.put('b', '2'));
  const keys = (await Promise.all(coming)).map(({ value }) => value.key);
  assert.deepEqual(keys, ['a', 'b']);
});

test('a slow reader gets the newest change of each key', async (t) => {
  const client = await openClient(t);
  const watch = client.watch('k');
  const changes = [];
  client.on('change', (change) => changes.push(change));
  const calls = Array.from({ length: 10_000 }, (_, n) => client.put(`k${n % 3}`, `${n}`));
  (await Promise.all(calls)).forEach(ok);
  await until(() => changes.length === 10_000, 'all changes');
  const seen = [];
  for (let n = 0; n < 3; n += 1) seen.push((await watch.next()).value);
  assert.deepEqual(
    seen.map(({ key, value }) => [key, `${value}`]),
    [
      ['k1', '9997'],
      ['k2', '9998'],
      ['k0', '9999'],
    ],
  );
  const next = watch.next();
  ok(await client.put('k1', 'after'));
  assert.equal(`${(await next).value.value}`, 'after');
});

test('several watches see the same changes', async (t) => {
  const client = await openClient(t);
  const watches = [client.watch(''), client.watch('a'), client.watch('b')];
  ok(await client.put('a', '1'));
  assert.equal((await watches[0].next()).value.key, 'a');
  assert.equal((await watches[1].next()).value.key, 'a');
  const waiting = watches[2].next();
  ok(await client.put('b', '1'));
  assert.equal((await waiting).value.key, 'b');
});

test('it ends when the signal aborts', async (t) => {
  const client = await openClient(t);
  const controller = new AbortController();
  const watch = client.watch('', { signal: controller.signal });
  const waiting = watch.next();
  controller.abort();
  assert.equal((await waiting).done, true);
  assert.equal((await watch.next()).done, true);
  ok(watch.result());
  const never = client.watch('', { signal: AbortSignal.abort() });
  ok(await client.put('a', '1'));
  await turn();
  assert.equal((await never.next()).done, true);
});

test('it ends when the client closes, after what was not read yet', async (t) => {
  const client = await openClient(t);
  const watch = client.watch();
  const waiting = client.watch('nothing/').next();
  const keys = [];
  client.on('change', ({ key }) => keys.push(key));
  ok(await client.put('a', '1'));
  await until(() => keys.length === 1, 'the change');
  ok(await client.close());
  assert.equal((await waiting).done, true);
  assert.equal((await watch.next()).value.key, 'a');
  assert.equal((await watch.next()).done, true);
  ok(watch.result());
});

test('it ends when the loop is left', async (t) => {
  const client = await openClient(t);
  const watch = client.watch();
  ok(await client.put('a', '1'));
  for await (const { key } of watch) {
    assert.equal(key, 'a');
    break;
  }
  ok(await client.put('b', '1'));
  assert.equal((await watch.next()).done, true);
});

test('a wrong argument or a closed client throws where the watch is read', async (t) => {
  const client = await openClient(t);
  for (const [prefix, options, message] of [
    [5, undefined, 'prefix must be a string'],
    [null, undefined, 'prefix must be a string'],
    ['\ud800', undefined, /prefix has a lone surrogate/],
    ['x'.repeat(1025), undefined, 'prefix is longer than 1024 bytes'],
    ['', null, 'options must be an object'],
    ['', { signal: 5 }, 'signal must be an AbortSignal'],
    ['', { signal: null }, 'signal must be an AbortSignal'],
    ['', { singal: 5 }, 'unknown option in options: singal (did you mean signal?)'],
  ]) {
    const watch = client.watch(prefix, options);
    await assert.rejects(watch.next(), { code: 'invalid_argument', message });
    assert.ok((await watch.next()).done);
    refused(watch.result(), 'invalid_argument', message);
  }
  const closed = new Client(ClientOptions.local('a')).watch(5);
  await assert.rejects(closed.next(), { message: 'SDK client is not open' });
  refused(closed.result(), 'invalid_state', 'SDK client is not open');
});

test('a signal that cannot be listened to is a wrong argument of every call that takes one', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  const signal = {
    aborted: false,
    addEventListener() {
      throw new Error('no room');
    },
    removeEventListener() {},
  };
  const watch = client.watch('', { signal });
  await assert.rejects(watch.next(), { kind: 'invalid_signal' });
  const results = [
    watch.result(),
    await client.waitFor('all', { signal }),
    await client.verify('b', { signal }),
    await client.backup(path.join(temporaryFolder(t), 'copy.wal'), { signal }),
  ];
  for (const result of results) assert.equal(refused(result, 'invalid_argument').kind, 'invalid_signal');
});

test('one signal may end any number of watches and waits, without a warning of a leak', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  ok(await client.put('a', 'which no peer has'));
  const warnings = [];
  const warned = (warning) => warnings.push(warning.message);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const stop = new AbortController();
  const { signal } = stop;
  const watches = Array.from({ length: 30 }, () => client.watch('', { signal }));
  const waits = Array.from({ length: 30 }, () => client.waitFor('all', { peer: 'b', signal }));
  await watches[0].return();
  await new Promise((resolve) => setImmediate(resolve));
  stop.abort();
  for (const watch of watches) assert.ok((await watch.next()).done);
  for (const wait of waits) assert.equal(refused(await wait, 'invalid_state').kind, 'aborted');
  assert.equal(refused(await client.waitFor('all', { signal }), 'invalid_state').kind, 'aborted');
  assert.deepEqual(warnings, []);
});
