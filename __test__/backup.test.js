import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Client, ClientOptions, salvage } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { ok, refused } from './support/results.js';

const folderBeside = (options, name) => {
  const folder = path.join(path.dirname(options.walPath), name);
  mkdirSync(folder);
  return folder;
};

async function fill(client, count, text) {
  const puts = Array.from({ length: count }, (_, index) => client.put(`key/${index}`, `${text} ${index}`));
  for (const result of await Promise.all(puts)) ok(result);
}

test('a backup made while writes go on opens as a node of its own', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  await fill(client, 3000, 'first');
  ok(await client.compact());
  await fill(client, 100, 'second');
  const walPath = path.join(folderBeside(options, 'copies'), 'copy.wal');
  const told = [];
  const backup = client.backup(walPath, { onProgress: (progress) => told.push(progress) });
  await fill(client, 3000, 'third');
  ok(await backup);
  assert.deepEqual({ ...told.at(-1), bytes: 0 }, { entries: 3000, totalEntries: 3000, bytes: 0 });
  assert.equal(ok(await client.get('key/5')).toString(), 'third 5');

  const events = [];
  const copy = new Client(ClientOptions.persistent('copy', walPath));
  t.after(() => copy.close());
  ok(copy.on('identity', (event) => events.push(event.type ?? event.kind)));
  ok(await copy.open());
  assert.equal(copy.size(), 3000);
  const texts = new Set();
  for await (const entry of copy.entries()) texts.add(entry.value.toString().split(' ')[0]);
  assert.ok(texts.has('first') || texts.has('third'));
  assert.ok(events.length > 0, 'the new identity is told');
  ok(await copy.put('key/5', 'of the copy'));
  ok(await copy.close());
  ok(await copy.open());
  assert.equal(ok(await copy.get('key/5')).toString(), 'of the copy');
});

test('a backup that is aborted leaves nothing', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  await fill(client, 20_000, 'text');
  const folder = folderBeside(options, 'copies');
  const ending = new AbortController();
  const backup = client.backup(path.join(folder, 'copy.wal'), { signal: ending.signal });
  ending.abort();
  const error = refused(await backup, 'invalid_state');
  assert.equal(error.kind, 'aborted');
  assert.deepEqual(readdirSync(folder), []);
});

test('a backup goes nowhere where a log is, and needs a log', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  ok(await client.put('key', 'value'));
  const walPath = path.join(folderBeside(options, 'copies'), 'copy.wal');
  ok(await client.backup(walPath));
  assert.equal(refused(await client.backup(walPath), 'already_exists').kind, 'backup_exists');
  refused(await client.backup(options.walPath), 'invalid_state');
  const besides = path.join(path.dirname(walPath), 'other.wal');
  writeFileSync(`${besides}.checkpoint`, 'of somebody');
  assert.equal(refused(await client.backup(besides), 'already_exists').kind, 'backup_exists');
  assert.equal(existsSync(`${besides}.lock`), false);
  refused(await client.backup(path.join(path.dirname(walPath), 'missing', 'copy.wal')), 'io_error');
  const memory = await openClient(t, ClientOptions.local('memory'));
  assert.equal(refused(await memory.backup(`${walPath}2`), 'invalid_state').kind, 'no_log');
  assert.equal(existsSync(`${walPath}2`), false);
});

test('a backup that meets a close ends, one way or the other', async (t) => {
  for (let round = 0; round < 20; round += 1) {
    const options = loggedOptions(t);
    const client = await openClient(t, options);
    await fill(client, 50, 'text');
    const walPath = path.join(folderBeside(options, 'copies'), 'copy.wal');
    const [backup, compacted, closed] = await Promise.all([
      client.backup(walPath),
      client.compact(),
      client.close(),
    ]);
    ok(closed);
    for (const result of [backup, compacted]) if (result.isErr()) refused(result, 'invalid_state');
  }
});

test('no new log takes the name of a file of a log beside it', async (t) => {
  const options = loggedOptions(t);
  const folder = path.dirname(options.walPath);
  const client = await openClient(t, options);
  ok(await client.put('key', 'value'));
  const elsewhere = path.join(folderBeside(options, 'copies'), 'copy.wal');
  ok(await client.backup(elsewhere));
  const before = readdirSync(folder);
  const suffixes = ['.sealed.9', '.sealing', '.checkpoint', '.checkpoint.new', '.checkpoint.new.feed'];
  suffixes.push(
    '.torn',
    '.torn.new',
    '.new',
    '.key',
    '.key.new',
    '.lock',
    '.lock.pid',
    '.lease',
    '.lease.new',
  );
  for (const suffix of suffixes) {
    const walPath = `${options.walPath}${suffix}`;
    const error = refused(await client.backup(walPath), 'invalid_argument', /node\.wal beside it$/);
    assert.equal(error.kind, 'invalid_backup', suffix);
    const salvaged = refused(await salvage(elsewhere, walPath), 'invalid_argument');
    assert.equal(salvaged.kind, 'invalid_path', suffix);
  }
  for (const suffix of suffixes.filter((name) => !['.lock', '.lease'].includes(name))) {
    const second = new Client(ClientOptions.persistent('second', `${options.walPath}${suffix}`));
    assert.equal(refused(await second.open(), 'invalid_argument').kind, 'invalid_path', suffix);
  }
  assert.deepEqual(readdirSync(folder), before);
  ok(await client.backup(`${options.walPath}.copy`));
  ok(await client.close());
  ok(await client.open());
  assert.equal(ok(await client.get('key')).toString(), 'value');
});

test('no new log has a log beside it among its files, by whatever path it is reached', {
  skip: process.platform === 'win32' && 'links take a privilege on Windows',
}, async (t) => {
  const { walPath } = loggedOptions(t);
  const folder = path.dirname(walPath);
  const client = await openClient(t, ClientOptions.persistent('node', `${walPath}.new`));
  ok(await client.put('key', 'value'));
  const other = path.join(folder, '..', `${path.basename(folder)}-link`);
  symlinkSync(folder, other);
  const linked = path.join(other, path.basename(walPath));
  for (const to of [walPath, linked]) {
    assert.equal(refused(await client.backup(to), 'invalid_argument').kind, 'invalid_backup');
  }
  // A backup that was never opened has no lease, and is known as the log that is salvaged.
  ok(await client.backup(`${walPath}.copy.torn.new`));
  const salvaged = await salvage(`${walPath}.copy.torn.new`, `${linked}.copy`);
  assert.equal(refused(salvaged, 'invalid_argument').kind, 'invalid_path');
  ok(await salvage(`${walPath}.copy.torn.new`, `${linked}.saved`));
  ok(await client.close());
  ok(await client.open());
  assert.equal(client.size(), 1);
});
