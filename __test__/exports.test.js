import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import * as namespace from '@softadastra/sdk';
import { root } from '../scripts/sources.js';

const imported = { ...namespace };
const require = createRequire(import.meta.url);
const required = require('@softadastra/sdk');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
const declarations = readFileSync(path.join(root, 'index.d.ts'), 'utf8');

/** Members of a class as `index.d.ts` declares them: the file has one member a line. */
function declared(name) {
  const start = declarations.search(new RegExp(`^export declare class ${name}[ <]`, 'm'));
  assert.ok(start >= 0, `${name} is declared`);
  const body = declarations.slice(start, declarations.indexOf('\n}\n', start));
  const members = { fields: new Set(), methods: new Set(), statics: new Set() };
  for (const [, modifiers, member, mark] of body.matchAll(
    /^ {2}((?:static |readonly )*)(\[Symbol\.\w+\]|\w+)(\?|<[^(]*>)?(?=[(:])/gm,
  )) {
    const isCall = body.includes(`  ${modifiers}${member}${mark ?? ''}(`);
    if (member === 'constructor') continue;
    if (modifiers.includes('static')) members.statics.add(member);
    else members[isCall ? 'methods' : 'fields'].add(member);
  }
  return members;
}

const named = (key) => (key === Symbol.asyncDispose ? '[Symbol.asyncDispose]' : key);

/** Symbols under which objects show themselves to `util.inspect`, and to other loads of the package. */
const SHOWN = ['nodejs.util.inspect.custom', '@softadastra/sdk.Value', '@softadastra/sdk.Key'].map((name) =>
  Symbol.for(name),
);

/** Members of a class at run time, without those for programs that no user writes. */
function real(type, instance) {
  const methods = Reflect.ownKeys(type.prototype)
    .filter((key) => key !== 'constructor' && key !== 'name' && !SHOWN.includes(key))
    .map(named);
  const statics = Reflect.ownKeys(type).filter((key) => !['length', 'name', 'prototype'].includes(key));
  return { fields: new Set(Object.keys(instance)), methods: new Set(methods), statics: new Set(statics) };
}

const instances = {
  Client: () => new imported.Client(imported.ClientOptions.local('a')),
  ClientOptions: () => imported.ClientOptions.local('a'),
  Key: () => new imported.Key('a'),
  NodeInfo: () => new imported.NodeInfo(),
  Peer: () => imported.Peer.local('a', 1),
  Result: () => imported.Result.ok(),
  SyncResult: () => new imported.SyncResult(),
  TickResult: () => new imported.TickResult(),
  Value: () => imported.Value.fromString('a'),
};

test('import and require give the same classes, under the documented names', () => {
  const functions = ['salvage', 'verify'];
  const names = [...Object.keys(instances), 'ErrorCode', 'SoftadastraError', ...functions].sort();
  for (const name of functions) {
    assert.equal(typeof imported[name], 'function');
    assert.match(declarations, new RegExp(`^export declare function ${name}\\(`, 'm'));
  }
  assert.deepEqual(Object.keys(imported).sort(), names);
  assert.deepEqual(Object.keys(required).sort(), names);
  for (const name of names) assert.equal(imported[name], required[name]);
});

for (const [name, make] of Object.entries(instances)) {
  test(`${name} is what index.d.ts says`, () => {
    const there = real(imported[name], make());
    const said = declared(name);
    for (const kind of ['fields', 'methods', 'statics']) {
      assert.deepEqual([...there[kind]].sort(), [...said[kind]].sort(), kind);
    }
  });
}

test('SoftadastraError is what index.d.ts says', () => {
  const said = declared('SoftadastraError');
  const error = new imported.SoftadastraError('unknown', 'x', { cause: 1 });
  for (const field of said.fields) assert.ok(field in error, field);
  for (const method of said.methods) assert.equal(typeof error[method], 'function');
});

test('every member of index.d.ts has prose', () => {
  const lines = declarations.split('\n');
  const bare = lines.filter(
    (line, n) =>
      /^(export|declare|interface)/.test(line) &&
      n > 0 &&
      !lines[n - 1].endsWith('*/') &&
      !line.includes("from '"),
  );
  assert.deepEqual(bare, []);
});

test('the other spellings are the same functions', () => {
  const { Client, NodeInfo } = imported;
  for (const [alias, name] of Object.entries({
    sync_state_info: 'syncStateInfo',
    start_transport: 'startTransport',
    stop_transport: 'stopTransport',
    transport_running: 'transportRunning',
    start_discovery: 'startDiscovery',
    stop_discovery: 'stopDiscovery',
    discovery_running: 'discoveryRunning',
    node_info: 'nodeInfo',
    refresh_node_info: 'refreshNodeInfo',
  })) {
    assert.equal(Client.prototype[alias], Client.prototype[name]);
  }
  assert.equal(NodeInfo.prototype.uptime_ms, NodeInfo.prototype.uptimeMs);
});

test('the platform packages fit the manifest, the loader and each other', () => {
  const loader = readFileSync(path.join(root, 'js', 'native.js'), 'utf8');
  const folders = readdirSync(path.join(root, 'npm')).sort();
  assert.equal(folders.length, manifest.napi.targets.length);
  assert.ok(loader.includes(`const VERSION = '${manifest.version}'`));
  for (const folder of folders) {
    const { name, version, main, os, cpu, libc, engines, license } = JSON.parse(
      readFileSync(path.join(root, 'npm', folder, 'package.json'), 'utf8'),
    );
    assert.deepEqual([name, version], [`@softadastra/sdk-${folder}`, manifest.version]);
    assert.equal(main, `${manifest.napi.binaryName}.${folder}.node`);
    assert.deepEqual([engines, license], [manifest.engines, manifest.license]);
    assert.ok(folder.startsWith(`${os[0]}-${cpu[0]}`));
    assert.equal(libc?.[0], folder.endsWith('musl') ? 'musl' : folder.endsWith('gnu') ? 'glibc' : undefined);
    assert.ok(loader.includes(`'${folder}'`), `the loader knows ${folder}`);
  }
});

test('nothing runs when the package is installed', () => {
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) {
    assert.equal(manifest.scripts[script], undefined);
  }
  assert.equal(manifest.dependencies, undefined);
});

test('every package of the lock file has the hash of its files', () => {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const bare = Object.entries(packages).filter(([name, { integrity }]) => name !== '' && !integrity);
  assert.deepEqual(
    bare.map(([name]) => name),
    [],
  );
});
