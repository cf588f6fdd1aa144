import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, ClientOptions, ErrorCode, Key, Result, SoftadastraError, Value } from '@softadastra/sdk';
import { openClient } from './support/clients.js';

const bytes = (...given) => Value.fromBytes(Uint8Array.from(given));

test('values are deeply equal exactly when their bytes are', () => {
  assert.deepEqual(new Value('a'), Value.fromString('a'));
  assert.deepEqual(new Value('grüß'), Value.fromBytes(Buffer.from('grüß')));
  assert.deepEqual(bytes(0, 255), bytes(0, 255));
  assert.deepEqual(new Value(''), bytes());
  assert.notDeepEqual(new Value('a'), new Value('b'));
  assert.notDeepEqual(bytes(0, 255), bytes(0, 254));
  assert.notDeepEqual(bytes(255), new Value('\ufffd'));
  assert.notDeepEqual(new Value('a'), new Key('a'));
  assert.notDeepEqual(new Value(undefined), new Value(''));
  assert.notDeepEqual(new Key('a'), new Key('b'));
});

test('what is read is deeply equal to what was written, text or not', async (t) => {
  const client = await openClient(t);
  const written = { ascii: 'a', text: 'grüß 🌍', mark: '\ufeffä', none: '', bytes: Uint8Array.of(0, 200, 7) };
  for (const [key, value] of Object.entries(written)) {
    await client.put(key, value);
    assert.deepEqual(await client.get(key), Result.ok(new Value(value)));
    assert.notDeepEqual(await client.get(key), Result.ok(new Value('other')));
    const content = (await client.get(key)).value().content;
    assert.ok(typeof value === 'string' ? content === value : Buffer.from(value).equals(content));
    await client.put(key, Buffer.from(value));
    assert.deepEqual(await client.get(key), Result.ok(new Value(value)), 'the same bytes written as bytes');
  }
  const entries = [];
  for await (const entry of client.entries({ prefix: 'a' })) entries.push(entry);
  assert.deepEqual(entries, [{ key: 'ascii', value: new Value('a'), version: 2 }]);
});

test('results are deeply equal when what they hold is, whether it was looked at or not', async (t) => {
  const client = await openClient(t);
  assert.deepEqual(await client.put('a', '1'), Result.ok({ status: 'created', version: 1 }));
  const seen = await client.put('a', '2');
  assert.match(seen.value().operation, /^[0-9a-f]{32}-2$/);
  assert.deepEqual(seen, Result.ok({ status: 'updated', version: 2 }));
  assert.deepEqual(await client.remove('a'), Result.ok({ removed: true }));
  assert.deepEqual(await client.batch([]), Result.ok({ count: 0 }));
  assert.notDeepEqual(Result.ok(1), Result.ok(2));
  assert.notDeepEqual(Result.ok(), Result.err(new SoftadastraError(ErrorCode.Unknown, '')));

  const [missing, other] = [await client.get('b'), await client.get('c')];
  assert.notDeepEqual(missing, other);
  assert.deepEqual(missing, await client.get('b'));
  assert.deepEqual(missing, Result.err(missing.error()), 'made of the error');
  assert.deepEqual(missing.error(), (await client.get('b')).error());
  assert.notDeepEqual(missing.error(), other.error());
});

test('what is cloned or sent to another thread has the content', async (t) => {
  const client = await openClient(t);
  await client.put('a', 'é');
  assert.deepEqual(structuredClone(new Value('a')), { content: 'a' });
  assert.deepEqual(structuredClone(bytes(255)), { content: Uint8Array.of(255) });
  assert.deepEqual(structuredClone(new Key('a')), { text: 'a' });
  const cloned = structuredClone(await client.get('a'));
  assert.deepEqual([cloned.ok, cloned.content], [true, { content: 'é' }]);
  const missing = await client.get('b');
  const { ok, failure } = structuredClone(missing);
  assert.deepEqual([ok, failure.code, failure.context], [false, 'not_found', 'b']);
  assert.equal(structuredClone(missing.error()).message, missing.error().message);
});

test('JSON shows values, results and errors, and loses no bytes', async (t) => {
  const client = await openClient(t);
  await client.put('a', 'é');
  const shown = (given) => JSON.parse(JSON.stringify(given));
  assert.deepEqual(shown(await client.get('a')), { ok: true, content: 'é' });
  assert.deepEqual(shown(bytes(0, 255)), { type: 'Buffer', data: [0, 255] });
  assert.deepEqual(shown(await client.put('a', 'e')), {
    ok: true,
    content: { status: 'updated', version: 2 },
  });
  const missing = await client.get('b');
  const { message } = missing.error();
  assert.equal(shown(missing).failure.message, message);
  const { name, code, kind, context } = shown(missing.error());
  assert.deepEqual([name, code, kind, context], ['SoftadastraError', 'not_found', 'key_not_found', 'b']);
  assert.equal(shown(missing.error()).message, message);
  const below = new SoftadastraError('io_error', 'above', { cause: new Error('below') });
  assert.equal(shown(below).cause, 'below');
  assert.equal(shown(Result.err(below)).failure.cause, 'below');
});

test('a buffer that was handed to somebody else has nothing to store, and is told', async (t) => {
  const client = await openClient(t);
  const gone = Uint8Array.of(1, 2, 3);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.ok(!Value.fromBytes(gone).isValid() && !new Value(gone).isValid());
  const resizable = new ArrayBuffer(8, { maxByteLength: 8 });
  const cut = new Uint8Array(resizable, 4, 4);
  resizable.resize(2);
  for (const bytes of [gone, cut]) {
    const lost = /has lost its bytes/;
    for (const call of [
      client.put('a', bytes),
      client.resolve('a', bytes),
      client.batch([{ put: 'a', value: bytes }]),
    ]) {
      const { failure } = await call;
      assert.deepEqual([failure?.kind, lost.test(failure?.message)], ['invalid_value', true]);
    }
  }
  assert.equal(client.size(), 0);
  assert.equal((await client.put('a', new Uint8Array(0))).value().status, 'created');
});

test('a closed client and its errors compare too', async () => {
  const client = new Client(ClientOptions.memoryOnly('n'));
  assert.deepEqual(await client.get('a'), await client.put('a', 'b'));
  assert.notDeepEqual(await client.get('a'), Result.ok());
});
