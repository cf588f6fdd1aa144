import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientOptions, Key, Value } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

test('a write is created, updated, unchanged, and counts its versions', async (t) => {
  const client = await openClient(t);
  assert.deepEqual(ok(await client.put('a', '1')), { status: 'created', version: 1 });
  assert.deepEqual(ok(await client.put('a', '2')), { status: 'updated', version: 2 });
  assert.deepEqual(ok(await client.put('a', '2')), { status: 'unchanged', version: 3 });
  assert.equal(`${ok(await client.get('a'))}`, '2');
  assert.equal(client.size(), 1);
});

test('who awaits one write after another does not keep the event loop from others', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  let sinceTurn = 0;
  let longest = 0;
  let next = setImmediate(function turn() {
    sinceTurn = 0;
    next = setImmediate(turn);
  });
  t.after(() => clearImmediate(next));
  let last = 0;
  for (let version = 1; version <= 4_000; version += 1) {
    const written = ok(await client.put('a', `${version}`));
    const sequence = Number(written.operation.split('-').at(-1));
    assert.equal(written.version, version);
    assert.ok(sequence > last, `${written.operation} after ${last}`);
    last = sequence;
    sinceTurn += 1;
    longest = Math.max(longest, sinceTurn);
  }
  // No disk makes more writes durable in the millisecond after which the event loop has to turn.
  assert.ok(longest < 60, `${longest} writes in one turn`);
});

test('lone writes and bursts are committed in the order of calls', async (t) => {
  const client = await openClient(t, loggedOptions(t));
  let version = 0;
  for (let round = 0; round < 200; round += 1) {
    version += 1;
    assert.equal(ok(await client.put('a', 'alone')).version, version);
    const burst = await Promise.all([client.put('a', '1'), client.put('a', '2'), client.put('a', '3')]);
    assert.deepEqual(
      burst.map((result) => ok(result).version),
      [version + 1, version + 2, version + 3],
    );
    version += 3;
    const first = client.put('a', 'first');
    const second = new Promise((resolve) => setImmediate(() => resolve(client.put('a', 'second'))));
    assert.deepEqual([ok(await first).version, ok(await second).version], [version + 1, version + 2]);
    version += 2;
  }
  assert.equal(`${ok(await client.get('a'))}`, 'second');
});

test('removing says whether there was a value', async (t) => {
  const client = await openClient(t);
  ok(await client.put('a', '1'));
  assert.deepEqual(ok(await client.remove('a')), { removed: true });
  assert.deepEqual(ok(await client.remove('a')), { removed: false });
  assert.deepEqual(ok(await client.remove('never')), { removed: false });
  assert.ok(!client.contains('a') && client.empty());
  const error = refused(await client.get('a'), 'not_found', 'key not found: a');
  assert.equal(error.context, 'a');
  assert.deepEqual([error.hasContext(), error.retryable, error.localStateValid], [true, false, true]);
  assert.equal(ok(await client.put('a', '3')).status, 'created');
});

test('a key that is missing is removed without an operation', async (t) => {
  const client = await openClient(t);
  ok(await client.put('a', '1'));
  const before = ok(await client.syncStateInfo());
  ok(await client.remove('b'));
  const after = ok(await client.syncStateInfo());
  assert.equal(after.outboxSize, before.outboxSize);
  assert.equal(after.lastSubmittedVersion, before.lastSubmittedVersion);
});

const values = {
  text: 'Softadastra',
  'empty text': '',
  umlauts: 'grüß dich',
  'characters beyond the first plane': '🌍👩‍👩‍👧 𝔘',
  'characters of Latin-1': 'é'.repeat(100),
  'a byte order mark': '\ufefftext',
  'NUL in the middle': 'a\0b',
  'a long text': 'x'.repeat(300_000),
  'a long text beyond ASCII': 'ü'.repeat(300_000),
};

