// Installs what a folder's lock file names, unless that is done already.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { must } from './run.js';
import { digestOf, root } from './sources.js';

export function install(folder = '.') {
  const stamp = path.join(root, folder, 'node_modules', '.installed-lock-file');
  const wanted = digestOf([path.join(folder, 'package-lock.json')]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  must('npm', 'ci', '--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error');
  writeFileSync(stamp, wanted);
}
