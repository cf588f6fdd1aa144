// Programs of users: the examples of this repository, and those of the guides in an empty project with nothing but the
// packed files. They use the ports of the guides, so they run one after another.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { root } from '../scripts/sources.js';
import { temporaryFolder } from './support/folders.js';
import { installPacked } from './support/packed.js';
import { runProgram } from './support/processes.js';
import { until } from './support/until.js';

const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

/** Runs a program twice, which must give equal output. Returns the output. */
async function saysTwice(program, cwd) {
  const first = await runProgram([program], { cwd });
  const second = await runProgram([program], { cwd });
  for (const { code, stderr } of [first, second]) assert.deepEqual([code, stderr], [0, '']);
  assert.equal(first.stdout, second.stdout);
  return first.stdout;
}

const lines = (...text) => `${text.join('\n')}\n`;

const examples = {
  '01-local-store': lines('local store', '  key   : app/name', '  value : Softadastra SDK', '  size  : 1'),
  '02-persistent-store': lines(
    'persistent store',
    '  key         : settings/theme',
    '  value       : dark',
    '  wal path    : data/sdk-persistent-store.wal',
    '  store size  : 1',
    '  outbox size : 1',
  ),
  '03-remove-value': lines(
    'before remove',
    '  contains : yes',
    'after remove',
    '  contains : no',
    'read result: not_found',
  ),
  '04-basic-sync': lines(
    'before tick',
    '  outbox : 1',
    '  queued : 1',
    '  failed : 0',
    'sync tick',
    '  retried : 0',
    '  pruned  : 0',
    '  batch   : 1',
    'after tick',
    '  outbox : 1',
    '  queued : 1',
    '  failed : 0',
  ),
  '05-tcp-peer-sync': lines(
    'peer connection failed',
    '  peer    : node-tcp-b',
    '  address : 127.0.0.1:4042',
    '  error   : connection refused (127.0.0.1:4042)',
    'sync tick',
    '  retried : 0',
    '  pruned  : 0',
    '  batch   : 1',
    'transport running : yes',
  ),
};

for (const [name, expected] of Object.entries(examples)) {
  test(`example ${name}`, async (t) => {
    const folder = temporaryFolder(t);
    assert.equal(await saysTwice(path.join(root, 'examples', `${name}.js`), folder), expected);
  });
}

test('example 07-node-metadata', async (t) => {
  const { code, stdout } = await runProgram([path.join(root, 'examples', '07-node-metadata.js')], {
    cwd: temporaryFolder(t),
  });
  assert.equal(code, 0);
  assert.match(
    stdout,
    /^node metadata\n {2}node id {6}: node-metadata\n {2}display name : Softadastra SDK Node\n {2}hostname {5}: .+\n {2}os {11}: \S+\n {2}version {6}: 0\.1\.0\n {2}uptime ms {4}: \d+\n {2}capabilities : core, store, sync, metadata\n$/,
  );
});

test('example two-node-sync', async (t) => {
  const said = await saysTwice(path.join(root, 'examples', 'two-node-sync.js'), temporaryFolder(t));
  assert.match(said, /queued {7}: 1[\s\S]*acknowledged : 1[\s\S]*node-b reads message\/1: hello from node-a/);
});

/** Ports of this machine on which nothing listens, all different. */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  for (const server of servers) server.close();
  return ports;
}

const skip = process.platform === 'win32' && 'no signal ends a process gently there';

test('example two-processes exchanges a write each way, and ends at a signal', { skip }, async (t) => {
  const cwd = temporaryFolder(t);
  const [portA, portB] = await freePorts(2);
  const start = (...args) => {
    const child = spawn(process.execPath, [path.join(root, 'examples', 'two-processes.mjs'), ...args], {
      cwd,
    });
    t.after(() => child.kill('SIGKILL'));
    const run = { child, ended: once(child, 'close'), said: '' };
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        run.said += data;
      });
    return run;
  };
  const laptop = start('laptop', portA, 'phone', portB);
  const phone = start('phone', portB, 'laptop', portA);
  const said = ['hello/phone phone is here\n', 'hello/laptop laptop is here\n'];
  await until(() => laptop.said === said[0] && phone.said === said[1], 'each prints the write of the other');
  for (const { child, ended } of [laptop, phone]) {
    child.kill('SIGINT');
    assert.deepEqual(await ended, [0, null]);
  }
  assert.deepEqual([laptop.said, phone.said], said);
});

test('docs/sync.md shows the example two-processes as it is', () => {
  const example = readFileSync(path.join(root, 'examples', 'two-processes.mjs'), 'utf8');
  const page = readFileSync(path.join(root, 'docs', 'sync.md'), 'utf8');
  assert.ok(page.includes(`\n\`\`\`javascript\n${example}\`\`\`\n`));
});

test('every example is run by an npm script, and tested here', () => {
  const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  const numbered = readdirSync(path.join(root, 'examples')).filter((name) => /^\d.*\.js$/.test(name));
  for (const file of numbered) {
    const [, number, name] = file.match(/^(\d+)-(.*)\.js$/);
    assert.equal(scripts[`examples:${name}`], `node scripts/example.js ${number}-${name}`);
    assert.ok(`${number}-${name}` in examples || number === '07', file);
  }
});

