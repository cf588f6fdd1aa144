import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Key, Value } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

test('a batch writes and removes', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  ok(await client.put('old', 'x'));
  const operations = [
    { put: 'text', value: 'a' },
    { put: new Key('value'), value: Value.fromString('b') },
    { put: 'bytes', value: new Uint8Array([1]) },
    { remove: 'old' },
    { remove: new Key('never') },
    { put: 'text', value: 'later' },
  ];
  assert.deepEqual(ok(await client.batch(operations)), { count: 6 });
  assert.deepEqual(ok(await client.batch([])), { count: 0 });
  ok(await client.close());
  const again = await openClient(t, options);
  assert.equal(again.size(), 3);
  assert.equal(`${ok(await again.get('text'))}`, 'later');
});

test('a batch with one wrong operation changes nothing, and says which', async (t) => {
  const client = await openClient(t);
  const good = { put: 'a', value: '1' };
  for (const [wrong, message] of [
    [{ put: '', value: 'x' }, 'operations[1]: key cannot be empty'],
    [{ put: 5, value: 'x' }, 'operations[1]: key must be a string'],
    [{ remove: 'x'.repeat(1025) }, 'operations[1]: key is longer than 1024 bytes'],
    [{ remove: undefined }, 'operations[1]: key must be a string'],
    [{ put: 'a', value: null }, 'operations[1]: value must be a string, a Value or a Uint8Array'],
    [{ put: 'a', value: '\ud800' }, /^operations\[1\]: value has a lone surrogate/],
    [{ put: 'a' }, 'operations[1] must be { put: key, value } or { remove: key }'],
    [{ put: 'a', value: 'x', remove: 'b' }, /^operations\[1\] must be/],
    [{ delete: 'a' }, /^operations\[1\] must be/],
    [{}, /^operations\[1\] must be/],
    [null, /^operations\[1\] must be/],
    ['a', /^operations\[1\] must be/],
    [undefined, /^operations\[1\] must be/],
  ]) {
    refused(await client.batch([good, wrong, good]), 'invalid_argument', message);
  }
  for (const wrong of [undefined, null, 'a', {}, 5, new Set([good])]) {
    refused(await client.batch(wrong), 'invalid_argument', 'operations must be an array');
  }
  assert.equal(client.size(), 0);
});

test('a batch of more than 8 MiB is refused', async (t) => {
  const client = await openClient(t);
  const value = Buffer.alloc(1 << 20);
  const operations = Array.from({ length: 9 }, (_, n) => ({ put: `k${n}`, value }));
  refused(await client.batch(operations), 'invalid_argument', /^operations are larger than 8388608 bytes/);
  assert.equal(client.size(), 0);
  ok(await client.batch(operations.slice(0, 7)));
  assert.equal(client.size(), 7);
});

test('batches and single writes keep their order', async (t) => {
  const client = await openClient(t);
  const calls = [];
  for (let n = 0; n < 300; n += 1) {
    calls.push(client.put('a', `single ${n}`));
    calls.push(
      client.batch([
        { put: 'a', value: `batch ${n}` },
        { remove: `b${n - 1}` },
        { put: `b${n}`, value: 'x' },
      ]),
    );
  }
  for (const result of await Promise.all(calls)) ok(result);
  assert.equal(`${ok(await client.get('a'))}`, 'batch 299');
  assert.equal(client.size(), 2);
});
