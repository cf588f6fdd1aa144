import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Client, ClientOptions } from '@softadastra/sdk';
import { loggedOptions, openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { ok, refused } from './support/results.js';

test('a client opens, closes and opens again, with its data', async (t) => {
  const client = new Client(loggedOptions(t));
  t.after(() => client.close());
  for (let round = 0; round < 3; round += 1) {
    assert.equal(client.isOpen(), false);
    ok(await client.open());
    assert.equal(client.isOpen(), true);
    assert.equal(client.size(), round);
    ok(await client.put(`round/${round}`, 'x'));
    ok(await client.close());
  }
});

test('opening and closing twice is ok', async (t) => {
  const client = await openClient(t);
  ok(await client.open());
  ok(await client.close());
  ok(await client.close());
  ok(await new Client(ClientOptions.local('never')).close());
});

test('opening at once from several places opens once', async (t) => {
  const client = new Client(loggedOptions(t));
  t.after(() => client.close());
  for (const result of await Promise.all([client.open(), client.open(), client.open()])) ok(result);
  ok(await client.put('a', '1'));
});

test('opening and closing take turns, in the order of the calls', async (t) => {
  const client = new Client(loggedOptions(t));
  t.after(() => client.close());
  const calls = [client.open(), client.close(), client.open(), client.close(), client.close(), client.open()];
  for (const result of await Promise.all(calls)) ok(result);
  assert.ok(client.isOpen());
});

test('closing while it opens leaves it closed, and the log free', async (t) => {
  const options = loggedOptions(t);
  const client = new Client(options);
  const [opened, closed] = await Promise.all([client.open(), client.close()]);
  ok(opened);
  ok(closed);
  assert.ok(!client.isOpen());
  await openClient(t, options);
});

test('once closing has begun nothing more is accepted, and what was is finished', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  const writes = Array.from({ length: 500 }, (_, n) => client.put(`k${n}`, `v${n}`));
  const closing = client.close();
  refused(await client.put('late', 'x'), 'invalid_state', 'SDK client is not open');
  refused(await client.get('k0'), 'invalid_state', 'SDK client is not open');
  assert.deepEqual([client.isOpen(), client.size(), client.contains('k0')], [false, 0, false]);
  for (const result of await Promise.all(writes)) assert.equal(ok(result).status, 'created');
  ok(await closing);
  const again = await openClient(t, options);
  assert.equal(again.size(), 500);
});

test('closing finishes also the writes that still wait for room', async (t) => {
  const options = Object.assign(loggedOptions(t), { autoFlush: false });
  const client = await openClient(t, options);
  const writes = Array.from({ length: 100 }, (_, n) => client.put(`k${n}`, Buffer.alloc(1 << 20, n)));
  ok(await client.close());
  for (const result of await Promise.all(writes)) ok(result);
  const again = await openClient(t, options);
  assert.equal(again.size(), 100);
  assert.ok(ok(await again.get('k99')).equals(Buffer.alloc(1 << 20, 99)));
});

test('the same options serve one client after another', async (t) => {
  const options = loggedOptions(t);
  const first = await openClient(t, options);
  ok(await first.put('app/name', 'Softadastra'));
  ok(await first.close());
  const second = await openClient(t, options);
  assert.equal(`${ok(await second.get('app/name'))}`, 'Softadastra');
});

test('a log in use is refused to a second client, and free after close', async (t) => {
  const options = loggedOptions(t, 'node-a');
  const first = await openClient(t, options);
  ok(await first.put('a', '1'));
  const second = new Client({ ...options, nodeId: 'node-b' });
  t.after(() => second.close());
  const inUse = refused(await second.open(), 'invalid_state', /^WAL path is in use by another node/);
  for (const part of [options.walPath, `process ${process.pid}`, 'close it there first']) {
    assert.ok(inUse.message.includes(part), inUse.message);
  }
  ok(await first.put('b', '2'));
  ok(await first.close());
  ok(await second.open());
  assert.equal(second.size(), 2);
});

test('clients in memory do not know each other', async (t) => {
  const one = await openClient(t, ClientOptions.memoryOnly('same'));
  const two = await openClient(t, ClientOptions.memoryOnly('same'));
  ok(await one.put('a', '1'));
  assert.equal(two.size(), 0);
  ok(await one.close());
  ok(await one.open());
  assert.equal(one.size(), 0);
});

test('many clients live in one process', async (t) => {
  const clients = await Promise.all(Array.from({ length: 40 }, () => openClient(t, loggedOptions(t))));
  const writes = await Promise.all(clients.map((client, n) => client.put('n', `${n}`)));
  writes.forEach(ok);
  for (const [n, client] of clients.entries()) assert.equal(`${ok(await client.get('n'))}`, `${n}`);
});

