'use strict';

// `ClientOptions`: the fields, their defaults, and the factories. `option-rules.js` judges them.

const { surplusArgument } = require('./arguments.js');
const { isLoopback } = require('./peer.js');
const { frozenPrefixes } = require('./prefixes.js');

const DISCOVERY_PORT = 9400;
const LOCALHOST = '127.0.0.1';
const EVERYBODY = '255.255.255.255';
/** What `local()` names for whoever turns the log on: the one path that means nothing by itself. */
const UNUSED_WAL_PATH = 'data/sdk-store.wal';

/** Why options cannot be opened that were made with more arguments than there are. */
const refused = new WeakMap();

function refuseSurplus(options, surplus, call, takes) {
  if (surplus.length > 0) refused.set(options, surplusArgument(call, takes));
  return options;
}

/** The refusal of what {@link ClientOptions} were made with and do not take, if there was something. */
const surplusOf = (options) => refused.get(options);

/** How further options are said. */
const SET_OTHERS = '(set other options on what it gives)';

/** A property that reads as something else while nothing was written to it. */
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

    // What is left undefined keeps its default; what is unknown is kept, so that open() can name it.
    for (const [name, value] of Object.entries(given ?? {})) {
      if (value !== undefined) this[name] = value;
    }
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

/** Every name that may be set. */
const OPTION_NAMES = Object.freeze(Object.keys(new ClientOptions()));

/** The options as they are now, as plain data that nothing can change any more. */
function frozenOptions(options, changes) {
  const copy = Object.create(ClientOptions.prototype);
  for (const name of OPTION_NAMES) copy[name] = options[name];
  copy.prefixes = frozenPrefixes(copy.prefixes);
  if (Array.isArray(copy.allowedPeers)) copy.allowedPeers = Object.freeze([...copy.allowedPeers]);
  if (typeof copy.ackPolicy === 'object' && copy.ackPolicy !== null && !Array.isArray(copy.ackPolicy))
    copy.ackPolicy = Object.freeze({ ...copy.ackPolicy });
  return Object.freeze(Object.assign(copy, changes));
}

module.exports = { ClientOptions, OPTION_NAMES, UNUSED_WAL_PATH, frozenOptions, surplusOf };
