import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { root } from '../../scripts/sources.js';

const shell = process.platform === 'win32';

let packed;

/** The folder with the packed files, which are made once per process. */
function packedFiles() {
  if (packed !== undefined) return packed;
  packed = mkdtempSync(path.join(tmpdir(), 'softadastra-packed-'));
  process.on('exit', () => rmSync(packed, { recursive: true, force: true }));
  const packing = spawnSync(process.execPath, ['scripts/package.js', '--to', packed], { cwd: root });
  assert.equal(packing.status, 0, `${packing.stderr}`);
  return packed;
}

/** Installs the packed files, or those with these names, into an empty folder: offline, and with an empty npm cache. */
export function installPacked(folder, files = readdirSync(packedFiles())) {
  const tarballs = files.map((file) => path.join(packedFiles(), file));
  const { status, stderr } = spawnSync(
    'npm',
    ['install', '--offline', '--cache', path.join(folder, 'cache'), '--no-audit', '--no-fund', ...tarballs],
    { cwd: folder, shell },
  );
  assert.equal(status, 0, `${stderr}`);
  const manifest = path.join(folder, 'package.json');
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(manifest, 'utf8')), type: 'module' }));
}
