// The notices of what is linked into the addon of a platform: each crate with its version, its licence as it says it itself,
// and the text of every licence that lies in it. For scripts/package.js; alone it shows them.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './sources.js';

const METADATA_BYTES_MAX = 64 * 1024 * 1024;
/** Files that a licence asks to pass on. */
const NOTICE = /^(licen[cs]e|copying|copyright|notice|unlicense)/i;
/** Code in another language that a crate brings with it, and its licence. */
const BROUGHT = { 'libmimalloc-sys': ['c_src/mimalloc/v2/LICENSE', 'c_src/mimalloc/LICENSE'] };

function metadata(target) {
  const { status, stdout, stderr } = spawnSync(
    'cargo',
    ['metadata', '--format-version', '1', '--locked', '--filter-platform', target, '--features', 'node-api'],
    { cwd: root, encoding: 'utf8', maxBuffer: METADATA_BYTES_MAX },
  );
  if (status !== 0) throw new Error(`cargo metadata failed: ${stderr}`);
  return JSON.parse(stdout);
}

/** The packages that are linked in: what is used to build, or runs in the compiler, is not. */
export function linkedPackages(target) {
  const { packages, resolve } = metadata(target);
  const byId = new Map(packages.map((one) => [one.id, one]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const isMacro = (id) => byId.get(id).targets.some(({ kind }) => kind.includes('proc-macro'));
  const linked = new Set();
  const waiting = [resolve.root];
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
      if (!kinds.some(({ kind }) => kind === null) || isMacro(pkg) || linked.has(pkg)) continue;
      linked.add(pkg);
      waiting.push(pkg);
    }
  }
  return [...linked].map((id) => byId.get(id)).sort((a, b) => a.name.localeCompare(b.name));
}

/** The texts that lie in a package. */
function textsOf({ name, manifest_path: manifest }) {
  const folder = path.dirname(manifest);
  const own = readdirSync(folder).filter((file) => NOTICE.test(file));
  const files = [...own, ...(BROUGHT[name] ?? [])].map((file) => path.join(folder, file));
  return files
    .filter((file) => existsSync(file) && statSync(file).isFile())
    .map((file) => readFileSync(file, 'utf8').replaceAll('\r\n', '\n').trim());
}

export function notices(target) {
  const packages = linkedPackages(target);
  // The same text is in many packages: each is shown once.
  const texts = new Map();
  for (const one of packages) {
    for (const text of textsOf(one)) texts.set(text, [...(texts.get(text) ?? []), one.name]);
  }
  const list = packages.map(({ name, version, license }) => `${name} ${version}: ${license ?? 'see below'}`);
  const shown = [...texts].map(([text, names]) => `${'-'.repeat(80)}\n${names.join(', ')}\n\n${text}\n`);
  return `What is linked into this addon, and the licences of it.\n\n${list.join('\n')}\n\n${shown.join('\n')}`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [target = 'x86_64-unknown-linux-gnu'] = process.argv.slice(2);
  process.stdout.write(notices(target));
}
