// Reports of verify() and salvage() about files, which they do not change.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Client, ClientOptions, salvage, verify } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok, refused } from './support/results.js';

/** A closed log with keys `k0` to `k19`, one group each, and the content of its folder. */
async function closedLog(t) {
  const folder = temporaryFolder(t);
  const walPath = path.join(folder, 'node.wal');
  const client = await openClient(t, ClientOptions.persistent('node-a', walPath));
  for (let n = 0; n < 20; n += 1) ok(await client.put(`k${n}`, `value ${n}`));
  ok(await client.remove('k19'));
  ok(await client.close());
  return { folder, walPath };
}

const contents = (folder) =>
  Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(path.join(folder, name), 'latin1')]),
  );

function damage(file, at) {
  const bytes = readFileSync(file);
  bytes[at] ^= 1;
  writeFileSync(file, bytes);
}

test('a whole log is whole, and nothing is left beside it', async (t) => {
  const { folder, walPath } = await closedLog(t);
  rmSync(`${walPath}.lock`);
  const before = contents(folder);
  const report = ok(await verify(walPath));
  assert.deepEqual(contents(folder), before);
  assert.deepEqual(
    [report.path, report.whole, report.problems, report.notices, report.tornTail, report.entries],
    [walPath, true, [], [], null, 21],
  );
  assert.deepEqual(
    report.files.map(({ file, whole }) => [file, whole]),
    [[walPath, true]],
  );
  assert.ok(Object.isFrozen(report) && report.groups >= 21);
});

test('entries of a checkpoint are counted, and those of the log behind it', async (t) => {
  const { walPath } = await closedLog(t);
  const client = new Client(ClientOptions.persistent('node-test', walPath));
  ok(await client.open());
  const keys = client.size();
  ok(await client.compact());
  ok(await client.put('behind', 'the checkpoint'));
  ok(await client.close());
  const { entries, files } = ok(await verify(walPath));
  // The write, and before it the lineage record of its author.
  assert.equal(entries, files[0].rows + 2);
  assert.ok(files[0].rows >= keys);
});

test('damage is told with file, offset, what is valid and what to do; open() says the same', async (t) => {
  const { folder, walPath } = await closedLog(t);
  damage(walPath, 700);
  const before = contents(folder);
  const report = ok(await verify(walPath));
  assert.deepEqual(contents(folder), before);
  assert.equal(report.whole, false);
  const [problem] = report.problems;
  assert.deepEqual([report.problems.length, problem.kind, problem.file], [1, 'wal_corrupt', walPath]);
  assert.ok(problem.offset > 64 && problem.offset <= 700);
  assert.match(problem.message, /^corrupted WAL record at byte offset \d+ of .*node\.wal; .*; /);
  for (const part of [walPath, `${problem.offset}`, problem.stillValid, problem.whatToDo]) {
    assert.ok(problem.message.includes(part), part);
  }
  const client = await openClient(t);
  const error = refused(
    await new client.constructor(ClientOptions.persistent('node-a', walPath)).open(),
    'io_error',
  );
  assert.deepEqual(
    [error.kind, error.context, error.offset, error.message, error.stillValid, error.whatToDo],
    [problem.kind, walPath, problem.offset, problem.message, problem.stillValid, problem.whatToDo],
  );
  assert.equal(error.localStateValid, false);
});

test('a torn tail is told and is no damage', async (t) => {
  const { folder, walPath } = await closedLog(t);
  const whole = readFileSync(walPath);
  // Cut within the last group: neither a close mark nor a later frame proves that it was synced.
  truncateSync(walPath, whole.length - 50);
  const before = contents(folder);
  const report = ok(await verify(walPath));
  assert.deepEqual(contents(folder), before);
  assert.equal(report.whole, true);
  assert.equal(report.tornTail.file, walPath);
  const client = await openClient(t, ClientOptions.persistent('node-a', walPath));
  const { outcome, tornTail } = ok(await client.recovery());
  assert.equal(outcome, 'torn');
  assert.deepEqual(tornTail, { ...report.tornTail, keptAt: `${walPath}.torn` });
  ok(await client.close());
  const after = ok(await verify(walPath));
  assert.deepEqual(
    after.notices.map(({ kind, file }) => [kind, file]),
    [['torn_tail_kept', `${walPath}.torn`]],
  );
});

test('foreign, newer, missing, and lost lease each have their own word', async (t) => {
  const { walPath } = await closedLog(t);
  const whole = readFileSync(walPath);
  const kinds = async () => ok(await verify(walPath)).problems.map(({ kind }) => kind);
  rmSync(`${walPath}.lease`);
  const copied = ok(await verify(walPath));
  assert.deepEqual([copied.whole, copied.notices.map(({ kind }) => kind)], [true, ['lease_lost']]);
  writeFileSync(walPath, 'dear diary');
  assert.deepEqual(await kinds(), ['wal_foreign']);
  rmSync(walPath);
  refused(await verify(walPath), 'io_error', `failed to open WAL path ${walPath}: there is no log`);
  writeFileSync(`${walPath}.lease`, '');
  assert.deepEqual(await kinds(), ['wal_missing']);
  writeFileSync(walPath, whole);
  assert.deepEqual(await kinds(), []);
});

test('a log that is open is not looked at, and wrong arguments are told', async (t) => {
  const { walPath } = await closedLog(t);
  const client = await openClient(t, ClientOptions.persistent('node-a', walPath));
  for (const result of [await verify(walPath), await salvage(walPath, `${walPath}.new-place`)]) {
    assert.equal(refused(result, 'invalid_state').kind, 'wal_in_use');
  }
  ok(await client.close());
  for (const given of [undefined, null, 5, {}, Symbol('s'), '', '\ud800', () => 'path']) {
    refused(await verify(given), 'invalid_argument');
    refused(await salvage(given, walPath), 'invalid_argument');
    refused(await salvage(walPath, given), 'invalid_argument');
  }
  refused(await verify(path.join(walPath, 'below')), 'io_error');
});

test('what is readable is saved to a new log, and the damaged one is not touched', async (t) => {
  const { folder, walPath } = await closedLog(t);
  damage(walPath, 700);
  const before = contents(folder);
  const target = path.join(temporaryFolder(t), 'saved.wal');
  const report = ok(await salvage(walPath, target));
  assert.deepEqual(contents(folder), before);
  assert.equal(report.path, target);
  assert.equal(report.lost.length, 1);
  const [{ file, fromOffset, toOffset }] = report.lost;
  assert.ok(file === walPath && fromOffset <= 700 && 700 < toOffset);
  assert.ok(ok(await verify(target)).whole);
  const client = await openClient(t, ClientOptions.persistent('node-a', target));
  assert.equal(client.size(), 18, 'one put is lost, and one key was removed');
  assert.equal(client.contains('k19'), false);
  assert.equal(`${ok(await client.get('k18'))}`, 'value 18');
  const recovery = ok(await client.recovery());
  assert.deepEqual(
    [recovery.outcome, recovery.copyNoticed, recovery.salvaged],
    ['clean', false, { lost: 1 }],
  );
  ok(await client.put('k19', 'again'));
  ok(await client.close());
  const again = refused(await salvage(walPath, target), 'already_exists', /saved\.wal is there already/);
  assert.equal(again.kind, 'wal_exists');
  refused(await salvage(path.join(folder, 'nothing.wal'), `${target}.2`), 'io_error');
});
