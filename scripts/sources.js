import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

export const root = path.resolve(import.meta.dirname, '..');

/** Every file below the given files and folders, in a fixed order. */
function filesIn(places) {
  return places.flatMap((place) => {
    const full = path.join(root, place);
    if (!statSync(full, { throwIfNoEntry: false })?.isDirectory()) return [place];
    const inside = readdirSync(full).sort();
    return filesIn(inside.map((name) => path.join(place, name)));
  });
}

/** A hash over names and contents: equal exactly when nothing was changed. */
export function digestOf(places) {
  const hash = createHash('sha256');
  for (const file of filesIn(places)) {
    hash.update(`${file}\0`);
    hash.update(readFileSync(path.join(root, file)));
    hash.update('\0');
  }
  return hash.digest('hex');
}
