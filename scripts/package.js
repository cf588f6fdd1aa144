// Leaves in dist/, or in the folder that --to names, the SDK and the package of every platform whose addon is
// here. With --release, as it is published: all platforms have to be here, and the SDK brings the one that
// fits from the registry.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.js';
import { notices } from './notices.js';
import { must } from './run.js';
import { root } from './sources.js';
import { writeTypesForRequire } from './types.js';

const { release: isRelease, to } = parseArgs({
  options: { release: { type: 'boolean', default: false }, to: { type: 'string', default: 'dist' } },
}).values;
const dist = path.resolve(root, to);
const stage = mkdtempSync(path.join(tmpdir(), 'softadastra-package-'));

const readJson = (...where) => JSON.parse(readFileSync(path.join(root, ...where), 'utf8'));

/** What Rust calls each platform. */
const TARGETS = Object.fromEntries(
  readJson('package.json').napi.targets.map((target) => [platformOf(target), target]),
);

function platformOf(target) {
  const [processor, , system, abi] = target.split('-');
  const name = { linux: 'linux', darwin: 'darwin', windows: 'win32' }[system];
  const cpu = processor === 'x86_64' ? 'x64' : 'arm64';
  return [name, cpu, abi].filter((part) => part !== undefined).join('-');
}

/** Where the addon of a platform is: built here, or put beside its manifest by a build elsewhere. */
function findAddon(folder, { main }) {
  const places = [path.join(root, 'js', 'native', main), path.join(root, 'npm', folder, main)];
  return places.find((place) => existsSync(place));
}

function pack(folder, manifest) {
  writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  must('npm', 'pack', folder, '--pack-destination', dist, '--loglevel=error');
}

/** Packs a platform's package if its addon is here; its name and version then. */
function packPlatform(folder) {
  const manifest = readJson('npm', folder, 'package.json');
  const addon = findAddon(folder, manifest);
  if (addon === undefined) {
    if (!isRelease) return [];
    console.error(`${manifest.name} has no ${manifest.main}: put it into npm/${folder}`);
    process.exit(1);
  }
  const staged = path.join(stage, folder);
  mkdirSync(staged);
  copyFileSync(addon, path.join(staged, manifest.main));
  copyFileSync(path.join(root, 'npm', folder, 'README.md'), path.join(staged, 'README.md'));
  copyLicense(staged);
  writeFileSync(path.join(staged, 'THIRD-PARTY-NOTICES.txt'), notices(TARGETS[folder]));
  pack(staged, manifest);
  return [[manifest.name, manifest.version]];
}

function copyLicense(staged) {
  const license = path.join(root, 'LICENSE');
  if (existsSync(license)) copyFileSync(license, path.join(staged, 'LICENSE'));
}

/**
 * How the SDK asks for its addon. From a registry npm picks the one that fits. From files there may be no
 * registry to ask, and npm asks about optional dependencies even when they are installed beside: as optional
 * peers they are used if they are there, and not looked for otherwise.
 */
function dependencies(platforms) {
  if (isRelease) return { optionalDependencies: Object.fromEntries(platforms) };
  return {
    peerDependencies: Object.fromEntries(platforms),
    peerDependenciesMeta: Object.fromEntries(platforms.map(([name]) => [name, { optional: true }])),
  };
}

function packSdk(platforms) {
  writeTypesForRequire();
  const { scripts, devDependencies, ...manifest } = readJson('package.json');
  const staged = path.join(stage, 'sdk');
  mkdirSync(staged);
  cpSync(path.join(root, 'js'), path.join(staged, 'js'), {
    recursive: true,
    filter: (from) => from !== path.join(root, 'js', 'native'),
  });
  // What links in README.md lead to.
  for (const name of [
    'index.d.ts',
    'index.d.cts',
    'README.md',
    'CHANGELOG.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'docs',
  ]) {
    cpSync(path.join(root, name), path.join(staged, name), { recursive: true });
  }
  copyLicense(staged);
  pack(staged, { ...manifest, ...dependencies(platforms) });
}

build();
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist);
const platforms = readdirSync(path.join(root, 'npm')).sort().flatMap(packPlatform);
packSdk(platforms);
rmSync(stage, { recursive: true });
