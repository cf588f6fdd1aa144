import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Client, ClientOptions } from '@softadastra/sdk';
import { temporaryFolder } from './support/folders.js';
import { ok } from './support/results.js';

const MEMORY_MIB = 32;
const VALUE_BYTES = 8_000_000;
const VALUES = 30;

/** Memory of this process that is in no file, in MiB. */
function anonymousMib() {
  const [, kib] = /RssAnon:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'));
  return Number(kib) >> 10;
}

test('the memory budget holds for large values, and a closed client holds nothing', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const options = ClientOptions.fast('large', path.join(temporaryFolder(t), 'large.wal'));
  options.memoryBytes = MEMORY_MIB << 20;
  const client = new Client(options);
  ok(await client.open());
  const value = Buffer.alloc(VALUE_BYTES, 1);
  const before = anonymousMib();
  let most = 0;
  for (let index = 0; index < VALUES; index += 1) {
    ok(await client.put(`key/${index}`, value));
    most = Math.max(most, anonymousMib() - before);
  }
  ok(await client.close());
  const left = anonymousMib() - before;
  // Beside the budget: the value on its way through the log and the checkpoint, and Node.js.
  assert.ok(most < 3 * MEMORY_MIB + 32, `${most} MiB while ${(VALUES * VALUE_BYTES) >> 20} MiB were written`);
  assert.ok(left < MEMORY_MIB, `${left} MiB after close()`);
});
