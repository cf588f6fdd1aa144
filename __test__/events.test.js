import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync } from 'node:fs';
import { test } from 'node:test';
import { Client, ClientOptions, SoftadastraError, Value } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

test('listeners hear of every change, in order', async (t) => {
  const client = await openClient(t, ClientOptions.memoryOnly('node-a'));
  const heard = [];
  ok(client.on('change', (change) => heard.push(change)));
  ok(await client.put('a', '1'));
  ok(await client.put('a', new Uint8Array([255])));
  ok(await client.remove('a'));
  ok(await client.remove('a'));
  ok(
    await client.batch([
      { put: 'b', value: '2' },
      { put: 'c', value: '3' },
    ]),
  );
  await until(() => heard.length === 5, 'five changes');
  assert.deepEqual(
    heard.map(({ key, kind, version, local, nodeId }) => [key, kind, version, local, nodeId]),
    [
      ['a', 'put', 1, true, 'node-a'],
      ['a', 'put', 2, true, 'node-a'],
      ['a', 'remove', 3, true, 'node-a'],
      ['b', 'put', 1, true, 'node-a'],
      ['c', 'put', 1, true, 'node-a'],
    ],
  );
  assert.ok(heard[0].value instanceof Value && `${heard[0].value}` === '1');
  assert.deepEqual([...heard[1].value.bytes()], [255]);
  assert.equal(heard[2].value, undefined);
  assert.ok(heard.every(Object.isFrozen));
});

test('off ends it, and the same listener twice is heard once', async (t) => {
  const client = await openClient(t);
  const heard = [];
  const last = [];
  const listener = ({ key }) => heard.push(key);
  ok(client.off('change', listener));
  ok(client.on('change', listener));
  ok(client.on('change', listener));
  ok(client.on('change', ({ key }) => last.push(key)));
  ok(await client.put('a', '1'));
  await until(() => last.length === 1, 'the change');
  ok(client.off('change', listener));
  ok(await client.put('b', '1'));
  await until(() => last.length === 2, 'the second change');
  assert.deepEqual(heard, ['a']);
});

test('listeners may be there before open, and stay across close', async (t) => {
  const client = new Client(ClientOptions.memoryOnly('a'));
  t.after(() => client.close());
  const heard = [];
  ok(client.on('change', ({ key }) => heard.push(key)));
  for (const key of ['one', 'two']) {
    ok(await client.open());
    ok(await client.put(key, 'x'));
    await until(() => heard.at(-1) === key, 'the change');
    ok(await client.close());
  }
});

test('a log that is opened under another node id, or that is a copy, is told', async (t) => {
  const options = loggedOptions(t, 'node-a');
  ok(await (await openClient(t, options)).close());
  const told = [];
  const opened = async (given) => {
    const client = new Client(given);
    t.after(() => client.close());
    ok(client.on('identity', (event) => told.push(event)));
    ok(await client.open());
    return client;
  };
  ok(await (await opened({ ...options, nodeId: 'node-b' })).close());
  const copy = `${options.walPath}-copy`;
  copyFileSync(options.walPath, copy);
  const copied = await opened({ ...options, nodeId: 'node-b', walPath: copy });
  await until(() => told.length === 2, 'both events');
  assert.deepEqual(told, [{ kind: 'renamed', from: 'node-a' }, { kind: 'copy_noticed' }]);
  ok(await copied.put('a', '1'));
});

test('what a listener throws goes to the error listeners, and nobody else notices', async (t) => {
  const client = await openClient(t);
  const heard = [];
  const errors = [];
  const thrown = new RangeError('mine');
  client.on('change', () => {
    throw thrown;
  });
  client.on('change', async () => {
    throw thrown;
  });
  client.on('change', ({ key }) => heard.push(key));
  client.on('error', (error) => errors.push(error));
  ok(await client.put('a', '1'));
  await until(() => errors.length === 2 && heard.length === 1, 'both failures');
  for (const error of errors) {
    assert.ok(error instanceof SoftadastraError);
    assert.deepEqual([error.kind, error.context, error.cause], ['listener_failed', 'change', thrown]);
  }
  ok(await client.put('b', '1'));
});

test('without error listeners it becomes a process warning', async (t) => {
  const client = await openClient(t);
  const warned = once(process, 'warning');
  client.on('change', () => {
    throw new Error('nobody listens');
  });
  ok(await client.put('a', '1'));
  const [warning] = await warned;
  assert.match(warning.message, /nobody listens/);
});

test('a wrong event or listener is refused in every state', async (t) => {
  const client = await openClient(t);
  for (const subject of [client, new Client(ClientOptions.local('a'))]) {
    for (const call of ['on', 'off']) {
      refused(
        subject[call]('chagne', () => {}),
        'invalid_argument',
        /event must be one of .*did you mean change/,
      );
      for (const event of [undefined, null, 5, {}, '__proto__', 'toString', Symbol('change')]) {
        refused(
          subject[call](event, () => {}),
          'invalid_argument',
          /^event must be one of change, conflict, peer/,
        );
      }
      for (const listener of [undefined, null, 'x', {}]) {
        refused(subject[call]('change', listener), 'invalid_argument', 'listener must be a function');
      }
    }
  }
});
