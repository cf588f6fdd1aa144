// Builds the addon into js/native, unless it is there and no source has changed since.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { install } from './install.js';
import { must } from './run.js';
import { digestOf, root } from './sources.js';

const SOURCES = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'src', 'scripts/build.js'];
const target = path.join(root, 'js', 'native');
const stamp = path.join(target, 'built');

export function build() {
  const wanted = digestOf(SOURCES);
  const isBuilt = existsSync(stamp) && readdirSync(target).some((name) => name.endsWith('.node'));
  if (isBuilt && readFileSync(stamp, 'utf8') === wanted) return;
  install();
  mkdirSync(target, { recursive: true });
  must(
    'npx',
    '--no-install',
    'napi',
    'build',
    '--platform',
    '--release',
    '--features',
    'node-api',
    '--no-js',
    '--output-dir',
    'js/native',
  );
  writeFileSync(stamp, wanted);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) build();