test('a directory that is missing is an error that names it', async (t) => {
  const walPath = path.join(temporaryFolder(t), 'missing', 'node.wal');
  const client = new Client(ClientOptions.persistent('a', walPath));
  refused(await client.open(), 'io_error', `failed to open WAL path ${walPath}: directory does not exist`);
  assert.ok(!existsSync(path.dirname(walPath)));
  const options = Object.assign(ClientOptions.persistent('a', walPath), { createDirs: true });
  const making = await openClient(t, options);
  ok(await making.put('a', '1'));
  assert.ok(existsSync(walPath));
});

test('a path that is a directory is refused', async (t) => {
  const folder = temporaryFolder(t);
  const error = refused(await new Client(ClientOptions.persistent('a', folder)).open(), 'io_error');
  assert.match(error.message, /failed to open WAL path/);
});

test('a path that is a device is refused', { skip: process.platform === 'win32' }, async () => {
  refused(await new Client(ClientOptions.persistent('a', '/dev/null')).open(), 'io_error', /dev.null/);
});

test("somebody else's file is refused and left as it is", async (t) => {
  const file = path.join(temporaryFolder(t), 'letter.txt');
  const text = 'Dear Ada,\n'.repeat(1000);
  writeFileSync(file, text);
  const error = refused(await new Client(ClientOptions.persistent('a', file)).open(), 'io_error');
  assert.match(error.message, /letter\.txt/);
  assert.equal(readFileSync(file, 'utf8'), text);
});

test('a path without permission is refused', {
  skip: process.getuid?.() === 0 || process.platform === 'win32',
}, async (t) => {
  const folder = path.join(temporaryFolder(t), 'locked');
  mkdirSync(folder, { mode: 0o500 });
  const walPath = path.join(folder, 'node.wal');
  refused(await new Client(ClientOptions.persistent('a', walPath)).open(), 'io_error', /permission denied/);
});

test('after a failed open the client may try again', async (t) => {
  const walPath = path.join(temporaryFolder(t), 'later', 'node.wal');
  const client = new Client(ClientOptions.persistent('a', walPath));
  t.after(() => client.close());
  refused(await client.open(), 'io_error');
  refused(await client.put('a', '1'), 'invalid_state', 'SDK client is not open');
  mkdirSync(path.dirname(walPath));
  ok(await client.open());
});

test('await using closes', { skip: Symbol.asyncDispose === undefined }, async (t) => {
  const client = await openClient(t);
  await client[Symbol.asyncDispose]();
  assert.ok(!client.isOpen());
});

/** Files of a folder that this process has open, or has mapped into its memory. */
function heldFiles(folder) {
  const opened = readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch {
      return []; // the one that this listing had open
    }
  });
  const mapped = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return [...opened, ...mapped].filter((file) => file.includes(folder));
}

test('a closed client holds no file, whatever of it is still in hand', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const options = loggedOptions(t);
  const folder = path.dirname(options.walPath);
  const client = await openClient(t, options);
  const { operation } = ok(await client.put('a', 'x'.repeat(5000)));
  ok(await client.compact());
  ok(await client.backup(path.join(folder, 'copy.wal')));
  const kept = [
    client.entries(),
    client.watch(),
    client.waitFor(operation),
    client.verify('nobody'),
    client.get('a'),
    client.syncStateInfo(),
  ];
  await kept[0].next();
  assert.notDeepEqual(heldFiles(folder), []);
  ok(await client.close());
  assert.deepEqual(heldFiles(folder), []);
  assert.equal(refused(await kept[2], 'invalid_state').kind, 'closed_while_waiting');
});

test('memory of a closed client is given back without a garbage collection', async (t) => {
  const sizes = [];
  for (let round = 0; round < 5; round += 1) {
    const client = await openClient(t);
    const value = Buffer.alloc(1 << 20, round + 1);
    // Each write is awaited, so that nothing else waits in JavaScript.
    for (let n = 0; n < 100; n += 1) ok(await client.put(`${n}`, value));
    ok(await client.close());
    sizes.push(process.memoryUsage.rss() >> 20);
  }
  // An allocator keeps less than two rounds wrote; a leak would be four times that.
  assert.ok(sizes.at(-1) - sizes[0] < 200, `MiB after each of five times 100: ${sizes.join(', ')}`);
});

test('open and close may be called in any order without waiting, and the last of them decides', async (t) => {
  const options = loggedOptions(t);
  const client = await openClient(t, options);
  for (let round = 0; round < 40; round += 1) {
    const names = [...round.toString(2)].map((digit) => (digit === '1' ? 'open' : 'close'));
    const results = await Promise.all([...names, 'open', 'close', ...names].map((name) => client[name]()));
    for (const result of results) ok(result);
    assert.equal(client.isOpen(), names.at(-1) === 'open', names.join(' '));
  }
});
