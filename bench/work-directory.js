// Where the contenders keep their files: all below one directory, so on one disk.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param {string} root the directory of the whole run
 * @param {string} name what the directory is for
 * @returns {string} the path of an existing, empty directory
 */
export function freshDirectory(root, name) {
  const path = join(root, name.replace(/[^a-z0-9-]+/gi, '-'));
  removeDirectory(path);
  mkdirSync(path, { recursive: true });
  return path;
}

/** @param {string} path a directory that is no longer needed */
export function removeDirectory(path) {
  rmSync(path, { recursive: true, force: true });
}

/**
 * Lets the disk finish what the last contender left in memory, so that the next one does not pay for it. Windows has
 * no such command; there the deleted directory has to be enough.
 */
export function settleDisk() {
  if (process.platform !== 'win32') execFileSync('sync');
}
