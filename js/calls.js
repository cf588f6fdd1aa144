'use strict';

// Reads the options of each call that has options of its own.

const {
  checkContent,
  checkCount,
  checkFlag,
  checkKey,
  checkNames,
  checkPrefix,
  guarded,
  hasNames,
  surplusArgument,
} = require('./arguments.js');
const { invalidArgument } = require('./error.js');
const { textOf } = require('./key.js');
const { checkPeer, checkPeerNames } = require('./peer.js');
const { frozenPrefixes } = require('./prefixes.js');
const { BATCH_BYTES_MAX, batchTooLarge } = require('./refusals.js');
const { isSignal } = require('./signals.js');
const { contentOf } = require('./value.js');

const PEERS_MAX = 2 ** 31 - 1;

// Readers of the arguments of each call besides key and value. A reader reads every argument once, and returns either
// `{ failure }` or plain data.

/** Reads the arguments of `entries({ prefix, after, limit })`. */
function readEntriesOptions(given) {
  return guarded('options', () => {
    const unknown = checkNames(given, ['prefix', 'after', 'limit'], 'options');
    if (unknown !== undefined) return { failure: unknown };
    const { prefix, after, limit } = given ?? {};
    const start = after === undefined ? undefined : textOf(after);
    const failure =
      (prefix === undefined ? undefined : checkPrefix(prefix, 'prefix')) ??
      (after === undefined ? undefined : checkPrefix(start, 'after')) ??
      checkCount(limit, 0, Number.MAX_SAFE_INTEGER, 'limit');
    return { failure, prefix: prefix ?? '', after: start, limit: limit ?? Number.POSITIVE_INFINITY };
  });
}

/** Reads the arguments of `conflicts({ prefix })`. */
function readConflictsOptions(given) {
  return guarded('options', () => {
    const unknown = checkNames(given, ['prefix'], 'options');
    if (unknown !== undefined) return { failure: unknown };
    const prefix = given?.prefix;
    const failure = prefix === undefined ? undefined : checkPrefix(prefix, 'prefix');
    return { failure, prefix: prefix ?? '' };
  });
}

/** Reads the arguments of `watch(prefix, { signal })`. */
function readWatchArguments(prefix, given, surplus) {
  return guarded('options', () => {
    const failure =
      (surplus === undefined ? undefined : surplusArgument('watch', 'prefix and options')) ??
      (prefix === undefined ? undefined : checkPrefix(prefix, 'prefix')) ??
      checkNames(given, ['signal'], 'options');
    if (failure !== undefined) return { failure };
    const signal = given?.signal;
    if (signal === undefined || isSignal(signal)) return { prefix: prefix ?? '', signal };
    return { failure: invalidArgument('invalid_signal', 'signal must be an AbortSignal', 'signal') };
  });
}

/** Reads the arguments of `backup(walPath, { onProgress, signal })`. */
function readBackupArguments(path, given) {
  return guarded('options', () => {
    const refuse = (message, name) => ({ failure: invalidArgument('invalid_backup', message, name) });
    if (typeof path !== 'string' || path === '')
      return refuse('walPath must be a non-empty string', 'walPath');
    if (!path.isWellFormed() || path.includes('\0')) {
      return refuse('walPath must be valid Unicode text without NUL', 'walPath');
    }
    const failure = checkNames(given, ['onProgress', 'signal'], 'options');
    if (failure !== undefined) return { failure };
    const { onProgress, signal } = given ?? {};
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      return refuse('onProgress must be a function', 'onProgress');
    }
    if (signal !== undefined && !isSignal(signal)) return refuse('signal must be an AbortSignal', 'signal');
    return { path, onProgress, signal };
  });
}

const OUTBOX_STATES = ['queued', 'inFlight', 'acknowledged', 'failed'];
/** Default number of outbox entries that a call returns: as many as people can look at. */
const OUTBOX_LIMIT = 1000;
/**
 * Largest number of outbox entries that a call returns, because all of them are in memory at once; `after` leads to
 * more.
 */
const OUTBOX_LIMIT_MAX = 100_000;

/** Reads the arguments of `outbox({ state, after, limit })`. */
function readOutboxOptions(given) {
  return guarded('options', () => {
    const unknown = checkNames(given, ['state', 'after', 'limit'], 'options');
    if (unknown !== undefined) return { failure: unknown };
    const { state, after, limit } = given ?? {};
    if (state !== undefined && !OUTBOX_STATES.includes(state)) {
      const message = `state must be one of ${OUTBOX_STATES.join(', ')}`;
      return { failure: invalidArgument('invalid_options', message, 'state') };
    }
    const failure =
      checkCount(after, 0, Number.MAX_SAFE_INTEGER, 'after') ??
      checkCount(limit, 0, OUTBOX_LIMIT_MAX, 'limit');
    return { failure, state, after: after ?? 0, limit: limit ?? OUTBOX_LIMIT };
  });
}

