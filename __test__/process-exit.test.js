import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { ClientOptions } from '@softadastra/sdk';
import { openClient } from './support/clients.js';
import { temporaryFolder } from './support/folders.js';
import { runProgram } from './support/processes.js';

const program = (name) => path.join(import.meta.dirname, 'programs', `${name}.js`);

test('an idle client, listening and with listeners, lets the process end', async () => {
  const { code, stdout, stderr } = await runProgram([program('idle')]);
  assert.equal(code, 0, stderr);
  rmSync(stdout.trim(), { recursive: true });
});

test('writes under way hold the process until they are done', async (t) => {
  const walPath = path.join(temporaryFolder(t), 'node.wal');
  const { code, stdout, stderr } = await runProgram([program('pending'), walPath]);
  assert.deepEqual([code, stdout, stderr], [0, 'done 1000\n', '']);
  const client = await openClient(t, ClientOptions.persistent('node-pending', walPath));
  assert.equal(client.size(), 1000);
});

test('awaiting a watch holds the process', async () => {
  const { code, stdout, stderr } = await runProgram([program('watching')]);
  assert.deepEqual([code, stdout, stderr], [0, 'a\n', '']);
});

test('a client that nobody holds any more closes, after its writes', async (t) => {
  const walPath = path.join(temporaryFolder(t), 'node.wal');
  const { code, stdout, stderr } = await runProgram(['--expose-gc', program('dropped'), walPath]);
  assert.deepEqual([code, stdout, stderr], [0, '100\n', '']);
});

for (const [way, expected] of Object.entries({ exit: 3, close: 3, throw: 1, reject: 1 })) {
  test(`leaving while it writes is clean: ${way}`, async (t) => {
    const walPath = path.join(temporaryFolder(t), 'node.wal');
    for (let round = 0; round < 3; round += 1) {
      const { code, signal } = await runProgram([program('exit'), walPath, way]);
      assert.deepEqual([code, signal], [expected, null]);
    }
    const client = await openClient(t, ClientOptions.persistent('node-exit', walPath));
    for (let n = 0; n < 20; n += 1) assert.ok(client.contains(`done/${n}`), 'what was acknowledged is there');
  });
}