for (const [name, text] of Object.entries(values)) {
  test(`text comes back as it went: ${name}`, async (t) => {
    const options = loggedOptions(t);
    const client = await openClient(t, options);
    ok(await client.put('as string', text));
    ok(await client.put('as value', Value.fromString(text)));
    ok(await client.put('as bytes', Buffer.from(text)));
    const check = async (from) => {
      for (const key of ['as string', 'as value', 'as bytes']) {
        const value = ok(await from.get(key));
        assert.ok(value.toString() === text, key);
        assert.deepEqual(value.toBuffer(), Buffer.from(text));
        assert.equal(value.size(), Buffer.byteLength(text));
      }
    };
    await check(client);
    ok(await client.close());
    await check(await openClient(t, options));
  });
}

test('bytes come back as they went', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const all = Uint8Array.from({ length: 256 }, (_, n) => n);
  ok(await client.put('all', all));
  ok(await client.put('view', Buffer.from('abcdef').subarray(2, 4)));
  ok(await client.put('none', new Uint8Array(0)));
  ok(await client.put('value', Value.fromBytes(all)));
  ok(await client.close());
  const again = await openClient(t, options);
  assert.deepEqual([...ok(await again.get('all')).bytes()], [...all]);
  assert.equal(`${ok(await again.get('view'))}`, 'cd');
  assert.ok(ok(await again.get('none')).empty());
  assert.ok(ok(await again.get('value')).equals(all));
});

test('bytes may change as soon as put has returned', async (t) => {
  const client = await openClient(t);
  const bytes = Buffer.from('before');
  const written = client.put('a', bytes);
  bytes.fill('x');
  ok(await written);
  assert.equal(`${ok(await client.get('a'))}`, 'before');
});

test('odd keys are keys', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const keys = [
    '__proto__',
    'constructor',
    'a\0b',
    '\0',
    '🌍',
    'ä/ö',
    ' ',
    '.',
    '../../etc/passwd',
    'x'.repeat(1024),
    'é'.repeat(512),
  ];
  for (const [n, key] of keys.entries()) ok(await client.put(key, `${n}`));
  ok(await client.close());
  const again = await openClient(t, options);
  assert.equal(again.size(), keys.length);
  for (const [n, key] of keys.entries()) {
    assert.ok(again.contains(key));
    assert.equal(`${ok(await again.get(new Key(key)))}`, `${n}`);
  }
  for (const key of keys) assert.ok(ok(await again.remove(key)).removed);
  assert.ok(again.empty());
});

test('keys are told apart by their bytes', async (t) => {
  const client = await openClient(t);
  ok(await client.put('é', 'one character'));
  ok(await client.put('e\u0301', 'two characters'));
  ok(await client.put('Ã©', 'mistaken encoding'));
  assert.equal(client.size(), 3);
  assert.equal(`${ok(await client.get('é'))}`, 'one character');
});

test('keys that are none are refused', async (t) => {
  const client = await openClient(t);
  for (const key of [undefined, null, 5, {}, ['a'], Symbol('a'), new Uint8Array(1), Value.fromString('a')]) {
    for (const call of [client.put(key, 'x'), client.get(key), client.remove(key)]) {
      refused(await call, 'invalid_argument', 'key must be a string');
    }
    assert.equal(client.contains(key), false);
  }
  for (const [key, message] of [
    ['', 'key cannot be empty'],
    [new Key(''), 'key cannot be empty'],
    ['x'.repeat(1025), 'key is longer than 1024 bytes'],
    ['é'.repeat(513), 'key is longer than 1024 bytes'],
    ['a\ud800', /key has a lone surrogate/],
  ]) {
    for (const call of [client.put(key, 'x'), client.get(key), client.remove(key)]) {
      refused(await call, 'invalid_argument', message);
    }
    assert.equal(client.contains(key), false);
  }
  assert.equal(client.size(), 0);
});

