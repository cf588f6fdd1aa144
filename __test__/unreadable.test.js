// Arguments that throw when they are read: a call answers with a failure, a constructor throws a TypeError of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import {
  Client,
  ClientOptions,
  ErrorCode,
  Key,
  NodeInfo,
  Peer,
  Result,
  SoftadastraError,
  Value,
} from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

class Lengthless extends Uint8Array {
  get length() {
    throw new Error('not to be measured');
  }
}

class Byteless extends Uint8Array {
  get byteLength() {
    throw new Error('not to be measured');
  }

  [Symbol.iterator]() {
    throw new Error('not to be listed');
  }
}

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
};

const boo = () => {
  throw new Error('boo');
};

/** Throws something that throws when it is read. */
const throwsRevoked = () => {
  throw revoked();
};

const hostile = () => [
  revoked(),
  new Proxy({}, { get: boo, ownKeys: boo, getPrototypeOf: boo, has: boo, getOwnPropertyDescriptor: boo }),
  new Proxy({}, { get: throwsRevoked, ownKeys: throwsRevoked, getPrototypeOf: throwsRevoked }),
  new Proxy([], { get: boo }),
];

test('a write of bytes that cannot be measured is refused, and later ones are not', async (t) => {
  const client = await openClient(t);
  const odd = new Lengthless(3);
  for (const call of [
    client.put('key', odd),
    client.resolve('key', odd),
    client.batch([{ put: 'key', value: odd }]),
  ]) {
    assert.equal(
      refused(await call, 'invalid_argument', /could not be read: not to be measured/).kind,
      'unreadable',
    );
  }
  assert.equal(refused(await client.put('', odd), 'invalid_argument').kind, 'invalid_key');
  assert.equal(client.size(), 0);
  ok(await client.put('key', new Byteless(3)));
  assert.deepEqual([...ok(await client.get('key')).bytes()], [0, 0, 0]);
});

test('bytes that wait for room are copied without any method of their class', async (t) => {
  const client = await openClient(t);
  // More than the queue takes at once.
  const puts = Array.from({ length: 300 }, (_, n) =>
    client.put(
      `k${n}`,
      Byteless.from({ length: 1 << 20 }, () => 1),
    ),
  );
  for (const result of await Promise.all(puts)) ok(result);
  assert.equal(client.size(), 300);
});

test('options that cannot be read are refused by open()', async () => {
  for (const given of hostile()) {
    for (const options of [given, new ClientOptions(given)]) {
      const client = new Client(options);
      const { kind } = refused(await client.open(), 'invalid_argument', /options/);
      assert.ok(kind === 'unreadable' || (Array.isArray(given) && kind === 'invalid_option'), kind);
      assert.equal(client.options().nodeId, '');
    }
  }
});

test('no call throws or rejects for an argument that cannot be read', async (t) => {
  const client = await openClient(t);
  const calls = ['put', 'remove', 'get', 'conflict', 'batch', 'resolve', 'tick', 'conflicts', 'outbox'];
  calls.push('waitFor', 'connect', 'disconnect', 'verify', 'backup');
  for (const given of hostile()) {
    for (const call of calls) {
      for (const rest of [[given], ['key', given], [given, given]]) {
        assert.ok((await client[call](...rest)) instanceof Result, call);
      }
    }
    for (const read of [
      client.entries(given),
      client.watch('', given),
      client.watch('', { signal: given }),
    ]) {
      refused(read.result(), 'invalid_argument');
    }
    for (const call of ['on', 'off']) refused(client[call](given, given), 'invalid_argument');
    assert.equal(client.contains(given), false);
    assert.equal(new Value('x').equals(given), false);
    assert.equal(new Key('x').equals(given), false);
    assert.equal(new Key(given).isValid(), false);
    assert.equal(new Value(given).isValid(), false);
    assert.ok((await client.close(given)) instanceof Result);
    ok(await client.open());
  }
  assert.equal(typeof new Value('x').equals(new Byteless(1)), 'boolean');
});

test('a constructor names the argument that it could not read', async (t) => {
  const client = await openClient(t, Object.assign(ClientOptions.memoryOnly('a'), { enableTransport: true }));
  assert.throws(() => new Value(new Lengthless(3)), {
    name: 'TypeError',
    message: /^content could not be read: /,
  });
  for (const given of hostile()) {
    const throws = (make, message) => assert.throws(make, { name: 'TypeError', message });
    throws(() => new NodeInfo(given), /^info could not be read: /);
    throws(() => new SoftadastraError('unknown', 'text', given), /^details could not be read: /);
    const peer = new Peer('b', '127.0.0.1', 1, given);
    assert.equal(peer.isValid(), false);
    refused(await client.connect(peer), 'invalid_argument', /^options /);
  }
});

test('an error that cannot be read makes a Result like any other', () => {
  const unreadable = Object.defineProperty(new Error('text'), 'message', { get: boo });
  for (const given of [...hostile(), unreadable]) {
    const result = Result.err(given);
    assert.equal(result.error().code, ErrorCode.Unknown);
    assert.ok(result.error().message.length > 0);
    assert.ok(JSON.stringify(result).length > 0 && inspect(result).length > 0);
  }
});
