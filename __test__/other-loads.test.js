// A second load of the package in one process, as test runners and reloading servers make one.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Key, Value } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

const require = createRequire(import.meta.url);

/** The package with classes of its own. */
function loadAgain() {
  const file = require.resolve('@softadastra/sdk');
  const folder = file.slice(0, -'index.js'.length);
  for (const name of Object.keys(require.cache)) if (name.startsWith(folder)) delete require.cache[name];
  return require('@softadastra/sdk');
}

const again = loadAgain();
const bytes = Uint8Array.from([0xff, 0, 0xfe]);

test('values and keys of another load of the package are taken as its own', async (t) => {
  assert.notEqual(again.Value, Value);
  const client = await openClient(t);
  for (const content of ['text', bytes]) {
    const value = new again.Value(content);
    ok(await client.put(new again.Key('a'), value));
    ok(await client.batch([{ put: new again.Key('b'), value }, { remove: new again.Key('c') }]));
    for (const key of ['a', new again.Key('b')]) assert.ok(ok(await client.get(key)).equals(content));
    assert.ok(client.contains(new again.Key('a')));
    assert.ok(new Value(value).isValid() && new Value(value).equals(content));
    assert.ok(new Value(content).equals(value) && value.equals(new Value(content)));
    assert.ok(isDeepStrictEqual(new Value(value), new Value(content)));
  }
  assert.ok(new Key('a').equals(new again.Key('a')) && new Key(new again.Key('a')).isValid());
  const keys = [];
  for await (const { key } of client.entries({ after: new again.Key('a') })) keys.push(key);
  assert.deepEqual(keys, ['b']);
  ok(await client.remove(new again.Key('a')));
  refused(await client.conflict(new again.Key('b')), 'not_found');
});

test('what only looks like a value or a key of another load is refused', async (t) => {
  const client = await openClient(t);
  const [VALUE, KEY] = ['Value', 'Key'].map((name) => Symbol.for(`@softadastra/sdk.${name}`));
  const boo = () => {
    throw new Error('boo');
  };
  for (const shown of [{ version: 2, content: 'x' }, { version: 1, content: 5 }, { version: 1 }, null, 'x']) {
    refused(await client.put('key', { [VALUE]: shown }), 'invalid_argument', /must be a string, a Value/);
    refused(await client.get({ [KEY]: shown }), 'invalid_argument', 'key must be a string');
  }
  refused(await client.put('key', Object.defineProperty({}, VALUE, { get: boo })), 'invalid_argument');
  refused(await client.get(Object.defineProperty({}, KEY, { get: boo })), 'invalid_argument');
  refused(await client.put('key', new again.Value(undefined)), 'invalid_argument');
  refused(await client.put(new again.Value('key'), 'x'), 'invalid_argument', 'key must be a string');
});