test('values that are none are refused, and the key is looked at first', async (t) => {
  const client = await openClient(t);
  for (const value of [
    undefined,
    null,
    5,
    {},
    ['a'],
    new ArrayBuffer(2),
    new Uint16Array(2),
    Value.fromString(5),
  ]) {
    refused(
      await client.put('a', value),
      'invalid_argument',
      'value must be a string, a Value or a Uint8Array',
    );
    refused(await client.put('', value), 'invalid_argument', 'key cannot be empty');
  }
  refused(await client.put('a', 'x\udc00'), 'invalid_argument', /value has a lone surrogate/);
  refused(
    await client.put('a', Value.fromString('\ud800')),
    'invalid_argument',
    /value has a lone surrogate/,
  );
  assert.equal(client.size(), 0);
});

test('a value above the limit is refused, and the limit can be lowered', async (t) => {
  const options = Object.assign(ClientOptions.memoryOnly('a'), { maxValueBytes: 10 });
  const client = await openClient(t, options);
  ok(await client.put('a', 'x'.repeat(10)));
  for (const value of ['x'.repeat(11), 'é'.repeat(6), new Uint8Array(11)]) {
    refused(await client.put('a', value), 'invalid_argument', 'value is larger than 10 bytes');
  }
});

test('a value of 4 MB travels to the disk without any option', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const bytes = Buffer.alloc(4_000_000, 'ab\xff');
  ok(await client.put('big', bytes));
  ok(await client.close());
  assert.ok(ok(await (await openClient(t, options)).get('big')).equals(bytes));
});

test('the order of calls is the order of commits', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const settled = [];
  const calls = [];
  for (let n = 0; n < 2000; n += 1) {
    const call = n % 7 === 6 ? client.remove('a') : client.put('a', `${n}`);
    calls.push(call.then((result) => settled.push([n, ok(result)])));
  }
  await Promise.all(calls);
  assert.deepEqual(
    settled.map(([n]) => n),
    Array.from({ length: 2000 }, (_, n) => n),
  );
  assert.equal(settled[6][1].removed, true);
  assert.equal(settled[7][1].status, 'created');
  assert.equal(settled[8][1].status, 'updated');
  assert.equal(`${ok(await client.get('a'))}`, '1999');
});

test('more than fits in memory at once waits for room, in order, as it was when it was given', async (t) => {
  const options = Object.assign(loggedOptions(t), { autoFlush: false });
  const client = await openClient(t, options);
  const bytes = Buffer.alloc(1 << 20);
  const calls = [];
  for (let n = 0; n < 160; n += 1) {
    bytes.fill(n);
    calls.push(client.put(`k${n % 10}`, bytes));
  }
  calls.push(client.remove('k0'));
  bytes.fill(255);
  for (const result of await Promise.all(calls)) ok(result);
  assert.ok(!client.contains('k0'));
  for (let n = 151; n < 160; n += 1) {
    assert.ok(ok(await client.get(`k${n % 10}`)).equals(Buffer.alloc(1 << 20, n)));
  }
});

test('what was written is there after closing and opening', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const calls = [];
  for (let n = 0; n < 5000; n += 1) calls.push(client.put(`key/${n}`, `value ${n}`));
  for (let n = 0; n < 5000; n += 5) calls.push(client.remove(`key/${n}`));
  for (const result of await Promise.all(calls)) ok(result);
  ok(await client.close());
  const again = await openClient(t, options);
  assert.equal(again.size(), 4000);
  assert.ok(!again.contains('key/5'));
  assert.equal(`${ok(await again.get('key/4999'))}`, 'value 4999');
  assert.equal(ok(await again.put('key/4999', 'new')).version, 2);
});

test('flush makes a log without autoFlush durable', async (t) => {
  const client = await openClient(t, Object.assign(loggedOptions(t), { autoFlush: false }));
  ok(await client.put('a', '1'));
  ok(await client.flush());
  ok(await (await openClient(t)).flush());
});

test('a client that was never opened reads as empty', () => {
  const client = new Client(ClientOptions.local('a'));
  assert.deepEqual([client.size(), client.empty(), client.contains('a')], [0, true, false]);
});
