// Lasting failures in the background are reported once per cause, with a count, and always to somebody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { test } from 'node:test';

const require = createRequire(import.meta.url);
const { Causes } = require('../js/causes.js');
const { Events } = require('../js/events.js');

const full = { code: 'io_error', kind: 'disk_full', message: 'no space left on device', context: 'a.wal' };
const other = { ...full, context: 'b.wal' };

test('a cause is told the first time, the tenth, the hundredth, and again after a quiet time', () => {
  const causes = new Causes();
  const told = [];
  for (let n = 1; n <= 5000; n += 1) told.push(causes.heard(full, n));
  assert.deepEqual(
    told.filter((count) => count !== undefined),
    [1, 10, 100, 1000],
  );
  assert.equal(causes.heard(other, 5000), 1, 'another cause counts by itself');
  assert.equal(causes.heard(full, 5000 + 9 * 60_000), undefined);
  assert.equal(causes.heard(full, 5000 + 20 * 60_000), 1);
});

test('no number of causes takes memory for ever', () => {
  const causes = new Causes();
  for (let n = 0; n < 1000; n += 1) assert.equal(causes.heard({ ...full, context: `${n}` }, 0), 1);
  assert.equal(causes.heard({ ...full, context: '999' }, 0), undefined);
  assert.equal(causes.heard({ ...full, context: '0' }, 0), 1, 'the oldest is forgotten');
});

test('listeners hear of a cause once, with how often it was', () => {
  const events = new Events();
  const heard = [];
  events.on('error', (error) => heard.push([error.context, error.count]));
  for (let n = 0; n < 10; n += 1) events.handle({ type: 'error', error: full }, 'node');
  events.handle({ type: 'error', error: other }, 'node');
  assert.deepEqual(heard, [
    ['a.wal', 1],
    ['a.wal', 10],
    ['b.wal', 1],
  ]);
});

test('where nobody listens a failure in the background is a process warning', async () => {
  const warned = once(process, 'warning');
  new Events().handle({ type: 'error', error: full }, 'node');
  const [warning] = await warned;
  assert.deepEqual([warning.name, warning.message, warning.count], ['SoftadastraError', full.message, 1]);
});

test('a listener that throws each time is told once for each cause too', () => {
  const events = new Events();
  const heard = [];
  events.on('error', (error) => heard.push([error.kind, error.context, error.cause.message, error.count]));
  const change = { key: Buffer.from('a'), value: null, ascii: true, version: 1, nodeId: 'n', local: true };
  events.on('change', () => {
    throw new Error('of always');
  });
  for (let n = 0; n < 20; n += 1) events.handle({ type: 'change', changes: [change] }, 'n');
  assert.deepEqual(heard, [
    ['listener_failed', 'change', 'of always', 1],
    ['listener_failed', 'change', 'of always', 10],
  ]);
});