/** Makes an empty project with the packed files installed. */
function project(t, files) {
  const folder = temporaryFolder(t);
  installPacked(folder, files);
  return folder;
}

/** Copies a program of a guide unchanged into a project. */
function guide(folder, name) {
  const program = path.join(folder, name);
  copyFileSync(path.join(import.meta.dirname, 'fixtures', name), program);
  mkdirSync(path.join(folder, 'data'), { recursive: true });
  return program;
}

test('the programs of the guides run unchanged in an empty project, on every run', async (t) => {
  const folder = project(t);
  assert.equal(
    await saysTwice(guide(folder, 'main.js'), folder),
    lines(
      'persistent write',
      '  key      : settings/theme',
      '  value    : dark',
      '  wal path : data/node-persistent.wal',
      '  size     : 1',
    ),
  );
  assert.equal(
    await saysTwice(guide(folder, 'recovery.js'), folder),
    lines('first run value written', 'recovered value: Softadastra'),
  );
  const program = guide(folder, 'two-node-sync.js');
  for (let run = 0; run < 3; run += 1) {
    const { code, stdout, stderr } = await runProgram([program], { cwd: folder });
    assert.deepEqual([code, stderr], [0, '']);
    const [before, after] = stdout.split('after tick\n');
    assert.equal(
      before,
      lines(
        'connected to node-b',
        '',
        'before tick',
        '  outbox : 1',
        '  queued : 1',
        '  failed : 0',
        '',
        'sync tick',
        '  retried : 0',
        '  pruned  : 0',
        '  batch   : 1',
        '',
      ),
    );
    // The speed of the acknowledgement decides whether it is queued; the guide says so.
    assert.match(after, /^ {2}outbox : 1\n {2}queued : [01]\n {2}failed : 0\n$/);
  }
});

test('a guide without a data folder says what is missing', async (t) => {
  const folder = project(t);
  const program = guide(folder, 'main.js');
  rmSync(path.join(folder, 'data'), { recursive: true });
  const { code, stderr } = await runProgram([program], { cwd: folder });
  assert.equal(code, 1);
  assert.equal(
    stderr,
    'failed to open client: failed to open WAL path data/node-persistent.wal: directory does not exist\n',
  );
});

test('import and require of the installed package give the same classes', async (t) => {
  const folder = project(t);
  writeFileSync(
    path.join(folder, 'both.cjs'),
    `const required = require('@softadastra/sdk');
    import('@softadastra/sdk').then(async (imported) => {
      const client = new required.Client(imported.ClientOptions.local('both'));
      const opened = await client.open();
      console.log(opened instanceof imported.Result, opened.isOk(), required.Client === imported.Client);
    });`,
  );
  const { stdout, stderr } = await runProgram(['both.cjs'], { cwd: folder });
  assert.deepEqual([stdout, stderr], ['true true true\n', '']);
});

test('without the package of the platform the package still loads, and open() names what is missing', async (t) => {
  const folder = project(t, [`softadastra-sdk-${version}.tgz`]);
  writeFileSync(
    path.join(folder, 'missing.js'),
    `import { Client, ClientOptions } from '@softadastra/sdk';
    const opened = await new Client(ClientOptions.local('a')).open();
    console.log(opened.error().code, opened.error().message);`,
  );
  const { stdout } = await runProgram(['missing.js'], { cwd: folder });
  assert.match(
    stdout,
    /^internal_error the addon for \S+ is missing: install @softadastra\/sdk-\S+@0\.1\.0\n$/,
  );
});

test('each addon brings the notices of what is linked into it', (t) => {
  const modules = path.join(project(t), 'node_modules', '@softadastra');
  const addons = readdirSync(modules).filter((name) => name !== 'sdk');
  assert.ok(addons.length > 0);
  for (const name of addons) {
    const notices = readFileSync(path.join(modules, name, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const linked of ['tokio', 'napi', 'libmimalloc-sys']) {
      assert.match(notices, new RegExp(`^${linked} \\d+\\.\\d+\\.\\d+: MIT$`, 'm'));
    }
    assert.doesNotMatch(notices, /^(proptest|syn|napi-derive) \d/m, 'what only builds is not linked');
  }
});

test('the addon needs no newer glibc than the documents say', { skip: process.platform !== 'linux' }, (t) => {
  const modules = path.join(project(t), 'node_modules', '@softadastra');
  const folder = readdirSync(modules).find((name) => name.endsWith('-gnu'));
  if (folder === undefined) return t.skip('an addon for musl');
  const file = readdirSync(path.join(modules, folder)).find((name) => name.endsWith('.node'));
  const addon = readFileSync(path.join(modules, folder, file), 'latin1');
  const needed = [...addon.matchAll(/\bGLIBC_2\.(\d+)\b/g)].map(([, minor]) => Number(minor));
  const operations = readFileSync(path.join(root, 'docs', 'operations.md'), 'utf8');
  assert.equal(Math.max(...needed), Number(operations.match(/needs glibc 2\.(\d+) or newer/)[1]));
  return undefined;
});
