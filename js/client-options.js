'use strict';

// `ClientOptions`: the fields, their defaults, and the factories. `option-rules.js` checks them.

const { hasNames, isPlain, surplusArgument } = require('./arguments.js');
const { invalidArgument, reasonOf } = require('./error.js');
const { isLoopback } = require('./peer.js');
const { frozenPrefixes, frozenStart } = require('./prefixes.js');

const DISCOVERY_PORT = 9400;
const LOCALHOST = '127.0.0.1';
const EVERYBODY = '255.255.255.255';
/**
 * The path in the options of `local()`, for programs that turn the log on. Without a log it has no meaning and is
 * accepted.
 */
const UNUSED_WAL_PATH = 'data/sdk-store.wal';

/** Most allowed peers that a copy of the options shows. More than any network has, and few enough to copy at once. */
const ALLOWED_PEERS_MAX = 65_536;

const NOT_OPTIONS = 'invalid configuration: options must be a ClientOptions or an object';

/** Failures of options that were made with wrong arguments, reported by open(). */
const refused = new WeakMap();

function refuseSurplus(options, surplus, call, takes) {
  if (surplus.length > 0) refused.set(options, surplusArgument(call, takes));
  return options;
}

/** The failure of {@link ClientOptions} that were made with wrong arguments; `undefined` if there is none. */
const refusedOf = (options) => refused.get(options);

/** Advice in messages about surplus arguments. */
const SET_OTHERS = '(set other options on what it gives)';

/** Defines a property that reads as a fallback until something is written to it. */
function fallsBack(options, name, fallback) {
  let given;
  Object.defineProperty(options, name, {
    enumerable: true,
    configurable: true,
    get: () => (given === undefined || given === '' ? fallback() : given),
    set: (value) => {
      given = value;
    },
  });
}

/** Reads options. An exception of a getter becomes a failure, reported by open(). */
function attempted(read) {
  try {
    return read();
  } catch (cause) {
    const message = `invalid configuration: options could not be read: ${reasonOf(cause)}`;
    return { failure: invalidArgument('unreadable', message, 'options') };
  }
}

/** Sets the options of an object. Returns the failure of anything else. */
function assignOptions(options, given) {
  if (given === undefined || given === null) return {};
  if (!hasNames(given)) return { failure: invalidArgument('invalid_option', NOT_OPTIONS, 'options') };
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined) options[name] = value;
  }
  return {};
}

class ClientOptions {
  constructor(given, ...surplus) {
    refuseSurplus(this, surplus, 'new ClientOptions', 'an object');
    this.nodeId = '';
    fallsBack(this, 'displayName', () => this.nodeId);
    this.version = '0.1.0';

    this.enableWal = false;
    this.walPath = '';
    this.autoFlush = true;
    this.createDirs = false;
    this.maxValueBytes = 64 * 1024 * 1024;
    this.memoryBytes = 0;
    this.cacheBytes = 256 * 1024 * 1024;
    this.checkpointLogBytes = 64 * 1024 * 1024;

    this.enableTransport = false;
    this.transportHost = LOCALHOST;
    this.transportPort = 0;

    this.enableDiscovery = false;
    this.discoveryHost = LOCALHOST;
    this.discoveryPort = DISCOVERY_PORT;
    fallsBack(this, 'discoveryBroadcastHost', () => (isLoopback(this.discoveryHost) ? LOCALHOST : EVERYBODY));
    this.discoveryBroadcastPort = DISCOVERY_PORT;
    this.autoConnect = false;

    this.networkKey = undefined;
    this.allowInsecure = false;
    this.allowedPeers = undefined;
    this.prefixes = undefined;

    this.conflictPolicy = 'lastWriteWins';
    this.ackPolicy = 'any';
    this.requireAck = true;
    this.syncIntervalMs = 0;
    this.batchSize = 1024;
    this.maxRetries = 5;
    this.retryIntervalMs = 5000;
    this.ackTimeoutMs = 10000;

    // An undefined field keeps its default; an unknown field is kept, so that open() can name it.
    const { failure } = attempted(() => assignOptions(this, given));
    if (failure !== undefined) refused.set(this, failure);
  }

  static local(nodeId, ...surplus) {
    const options = new ClientOptions({ nodeId, walPath: UNUSED_WAL_PATH });
    return refuseSurplus(options, surplus, 'ClientOptions.local', `nodeId ${SET_OTHERS}`);
  }

  static persistent(nodeId, walPath, ...surplus) {
    const options = new ClientOptions({ nodeId, walPath, enableWal: true });
    return refuseSurplus(options, surplus, 'ClientOptions.persistent', `nodeId and walPath ${SET_OTHERS}`);
  }

  static memoryOnly(nodeId, ...surplus) {
    const options = new ClientOptions({ nodeId, autoFlush: false });
    return refuseSurplus(options, surplus, 'ClientOptions.memoryOnly', `nodeId ${SET_OTHERS}`);
  }

  static durable(nodeId, walPath, ...surplus) {
    const options = ClientOptions.persistent(nodeId, walPath);
    return refuseSurplus(options, surplus, 'ClientOptions.durable', `nodeId and walPath ${SET_OTHERS}`);
  }

  static fast(nodeId, walPath, ...surplus) {
    const options = new ClientOptions({
      nodeId,
      walPath: walPath ?? '',
      enableWal: walPath !== undefined,
      autoFlush: false,
      maxRetries: 2,
      retryIntervalMs: 250,
      ackTimeoutMs: 1000,
    });
    return refuseSurplus(options, surplus, 'ClientOptions.fast', `nodeId and walPath ${SET_OTHERS}`);
  }
}

/** Names of all options. */
const OPTION_NAMES = Object.freeze(Object.keys(new ClientOptions()));

/** A frozen copy of the options, with `changes`. */
function frozenOptions(options, changes) {
  const copy = Object.create(ClientOptions.prototype);
  for (const name of OPTION_NAMES) copy[name] = options[name];
  copy.prefixes = frozenPrefixes(copy.prefixes);
  if (Array.isArray(copy.allowedPeers)) copy.allowedPeers = frozenStart(copy.allowedPeers, ALLOWED_PEERS_MAX);
  if (isPlain(copy.ackPolicy)) copy.ackPolicy = Object.freeze({ ...copy.ackPolicy });
  return Object.freeze(Object.assign(copy, changes));
}

module.exports = { ClientOptions, OPTION_NAMES, UNUSED_WAL_PATH, attempted, frozenOptions, refusedOf };
