// Nodes in processes of their own, which are closed, killed and started again.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './support/folders.js';
import { NodeProcess } from './support/processes.js';
import { until } from './support/until.js';

const start = (t, nodeId) => NodeProcess.start(t, nodeId, path.join(temporaryFolder(t), 'node.wal'));

async function pair(t) {
  const [a, b] = await Promise.all([start(t, 'node-a'), start(t, 'node-b')]);
  await a.call('connect', b.peer());
  return [a, b];
}

const acknowledged = (node, count) =>
  until(async () => (await node.call('syncStateInfo')).acknowledgedCount === count, `${count} acknowledged`);

test('delivery, overwrites and removals', async (t) => {
  const [a, b] = await pair(t);
  await a.call('put', 'message/1', 'hello');
  await a.call('put', 'message/2', 'gone soon');
  await a.call('tick');
  await b.reads('message/1', 'hello');
  await b.reads('message/2', 'gone soon');
  await a.call('put', 'message/1', 'hello again');
  await a.call('remove', 'message/2');
  await a.call('tick');
  await b.reads('message/1', 'hello again');
  await b.reads('message/2', undefined);
  await acknowledged(a, 2);
});

test('both work offline, and agree when they meet', async (t) => {
  const [a, b] = await Promise.all([start(t, 'node-a'), start(t, 'node-b')]);
  const answer = await a.ask('connect', { ...b.peer(), port: 1 });
  assert.equal(answer.code, 'transport_error');
  for (let n = 0; n < 20; n += 1) {
    await a.call('put', `a/${n}`, `${n}`);
    await b.call('put', `b/${n}`, `${n}`);
  }
  await a.call('put', 'shared', 'first');
  // The write with the later time wins, so the clock must have advanced.
  const before = Date.now();
  await until(() => Date.now() > before + 1, 'the clock goes on');
  await b.call('put', 'shared', 'second');
  await a.call('remove', 'a/0');
  await a.call('connect', b.peer());
  await a.call('tick');
  await b.call('tick');
  for (const node of [a, b]) {
    await until(async () => (await node.call('size')) === 40, 'all 40 keys');
    await node.reads('shared', 'second');
    await node.reads('a/19', '19');
    await node.reads('b/19', '19');
    await node.reads('a/0', undefined);
  }
});

test('either side is started again, and goes on where it was', async (t) => {
  const [a, b] = await pair(t);
  await a.call('put', 'k', '1');
  await a.call('tick');
  await b.reads('k', '1');
  await b.stop();
  await a.call('put', 'k', '2');
  await a.call('tick');
  await b.launch();
  assert.equal(await b.text('k'), '1');
  await a.call('connect', b.peer());
  await a.call('tick');
  await b.reads('k', '2');
  await a.stop();
  await b.call('put', 'k', '3');
  await a.launch();
  await a.call('connect', b.peer());
  await b.call('tick');
  await a.reads('k', '3');
});

test('a peer that was killed is connected to again without being asked', async (t) => {
  const [a, b] = await pair(t);
  await b.kill();
  await a.call('put', 'k', 'while you were away');
  await b.launch();
  await until(async () => {
    await a.call('tick');
    return (await b.text('k')) === 'while you were away';
  }, 'it reconnects and delivers');
});

test('a sender that is killed between write and delivery delivers after its restart', async (t) => {
  const [a, b] = await Promise.all([start(t, 'node-a'), start(t, 'node-b')]);
  for (let n = 0; n < 50; n += 1) await a.call('put', `k/${n}`, `${n}`);
  await a.kill();
  await a.launch();
  assert.equal((await a.call('syncStateInfo')).queuedCount, 50);
  await a.call('connect', b.peer());
  await a.call('tick');
  await until(async () => (await b.call('size')) === 50, 'all arrive');
  await b.reads('k/49', '49');
  await acknowledged(a, 50);
});

test('a receiver that is killed while it receives has all in the end', async (t) => {
  const [a, b] = await pair(t);
  for (let n = 0; n < 300; n += 1) a.ask('put', `k/${n}`, 'x'.repeat(1000));
  await until(async () => (await a.call('size')) === 300, 'all are written');
  await a.call('tick');
  await b.kill();
  await b.launch();
  await until(async () => {
    await a.ask('connect', b.peer());
    await a.call('tick');
    return (await b.call('size')) === 300;
  }, 'all arrive');
});

test('a node in the middle hands on what it got, also after the author has left', async (t) => {
  const [a, b, c] = await Promise.all([start(t, 'node-a'), start(t, 'node-b'), start(t, 'node-c')]);
  await a.call('connect', b.peer());
  await a.call('put', 'from', 'a');
  await a.call('put', 'gone', 'x');
  await a.call('remove', 'gone');
  await a.call('tick');
  await b.reads('from', 'a');
  await acknowledged(a, 2);
  await a.stop();
  await c.call('connect', b.peer());
  await c.reads('from', 'a');
  await c.reads('gone', undefined);
  await c.call('put', 'from', 'c');
  await c.call('tick');
  await b.reads('from', 'c');
  await a.launch();
  await a.call('connect', b.peer());
  await a.reads('from', 'c');
});

test('2 MB, bytes and odd keys travel between processes', async (t) => {
  const [a, b] = await pair(t);
  const bytes = Buffer.alloc(2_000_000);
  for (let n = 0; n < bytes.length; n += 1) bytes[n] = (n * 31) % 256;
  const latin1 = bytes.toString('latin1');
  const keys = ['big', '__proto__', 'a\0b', '🌍', 'x'.repeat(1024)];
  await a.call('putBytes', 'big', latin1);
  for (const key of keys.slice(1)) await a.call('putBytes', key, '\xff\x00\xfe');
  await a.call('tick');
  await until(async () => (await b.call('size')) === keys.length, 'all arrive');
  assert.ok((await b.call('get', 'big')) === latin1);
  for (const key of keys.slice(1)) assert.equal(await b.call('get', key), '\xff\x00\xfe');
});