/** Reads the arguments of `waitFor(operation, { peer, count, signal })`. */
function readWaitArguments(operation, given) {
  return guarded('options', () => {
    if (operation === undefined) {
      return refuseWait(
        'operation is missing; a removal or batch that wrote nothing has none: nothing was written, so there is nothing to wait for',
        'operation',
      );
    }
    if (typeof operation !== 'string' || !operation.isWellFormed()) {
      return refuseWait('operation must be "all", or a write as its result names it', 'operation');
    }
    const failure = checkNames(given, ['peer', 'count', 'signal'], 'options');
    if (failure !== undefined) return { failure };
    const { peer, count, signal } = given ?? {};
    if (signal !== undefined && !isSignal(signal)) {
      return refuseWait('signal must be an AbortSignal', 'signal');
    }
    return { operation, signal, ...readHolders(peer, count) };
  });
}

const refuseWait = (message, name) => ({ failure: invalidArgument('invalid_wait', message, name) });

/** Reads the peers that must hold a write; without `peer` and `count`: all. */
function readHolders(peer, count) {
  if (peer === undefined && count === 'all') return {};
  if (peer === undefined) return { failure: checkCount(count, 1, PEERS_MAX, 'count'), count: count ?? 1 };
  if (count !== undefined) return refuseWait('give either peer or count', 'count');
  if (typeof peer === 'string' && peer !== '' && peer.isWellFormed()) return { peer };
  return refuseWait('peer must be the node id of a peer', 'peer');
}

/** Reads the arguments of `tick()`, `tick(true)` and `tick({ prune: true })`. */
function readTickOptions(given) {
  return guarded('options', () => {
    if (typeof given === 'boolean') return { prune: given };
    const failure = checkNames(given, ['prune'], 'options');
    if (failure !== undefined) return { failure };
    const prune = given?.prune;
    return { failure: checkFlag(prune, 'prune'), prune: prune === true };
  });
}

/** Reads the arguments of `close({ compact: true })`. */
function readCloseOptions(given) {
  return guarded('options', () => {
    const failure = checkNames(given, ['compact'], 'options');
    if (failure !== undefined) return { failure };
    const compact = given?.compact;
    return { failure: checkFlag(compact, 'compact'), compact: compact === true };
  });
}

/** Reads the argument of `connect(peer)`: a Peer, or any object with its three fields. */
function readPeer(given) {
  return guarded('peer', () => {
    const failure = checkPeerNames(given);
    if (failure !== undefined) return { failure };
    const { nodeId, host, port } = given;
    const prefixes = frozenPrefixes(given.prefixes);
    return { failure: checkPeer({ nodeId, host, port, prefixes }), nodeId, host, port, prefixes };
  });
}

/** Reads the arguments of `verify(peer, { signal })`: a Peer, or the node id of one. */
function readVerifyArguments(peer, given) {
  return guarded('options', () => {
    // Only the node id of an object counts, so that the peers in reports will do as well.
    const nodeId = typeof peer === 'object' && peer !== null ? peer.nodeId : peer;
    if (typeof nodeId !== 'string' || nodeId === '' || !nodeId.isWellFormed()) {
      const misspelled = typeof peer === 'object' ? checkPeerNames(peer) : undefined;
      const message = 'invalid peer: peer must be a Peer, or the node id of one';
      return { failure: misspelled ?? invalidArgument('invalid_peer', message, 'peer') };
    }
    const failure = checkNames(given, ['signal'], 'options');
    if (failure !== undefined) return { failure };
    const signal = given?.signal;
    if (signal === undefined || isSignal(signal)) return { nodeId, signal };
    return { failure: invalidArgument('invalid_signal', 'signal must be an AbortSignal', 'signal') };
  });
}

/**
 * Reads `batch([{ put: key, value }, { remove: key }])` into keys and a parallel array of contents, `null` for a
 * removal.
 */
function readBatch(given) {
  return guarded('operations', () => {
    if (!Array.isArray(given)) {
      return { failure: invalidArgument('invalid_batch', 'operations must be an array', 'operations') };
    }
    // A key has at least one byte, so a longer array could not be written, whatever is in it.
    if (given.length > BATCH_BYTES_MAX) return { failure: batchTooLarge() };
    const keys = [];
    const values = [];
    for (let index = 0; index < given.length; index += 1) {
      const { failure, key, content } = readOperation(given[index], `operations[${index}]`);
      if (failure !== undefined) return { failure };
      keys.push(key);
      values.push(content);
    }
    return { keys, values };
  });
}

function readOperation(given, what) {
  const shape = `${what} must be { put: key, value } or { remove: key }`;
  const refuse = () => ({ failure: invalidArgument('invalid_batch', shape, what) });
  if (!hasNames(given)) return refuse();
  const names = Object.keys(given).sort().join();
  if (names === 'remove') return readNamed(given.remove, null, what);
  return names === 'put,value' ? readNamed(given.put, contentOf(given.value), what, given.value) : refuse();
}

// The addon checks keys and contents of the right type; it is quicker, and so is the common case.
function readNamed(name, content, what, given) {
  const key = textOf(name);
  if (key === undefined) return { failure: checkKey(key, `${what}: key`) };
  if (content !== undefined) return { key, content };
  return { failure: checkKey(key, `${what}: key`) ?? checkContent(content, 0, `${what}: value`, given) };
}

module.exports = {
  readCloseOptions,
  readBackupArguments,
  readBatch,
  readConflictsOptions,
  readEntriesOptions,
  readOutboxOptions,
  readPeer,
  readTickOptions,
  readVerifyArguments,
  readWaitArguments,
  readWatchArguments,
};
