// A peer was met once and stays away, while much is written: what does the node keep for it? Bytes that the allocator has
// handed out tell it to the kilobyte; what a process has of the system differs by tens of megabytes from one to the next,
// and a program of our own crate counts them.

import { buildProgram, numberOf } from '../rust-program.js';
import { freshDirectory } from '../work-directory.js';

const PROGRAM = 'absent_peer';
const MEGABYTE = 1e6;

/**
 * @param {string} _module only the product takes part
 * @param {{ directory: string }} settings where the program goes
 */
export async function build(_module, { directory }) {
  buildProgram(PROGRAM, directory);
}

/**
 * @param {string} _module only the product takes part
 * @param {{ directory: string, count: number }} settings
 * @returns {Promise<{ figure: number, beside: Record<string, number> }>} megabytes that the node has for itself more
 *   than one that has never met anybody, after both have written the same; beside it, what the latter has
 */
export async function measure(_module, { directory, count }) {
  const megabytes = (mode) =>
    numberOf(PROGRAM, directory, mode, `${count}`, freshDirectory(directory, mode)) / MEGABYTE;
  const alone = megabytes('alone');
  return { figure: megabytes('met') - alone, beside: { 'all memory without the peer': alone } };
}
