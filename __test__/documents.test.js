// The documents: their programs run and print what they say, their links lead somewhere, also in the package, and
// docs/api.md and docs/errors.md name everything that there is. The codes and kinds are in kinds.test.js.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import * as sdk from '@softadastra/sdk';
import { root } from '../scripts/sources.js';
import { installPacked } from './support/packed.js';
import { runProgram } from './support/processes.js';

/** Documents of the repository and of the package, by their path in either. */
const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs']
  .flatMap((name) => {
    if (name.endsWith('.md')) return [name];
    const inside = readdirSync(path.join(root, name), { recursive: true });
    return inside.filter((file) => file.endsWith('.md')).map((file) => path.join(name, file));
  })
  .sort();

const textOf = (document, folder = root) => readFileSync(path.join(folder, document), 'utf8');

/** An empty project with the packed files. */
let project;
before(() => {
  project = mkdtempSync(path.join(tmpdir(), 'softadastra-documents-'));
  installPacked(project);
});
after(() => rmSync(project, { recursive: true, force: true, maxRetries: 5 }));

/**
 * The programs of a document. One that imports nothing goes on from the first of its document, as the document says.
 */
function programsOf(document) {
  const blocks = [...textOf(document).matchAll(/^```js\n([\s\S]*?)^```$/gm)].map(([, program]) => program);
  return blocks.map((block, at) => ({
    name: `${document}, program ${at + 1}`,
    text: /^import /m.test(block) ? block : `${blocks[0]}\n${block}`,
  }));
}

/** The lines that a program says it prints: in a comment after a `console.log`, or in those that follow it. */
function promisedLines(program) {
  const promised = [];
  let isPrinting = false;
  for (const line of program.split('\n')) {
    const [, code, comment] = line.match(/^(.*?)(?:(?:^|;) *\/\/ (.*))?$/);
    isPrinting = code.trim() === '' ? isPrinting && comment !== undefined : code.includes('console.log(');
    if (isPrinting && comment !== undefined) promised.push(comment);
  }
  return promised;
}

const programs = documents.flatMap(programsOf);

test('programs were found in the pages for users', () => {
  for (const page of ['README.md', 'docs/api.md', 'docs/errors.md', 'docs/operations.md', 'docs/sync.md']) {
    assert.ok(
      programs.some(({ name }) => name.startsWith(path.normalize(page))),
      page,
    );
  }
  assert.ok(programs.flatMap(({ text }) => promisedLines(text)).length > 30);
});

for (const { name, text } of programs) {
  test(`${name} runs and prints what it says`, async () => {
    // Below the project, so that each has a folder of its own and finds the package all the same.
    const folder = mkdtempSync(path.join(project, 'program-'));
    writeFileSync(path.join(folder, 'program.mjs'), text);
    const { code, stdout, stderr } = await runProgram(['program.mjs'], { cwd: folder });
    assert.deepEqual([code, stderr], [0, '']);
    const printed = stdout.split('\n');
    for (const line of promisedLines(text)) {
      const at = printed.indexOf(line);
      assert.ok(at >= 0, `${line}\nis not printed, or not in this place:\n${stdout}`);
      printed.splice(0, at + 1);
    }
  });
}

/** A heading as the end of a link: as GitHub makes it. */
const anchorOf = (heading) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

const anchorsOf = (text) =>
  new Set(
    [...text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      anchorOf(heading),
    ),
  );

/** The links of all documents of a folder that lead nowhere. */
function deadLinks(folder) {
  const dead = [];
  for (const document of documents) {
    for (const [, link] of textOf(document, folder).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [place, anchor] = link.split('#');
      const target = place === '' ? document : path.join(path.dirname(document), place);
      const isThere = existsSync(path.join(folder, target));
      const isRight = isThere && (anchor === undefined || anchorsOf(textOf(target, folder)).has(anchor));
      if (!isRight) dead.push(`${document}: ${link}`);
    }
  }
  return dead;
}

test('links between documents lead to files and headings that are there', () => {
  assert.deepEqual(deadLinks(root), []);
});

test('every document is in the package, with all that it links to', () => {
  const installed = path.join(project, 'node_modules', '@softadastra', 'sdk');
  for (const document of documents) assert.equal(textOf(document, installed), textOf(document), document);
  assert.deepEqual(deadLinks(installed), []);
});

test('the README is short', () => {
  assert.ok(textOf('README.md').split('\n').length <= 151, 'at most 150 lines');
});

test('docs/api.md names every call, option and member', () => {
  const api = textOf('docs/api.md');
  const named = new Set([...api.matchAll(/`[^`\n]*`/g)].flatMap(([code]) => code.match(/[A-Za-z_]+/g) ?? []));
  const membersOf = (value) =>
    typeof value === 'function' && value.prototype !== undefined
      ? [...Object.getOwnPropertyNames(value.prototype), ...Object.getOwnPropertyNames(value)]
      : [];
  const builtIn = new Set([
    'constructor',
    'length',
    'name',
    'prototype',
    'stackTraceLimit',
    'captureStackTrace',
  ]);
  const members = Object.entries(sdk)
    .flatMap(([name, value]) => [name, ...membersOf(value)])
    .filter((name) => !builtIn.has(name));
  const { ClientOptions, NodeInfo, Peer, SyncResult, TickResult } = sdk;
  const fields = [
    new ClientOptions(),
    new Peer('a', '127.0.0.1', 1),
    new NodeInfo(),
    new SyncResult(),
    new TickResult(),
  ].flatMap((instance) => Object.keys(instance));
  assert.ok(members.length > 80 && fields.length > 40, `${members.length} members, ${fields.length} fields`);
  assert.deepEqual(
    [...new Set([...members, ...fields])].filter((name) => !named.has(name)),
    [],
  );
});

test('the kinds that docs/api.md names are explained in docs/errors.md', () => {
  const kinds = new Set(textOf('docs/errors.md').match(/`[a-z_]+`/g));
  const tables = textOf('docs/api.md').split('| Call | Gives | Fails with |\n').slice(1);
  const rows = tables.flatMap((table) => table.slice(0, table.indexOf('\n\n')).split('\n'));
  const named = rows.flatMap((row) => row.split('|')[3].match(/`[a-z]+_[a-z_]+`/g) ?? []);
  assert.ok(named.length > 40, `${named.length} kinds were found`);
  assert.deepEqual(
    named.filter((kind) => !kinds.has(kind)),
    [],
  );
});
