'use strict';

// The functions `verify` and `salvage`, which work on the files of a log that no client has open.

const { surplusArgument } = require('./arguments.js');
const { invalidArgument, unexpected } = require('./error.js');
const { loadAddon } = require('./native.js');
const { salvageOf, verificationOf } = require('./reports.js');
const { Result } = require('./result.js');
const { answered } = require('./turns.js');

/** Checks the path of a log. Returns the failure, or `undefined`. */
function checkPath(path, what) {
  if (typeof path !== 'string') return invalidArgument('invalid_path', `${what} must be a string`, what);
  if (path.isWellFormed()) return undefined;
  return invalidArgument('invalid_path', `${what} has a lone surrogate, which no path has`, what);
}

/** Makes a call of the addon about files that no client has open. */
async function ask(question, convert) {
  const { addon, failure } = loadAddon();
  if (failure !== undefined) return Result.err(failure);
  try {
    const outcome = await question(addon);
    return outcome.ok ? Result.ok(convert(outcome.value)) : Result.err(outcome.error);
  } catch (cause) {
    return Result.err(unexpected(cause));
  }
}

async function verify(walPath, surplus) {
  const wrong = surplus === undefined ? checkPath(walPath, 'walPath') : surplusArgument('verify', 'walPath');
  return wrong === undefined
    ? ask((addon) => addon.verifyLog(walPath), verificationOf)
    : answered(Result.err(wrong), 0);
}

async function salvage(fromWalPath, toWalPath, surplus) {
  if (surplus !== undefined) {
    return answered(Result.err(surplusArgument('salvage', 'fromWalPath and toWalPath')), 0);
  }
  const wrong = checkPath(fromWalPath, 'fromWalPath') ?? checkPath(toWalPath, 'toWalPath');
  if (wrong !== undefined) return answered(Result.err(wrong), 0);
  return ask((addon) => addon.salvageLog(fromWalPath, toWalPath), salvageOf);
}

module.exports = { salvage, verify };
