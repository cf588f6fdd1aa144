// The types for `require`: TypeScript takes `index.d.ts` for those of a module, because package.json says "module", and
// a file that is required for another one. Both say the same and are taken for one another, since no class has a private
// part; so the second is copied from the first, here and into the package. Run by itself, this checks both.
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { run } from './run.js';
import { root } from './sources.js';

export function writeTypesForRequire() {
  copyFileSync(path.join(root, 'index.d.ts'), path.join(root, 'index.d.cts'));
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeTypesForRequire();
  process.exitCode = run('npx', '--no-install', 'tsc', '-p', '__test__/types');
}
