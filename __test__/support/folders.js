import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Makes an empty folder that is removed when the test ends. */
export function temporaryFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), 'softadastra-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
