'use strict';

// Finds and loads the addon for this machine, or names the missing package.

const { existsSync } = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { ErrorCode, failure, reasonOf } = require('./error.js');

const VERSION = '0.1.0';

/**
 * Loads the addon of a platform, by the suffix of its package. Each name is written out, because bundlers and file
 * tracers find required packages by reading the code; and within `try`, because they then treat it as optional: only
 * one of them is installed.
 */
function requirePackage(suffix) {
  try {
    switch (suffix) {
      case 'linux-x64-gnu':
        return require('@softadastra/sdk-linux-x64-gnu');
      case 'linux-x64-musl':
        return require('@softadastra/sdk-linux-x64-musl');
      case 'linux-arm64-gnu':
        return require('@softadastra/sdk-linux-arm64-gnu');
      case 'linux-arm64-musl':
        return require('@softadastra/sdk-linux-arm64-musl');
      case 'darwin-x64':
        return require('@softadastra/sdk-darwin-x64');
      case 'darwin-arm64':
        return require('@softadastra/sdk-darwin-arm64');
      case 'win32-x64-msvc':
        return require('@softadastra/sdk-win32-x64-msvc');
      default:
        return require('@softadastra/sdk-win32-arm64-msvc');
    }
  } catch (cause) {
    return requireBeside(`@softadastra/sdk-${suffix}`, cause);
  }
}

/**
 * Loads the addon's package where a bundler has moved the code and replaced `require`: searched from the bundle and
 * from the program. Throws the first failure if it is in neither.
 */
function requireBeside(name, cause) {
  if (!isMissing(cause)) throw cause;
  const anchors = [here, process.argv[1], path.join(process.cwd(), 'package.json')];
  for (const anchor of anchors) {
    if (anchor === undefined || !path.isAbsolute(anchor)) continue;
    const requireFrom = createRequire(anchor);
    let file;
    try {
      file = requireFrom.resolve(name);
    } catch {
      continue; // not from here
    }
    return requireFrom(file);
  }
  throw cause;
}

/** True for the error of a missing module: Node.js gives it a code, code of bundlers only words. */
const isMissing = (cause) =>
  cause?.code === 'MODULE_NOT_FOUND' ||
  /^(Cannot find module|Could not dynamically require|Dynamic require of|require is not defined)/.test(
    reasonOf(cause),
  );

/** Path of this file; `undefined` in a module that a bundler has made. */
const here = typeof __filename === 'string' ? __filename : undefined;

/** Package suffixes by the machine's name in Node.js; of two the second is for musl. */
const PLATFORMS = Object.freeze({
  'linux-x64': ['linux-x64-gnu', 'linux-x64-musl'],
  'linux-arm64': ['linux-arm64-gnu', 'linux-arm64-musl'],
  'darwin-x64': ['darwin-x64'],
  'darwin-arm64': ['darwin-arm64'],
  'win32-x64': ['win32-x64-msvc'],
  'win32-arm64': ['win32-arm64-msvc'],
});

/** True if this Node.js runs on musl: the report names the version of glibc, and none for musl. */
function isMusl() {
  const { report } = process;
  const { excludeNetwork } = report;
  try {
    // Without this the report would resolve the names of all addresses of this machine.
    report.excludeNetwork = true;
    return report.getReport().header.glibcVersionRuntime === undefined;
  } finally {
    report.excludeNetwork = excludeNetwork;
  }
}

function platform() {
  const machine = `${process.platform}-${process.arch}`;
  const found = PLATFORMS[machine];
  if (found === undefined) return { machine };
  return { machine, suffix: found.length === 2 && isMusl() ? found[1] : found[0] };
}

/** Path of the addon in a clone of the repository; `undefined` in a package, which contains none. */
function builtHere(suffix) {
  if (isBundled()) return undefined;
  const built = path.join(path.dirname(here), 'native', `softadastra.${suffix}.node`);
  return existsSync(built) ? built : undefined;
}

/** True if a bundler has moved this code into another file. */
const isBundled = () => here === undefined || !here.endsWith(path.join('js', 'native.js'));

const refuse = (kind, message, more) => ({ failure: failure(ErrorCode.InternalError, kind, message, more) });

function missing(suffix, name, cause) {
  const message = isBundled()
    ? `the addon of @softadastra/sdk is not where this bundle is: keep @softadastra/sdk out of the bundle (external), or ` +
      `put the package ${name} into a node_modules folder beside it; docs/bundlers.md says how for each bundler`
    : `the addon for ${suffix} is missing: install ${name}@${VERSION}`;
  return refuse('addon_missing', message, { context: name, cause });
}

function find() {
  const { machine, suffix } = platform();
  if (suffix === undefined) {
    return refuse('unsupported_platform', `no addon exists for ${machine}`, { context: machine });
  }
  const built = builtHere(suffix);
  const name = `@softadastra/sdk-${suffix}`;
  const wanted = built ?? name;
  try {
    return checked(built === undefined ? requirePackage(suffix) : createRequire(here)(built), wanted);
  } catch (cause) {
    if (built === undefined && isMissing(cause)) return missing(suffix, name, cause);
    const message = `the addon ${wanted} cannot be loaded: ${reasonOf(cause)}`;
    return refuse('addon_broken', message, { context: name, cause });
  }
}

function checked(addon, wanted) {
  if (typeof addon?.packageVersion !== 'function') {
    // A bundler that treats the addon as an asset or as text returns its name, or its bytes.
    return missing(wanted.replace('@softadastra/sdk-', ''), wanted);
  }
  const version = addon.packageVersion();
  if (version === VERSION) return { addon };
  return refuse(
    'addon_version',
    `the addon ${wanted} is version ${version}, and this package is ${VERSION}`,
    {
      context: wanted,
    },
  );
}

let found;

/** Loads the addon at the first call. Returns `{ addon }`, or `{ failure }` that names the missing package. */
function loadAddon() {
  if (found === undefined || found.failure !== undefined) found = find();
  return found;
}

module.exports = { VERSION, loadAddon };
