// Where the contenders keep their files: all below one directory, so on one disk.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
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

/** @param {string} from a directory @param {string} to an empty one that gets everything that is in it */
export function copyDirectory(from, to) {
  cpSync(from, to, { recursive: true });
}

/** @param {string} path a directory whose files are to be in the page cache */
export function readFiles(path) {
  for (const file of filesOf(path)) readFileSync(file);
}

/**
 * @param {string} path a directory
 * @returns {number} how many bytes of the disk its files take; what was only reserved counts, holes do not
 */
export function bytesOnDisk(path) {
  const bytes = filesOf(path).map((file) => statSync(file).blocks * 512); // the unit of `blocks`, on every system
  return bytes.reduce((sum, one) => sum + one, 0);
}

function filesOf(path) {
  const found = readdirSync(path, { recursive: true, withFileTypes: true });
  return found.filter((one) => one.isFile()).map((one) => join(one.parentPath ?? one.path, one.name));
}

/**
 * Lets the disk finish what the last contender left in memory, so that the next one does not pay for it. Windows has
 * no such command; there the deleted directory has to be enough.
 */
export function settleDisk() {
  if (process.platform !== 'win32') execFileSync('sync');
}
