// A disk without room, simulated by the system's limit on the size of a process's files: refused writes, their
// messages, and the recovery.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from './support/folders.js';
import { NodeProcess } from './support/processes.js';

const hasLimits = () => {
  try {
    execFileSync('prlimit', ['--version'], { stdio: 'ignore' });
    return process.platform === 'linux';
  } catch {
    return false;
  }
};

const skip = hasLimits() ? false : 'prlimit is part of Linux';

/** Sets the largest size of files that a process may write, in bytes; without `bytes` there is no limit. */
const allow = (node, bytes = 'unlimited') =>
  execFileSync('prlimit', [`--pid=${node.pid()}`, `--fsize=${bytes}:unlimited`]);

async function start(t) {
  return NodeProcess.start(t, 'node-full', path.join(temporaryFolder(t), 'node.wal'));
}

test('a full disk refuses a write, says what to do, and takes it once there is room', { skip }, async (t) => {
  const node = await start(t);
  await node.call('put', 'before', 'x');
  const { logBytes } = await node.call('stats');
  allow(node, logBytes);
  const refused = await node.ask('put', 'large', 'x'.repeat(200_000));
  assert.deepEqual([refused.ok, refused.code, refused.kind], [false, 'io_error', 'disk_full']);
  assert.match(
    refused.message,
    /^failed to append WAL record: no space left on device at byte offset \d+ of /,
  );
  assert.match(refused.message, /everything that was acknowledged before is valid.*; make room/);
  assert.ok(refused.retryable && refused.context.endsWith('node.wal') && refused.offset > 64);
  assert.equal((await node.call('stats')).refusals, 1);
  await node.call('put', 'small', 'still fits');
  allow(node);
  await node.call('put', 'large', 'x'.repeat(200_000));
  await node.call('close');
  await node.call('reopen');
  assert.deepEqual(await node.call('size'), 3);
});

test('a poisoned log serves reads, refuses writes with the first cause, and opens again', {
  skip,
}, async (t) => {
  const node = await start(t);
  for (let n = 0; n < 20; n += 1) await node.call('put', `k${n}`, 'x'.repeat(100));
  // A limit below the offset of the next frame: no new room is needed there, so the failure is not one of a full disk.
  allow(node, 500);
  const first = await node.ask('put', 'a', 'b');
  assert.equal(first.ok, false);
  assert.match(first.message, /whether this write is on disk is unknown/);
  for (const [name, ...given] of [
    ['put', 'a', 'c'],
    ['remove', 'k1'],
    ['batch', [{ put: 'a', value: 'd' }]],
    ['flush'],
  ]) {
    const later = await node.ask(name, ...given);
    assert.deepEqual(
      [later.ok, later.code, later.kind, later.retryable],
      [false, 'io_error', first.kind, false],
      name,
    );
    assert.ok(first.message.startsWith(later.message), `${name}: ${later.message}`);
  }
  assert.equal(await node.text('k7'), 'x'.repeat(100));
  assert.equal(await node.call('size'), 20);
  assert.equal((await node.ask('close')).ok, false);
  // While the cause lasts an opening reports it; trying loses nothing.
  const early = await node.ask('reopen');
  assert.ok(!early.ok, 'the log cannot be written to yet');
  allow(node);
  await node.call('reopen');
  assert.equal(await node.call('size'), 20);
  await node.call('put', 'a', 'e');
  assert.equal(await node.text('a'), 'e');
  assert.equal((await node.call('recovery')).outcome !== 'none', true);
});

test('of many large writes on a disk that fills up, each is there or was refused', { skip }, async (t) => {
  const walPath = path.join(temporaryFolder(t), 'node.wal');
  const node = await NodeProcess.start(t, 'node-full', walPath);
  await node.call('put', 'before', 'x');
  const { logBytes } = await node.call('stats');
  // Room for some groups: while one of them is made durable, the one after it finds none.
  allow(node, logBytes + 3_000_000);
  const value = (n) => `${n}`.padStart(40_000, '-');
  const numbers = Array.from({ length: 200 }, (_, n) => n);
  const write = (n) => node.ask('put', `k${n}`, value(n));
  const answers = await Promise.all(numbers.map(write));
  const refused = answers.filter(({ ok }) => !ok);
  assert.ok(refused.length > 50 && refused.length < 200, `${refused.length} were refused`);
  for (const { code, kind, retryable } of refused)
    assert.deepEqual([code, kind, retryable], ['io_error', 'disk_full', true]);
  for (const n of numbers) {
    const held = await node.text(`k${n}`);
    assert.equal(held, answers[n].ok ? value(n) : undefined, `k${n}`);
  }
  allow(node);
  for (const n of numbers.filter((n) => n % 2 === 0)) assert.ok((await write(n)).ok, 'there is room again');
  await node.kill();
  const again = await NodeProcess.start(t, 'node-full', walPath);
  for (const n of numbers) {
    const isHeld = answers[n].ok || n % 2 === 0;
    assert.equal(await again.text(`k${n}`), isHeld ? value(n) : undefined, `k${n} after kill -9`);
  }
});

test('a backup that finds no room leaves nothing, not even a lock', { skip }, async (t) => {
  const folder = temporaryFolder(t);
  const node = await NodeProcess.start(t, 'node-full', path.join(folder, 'node.wal'));
  await node.call('put', 'key', 'value');
  const copies = path.join(folder, 'copies');
  mkdirSync(copies);
  // No file may take a byte: a lock file can be made then, and not be written to.
  for (const bytes of [0, 64]) {
    allow(node, bytes);
    const refused = await node.ask('backup', path.join(copies, 'copy.wal'));
    assert.deepEqual([refused.ok, refused.kind, refused.retryable], [false, 'disk_full', true], `${bytes}`);
    assert.deepEqual(readdirSync(copies), [], `with room for ${bytes} bytes`);
  }
  allow(node);
  await node.call('backup', path.join(copies, 'copy.wal'));
});
