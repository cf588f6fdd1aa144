// Programs made by bundlers, in an empty project with the packed files, as docs/bundlers.md describes.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { installPacked } from './support/packed.js';
import { runProgram } from './support/processes.js';

const require = createRequire(import.meta.url);

const uses = `new Client(ClientOptions.memoryOnly('bundled'));
  const opened = await client.open();
  console.log(opened.isOk() ? 'opened' : \`\${opened.error().kind}: \${opened.error().message}\`);
  await client.close();`;

let project;
before(() => {
  project = mkdtempSync(path.join(tmpdir(), 'softadastra-bundlers-'));
  installPacked(project);
  const write = (name, text) => writeFileSync(path.join(project, name), text);
  write('app.mjs', `import { Client, ClientOptions } from '@softadastra/sdk';\nconst client = ${uses}\n`);
  write(
    'app.cjs',
    `const { Client, ClientOptions } = require('@softadastra/sdk');\n(async () => {\nconst client = ${uses}\n})();\n`,
  );
});
after(() => rmSync(project, { recursive: true, force: true, maxRetries: 5 }));

const inProject = (name) => path.join(project, name);

/**
 * Output of a bundle in its project, where `node_modules` is, or after it was moved away with its neighbouring
 * files.
 */
async function says(folder, program, isMoved) {
  let cwd = inProject(folder);
  if (isMoved) {
    cwd = mkdtempSync(path.join(tmpdir(), 'softadastra-moved-'));
    cpSync(inProject(folder), cwd, { recursive: true });
  }
  const { stdout, stderr } = await runProgram([program], { cwd });
  if (isMoved) rmSync(cwd, { recursive: true });
  assert.equal(stderr, '');
  return stdout;
}

test('esbuild: with the addon beside the bundle, and with the package outside', async () => {
  const { build } = require('esbuild');
  const common = { bundle: true, platform: 'node', logLevel: 'error' };
  await build({
    ...common,
    entryPoints: [inProject('app.cjs')],
    loader: { '.node': 'copy' },
    outfile: inProject('esbuild/app.cjs'),
  });
  assert.equal(await says('esbuild', 'app.cjs', true), 'opened\n');
  await build({
    ...common,
    entryPoints: [inProject('app.mjs')],
    format: 'esm',
    external: ['@softadastra/sdk'],
    outfile: inProject('esbuild-outside/app.mjs'),
  });
  assert.equal(await says('esbuild-outside', 'app.mjs', false), 'opened\n');
});

test('a bundle without its addon finds it in node_modules, or says what to do', async () => {
  const { build } = require('esbuild');
  await build({
    bundle: true,
    platform: 'node',
    logLevel: 'error',
    entryPoints: [inProject('app.cjs')],
    external: ['@softadastra/sdk-*'],
    outfile: inProject('without/app.cjs'),
  });
  assert.equal(await says('without', 'app.cjs', false), 'opened\n');
  assert.match(await says('without', 'app.cjs', true), /^addon_missing: .*external.*docs\/bundlers\.md/);
});

test('rollup: with the package outside', async () => {
  const { rollup } = require('rollup');
  const bundle = await rollup({ input: inProject('app.mjs'), external: ['@softadastra/sdk'] });
  await bundle.write({ file: inProject('rollup/app.mjs'), format: 'es' });
  await bundle.close();
  assert.equal(await says('rollup', 'app.mjs', false), 'opened\n');
});

test('webpack: with the package outside, and what is said of an addon that it took for a picture', async () => {
  const webpack = require('webpack');
  const pack = (folder, more) =>
    new Promise((resolve, reject) => {
      const output = { path: inProject(folder), filename: 'app.cjs' };
      const common = { mode: 'production', target: 'node20', context: project, entry: './app.cjs', output };
      webpack({ ...common, ...more }, (error, stats) => {
        if (error || stats.hasErrors()) reject(error ?? new Error(stats.toString('errors-only')));
        else resolve();
      });
    });
  await pack('webpack', { externals: { '@softadastra/sdk': 'commonjs @softadastra/sdk' } });
  assert.equal(await says('webpack', 'app.cjs', false), 'opened\n');
  await pack('webpack-asset', { module: { rules: [{ test: /\.node$/, type: 'asset/resource' }] } });
  assert.match(await says('webpack-asset', 'app.cjs', true), /^addon_missing: .*docs\/bundlers\.md/);
});

test('@vercel/ncc: brings the addon', async () => {
  const ncc = require('@vercel/ncc');
  const { code, assets } = await ncc(inProject('app.cjs'), { quiet: true, cache: false });
  mkdirSync(inProject('ncc'));
  writeFileSync(inProject('ncc/index.cjs'), code);
  for (const [name, { source }] of Object.entries(assets)) writeFileSync(inProject(`ncc/${name}`), source);
  assert.equal(await says('ncc', 'index.cjs', true), 'opened\n');
});

test('@vercel/nft: lists the addon', async () => {
  const { nodeFileTrace } = require('@vercel/nft');
  const { fileList } = await nodeFileTrace([inProject('app.mjs')], { base: project });
  const addons = [...fileList].filter((file) => file.endsWith('.node'));
  assert.equal(addons.length, 1, `${addons}`);
  assert.match(addons[0], /^node_modules\/@softadastra\/sdk-/);
});
