import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { runProgram } from './support/processes.js';

const program = path.join(import.meta.dirname, 'programs', 'fake-timers.js');

for (const when of ['after', 'before']) {
  test(`calls resolve with timers that were faked ${when} the package was loaded`, async () => {
    const { code, stdout, stderr } = await runProgram([program, when]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '5000\n' }, stderr);
  });
}
