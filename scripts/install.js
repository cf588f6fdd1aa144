// Installs what building and testing need, unless that is done already.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { must } from './run.js';
import { digestOf, root } from './sources.js';

const stamp = path.join(root, 'node_modules', '.softadastra-installed');

export function install() {
  const wanted = digestOf(['package.json', 'package-lock.json']);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  must('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error');
  writeFileSync(stamp, wanted);
}
