'use strict';

// Refuses arguments that a call does not take, in every call of a client.

const { surplusArgument } = require('./arguments.js');
const { readCloseOptions } = require('./calls.js');
const { Result } = require('./result.js');
const { answered } = require('./turns.js');

/** Arguments of the rare calls, in words for messages. The frequent calls check their own. */
const TAKES = Object.freeze({
  open: '',
  batch: 'operations',
  flush: '',
  compact: '',
  backup: 'walPath and options',
  syncStateInfo: '',
  tick: 'options',
  conflicts: 'options',
  conflict: 'key',
  resolve: 'key and value',
  retryFailed: '',
  outbox: 'options',
  waitFor: 'operation and options',
  startSync: '',
  stopSync: '',
  startTransport: '',
  stopTransport: '',
  connect: 'peer',
  disconnect: 'peer',
  peers: '',
  verify: 'peer and options',
  startDiscovery: '',
  stopDiscovery: '',
  recovery: '',
  stats: '',
  nodeInfo: '',
  refreshNodeInfo: '',
});

/** Synchronous calls without arguments: their result cannot report a failure. */
const ANSWERS = ['isOpen', 'size', 'empty', 'options', 'transportRunning', 'discoveryRunning'];

const hasSurplus = (given, count) => given.slice(count).some((argument) => argument !== undefined);

const countOf = (takes) => (takes === '' ? 0 : takes.split(' and ').length);

/** Makes the calls of a client refuse surplus arguments, instead of ignoring them. */
function refuseSurplus(prototype) {
  const replace = (name, wrap) => {
    const value = wrap(prototype[name]);
    Object.defineProperty(value, 'name', { value: name });
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
  };
  for (const [name, takes] of Object.entries(TAKES)) {
    replace(name, (call) => refusing(name, takes, call));
  }
  for (const name of ANSWERS) replace(name, (call) => warning(name, call));
  replace('close', closing);
}

function refusing(name, takes, call) {
  const count = countOf(takes);
  return function refuse(...given) {
    // A client that is not open reports that first.
    if (given.length > count && hasSurplus(given, count) && (name === 'open' || this.isOpen())) {
      return answered(Result.err(surplusArgument(name, takes)), 0);
    }
    return Reflect.apply(call, this, given);
  };
}

/** Wraps `close()`, which closes in any case, and reports surplus arguments afterwards. */
function closing(call) {
  return async function close(...given) {
    const { failure, compact } = readCloseOptions(given[0]);
    const closed = await Reflect.apply(call, this, [{ compact: failure === undefined && compact }]);
    const wrong = failure ?? (hasSurplus(given, 1) ? surplusArgument('close', 'options') : undefined);
    return closed.isOk() && wrong !== undefined ? Result.err(wrong) : closed;
  };
}

function warning(name, call) {
  let hasWarned = false;
  return function warn(...given) {
    if (given.length > 0 && !hasWarned && hasSurplus(given, 0)) {
      hasWarned = true;
      process.emitWarning(surplusArgument(name, '').message, 'SoftadastraWarning');
    }
    return Reflect.apply(call, this, []);
  };
}

module.exports = { refuseSurplus };
