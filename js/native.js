'use strict';

const { existsSync } = require('node:fs');
const path = require('node:path');
const { ErrorCode, failure, reasonOf } = require('./error.js');

const VERSION = '0.1.0';

/** Where the addon exists: what Node calls the machine, and the suffix of its package. */
const PLATFORMS = Object.freeze({
  'linux-x64': ['linux-x64-gnu', 'linux-x64-musl'],
  'linux-arm64': ['linux-arm64-gnu', 'linux-arm64-musl'],
  'darwin-x64': ['darwin-x64'],
  'darwin-arm64': ['darwin-arm64'],
  'win32-x64': ['win32-x64-msvc'],
  'win32-arm64': ['win32-arm64-msvc'],
});

/** Whether this Node runs on musl: glibc names its version in the report, musl does not. */
function isMusl() {
  const { report } = process;
  const { excludeNetwork } = report;
  try {
    // The report would otherwise look up the names of all addresses of this machine.
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

const refuse = (kind, message, more) => ({ failure: failure(ErrorCode.InternalError, kind, message, more) });

function find() {
  const { machine, suffix } = platform();
  if (suffix === undefined) {
    return refuse('unsupported_platform', `no addon exists for ${machine}`, { context: machine });
  }
  const built = path.join(__dirname, 'native', `softadastra.${suffix}.node`);
  const name = `@softadastra/sdk-${suffix}`;
  const wanted = existsSync(built) ? built : name;
  try {
    return checked(require(wanted), wanted);
  } catch (cause) {
    const missing = cause?.code === 'MODULE_NOT_FOUND' && wanted === name;
    return missing
      ? refuse('addon_missing', `the addon for ${suffix} is missing: install ${name}@${VERSION}`, {
          context: name,
          cause,
        })
      : refuse('addon_broken', `the addon ${wanted} cannot be loaded: ${reasonOf(cause)}`, {
          context: name,
          cause,
        });
  }
}

function checked(addon, wanted) {
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

/** The addon, loaded at the first call: `{ addon }`, or `{ failure }` that names the package that is missing. */
function loadAddon() {
  if (found === undefined || found.failure !== undefined) found = find();
  return found;
}

module.exports = { VERSION, loadAddon };
