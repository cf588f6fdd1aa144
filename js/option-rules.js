'use strict';

// Checks options, field by field, when a client is opened.

const { hasNames, isPlain } = require('./arguments.js');
const { invalidArgument } = require('./error.js');
const {
  ClientOptions,
  OPTION_NAMES,
  UNUSED_WAL_PATH,
  attempted,
  frozenOptions,
  refusedOf,
} = require('./client-options.js');
const { PORT_MAX } = require('./peer.js');
const { wrongPrefixes } = require('./prefixes.js');
const { didYouMean } = require('./spelling.js');

/** Longest label, in bytes. Labels travel in every handshake, so the engine keeps them short. */
const LABEL_BYTES_MAX = 255;
const VALUE_BYTES_MAX = 64 * 1024 * 1024;
/** Longest interval of the engine's timers, in milliseconds: a little under 25 days. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;
const COUNT_MAX = 2 ** 31 - 1;

/** Conflict policies by all their names in the documents, in lower case. */
const CONFLICT_POLICIES = Object.freeze({
  lastwritewins: 'lastWriteWins',
  keeplocal: 'keepLocal',
  keepremote: 'keepRemote',
  applyremote: 'keepRemote',
  manual: 'manual',
  custom: 'manual',
});

// A rule takes the value of an option, and all options, and returns the fault in words; `undefined`: none.

const flag = (given) => (typeof given === 'boolean' ? undefined : 'must be true or false');

const whole = (least, most) => (given) =>
  Number.isInteger(given) && given >= least && given <= most
    ? undefined
    : `must be a whole number from ${least} to ${most}`;

const text = (given) => {
  if (typeof given !== 'string') return 'must be a string';
  if (!given.isWellFormed() || given.includes('\0')) return 'must be valid Unicode text without NUL';
  return undefined;
};

const label = (given) => {
  const wrong = text(given);
  if (wrong !== undefined) return wrong;
  if (given === '') return 'must not be empty';
  return Buffer.byteLength(given) > LABEL_BYTES_MAX
    ? `must be at most ${LABEL_BYTES_MAX} bytes long`
    : undefined;
};

const hostWhen = (feature) => (given, options) =>
  text(given) ?? (given === '' && options[feature] === true ? 'must not be empty' : undefined);

const port = whole(0, PORT_MAX);

const policyOf = (given) =>
  typeof given === 'string' && Object.hasOwn(CONFLICT_POLICIES, given.toLowerCase())
    ? CONFLICT_POLICIES[given.toLowerCase()]
    : undefined;

const conflictPolicy = (given) =>
  policyOf(given) === undefined ? 'must be lastWriteWins, keepLocal, keepRemote or manual' : undefined;

const ACK_POLICY_NAMES = ['count', 'memory'];
const ACK_POLICY = 'must be "any", "all" or how many peers must acknowledge, at least 1';

const ackCount = (given) =>
  given === 'any' || given === 'all' || whole(1, COUNT_MAX)(given) === undefined ? undefined : ACK_POLICY;

const ackPolicy = (given) => {
  if (!isPlain(given)) return ackCount(given);
  const unknown = Object.keys(given).find((name) => !ACK_POLICY_NAMES.includes(name));
  if (unknown !== undefined)
    return `has an unknown field: ${unknown}${didYouMean(unknown, ACK_POLICY_NAMES)}`;
  const wrong = given.count === undefined ? undefined : ackCount(given.count);
  if (wrong !== undefined) return `count ${wrong}`;
  const memory = given.memory === undefined ? undefined : flag(given.memory);
  return memory === undefined ? undefined : `memory ${memory}`;
};

// Refused rather than ignored: a program that sets a key believes that its connections are encrypted.
const networkKey = (given) =>
  given === undefined || given === null
    ? undefined
    : 'is not in this version: it comes with the secure channel, and connections are not encrypted yet';

const allowedPeers = (given) =>
  given === undefined || given === null
    ? undefined
    : 'is not in this version: it comes with the secure channel, which can tell who a peer is';

const autoConnect = (given) =>
  flag(given) ?? (given ? 'is not in this version: it comes with the discovery capability' : undefined);

/**
 * Least memory of a node, in bytes: below it a checkpoint would be made every few megabytes. The most is more than any
 * machine has.
 */
const MEMORY_BYTES_MIN = 32 * 1024 * 1024;
const MEMORY_BYTES_MAX = 2 ** 40;

const memoryBytes = (given) =>
  given === 0 || whole(MEMORY_BYTES_MIN, MEMORY_BYTES_MAX)(given) === undefined
    ? undefined
    : `must be 0, to be chosen by how much memory there is, or a whole number from ${MEMORY_BYTES_MIN} to ${MEMORY_BYTES_MAX}`;

const RULES = Object.freeze({
  nodeId: label,
  displayName: label,
  version: label,
  enableWal: flag,
  walPath: () => undefined,
  autoFlush: flag,
  createDirs: flag,
  maxValueBytes: whole(1, VALUE_BYTES_MAX),
  memoryBytes,
  cacheBytes: whole(0, COUNT_MAX),
  checkpointLogBytes: whole(4096, COUNT_MAX),
  enableTransport: flag,
  transportHost: hostWhen('enableTransport'),
  transportPort: port,
  enableDiscovery: flag,
  discoveryHost: hostWhen('enableDiscovery'),
  discoveryPort: port,
  discoveryBroadcastHost: hostWhen('enableDiscovery'),
  discoveryBroadcastPort: port,
  autoConnect,
  networkKey,
  allowInsecure: flag,
  allowedPeers,
  prefixes: wrongPrefixes,
  conflictPolicy,
  ackPolicy,
  requireAck: flag,
  syncIntervalMs: whole(0, INTERVAL_MS_MAX),
  batchSize: whole(1, COUNT_MAX),
  maxRetries: whole(0, COUNT_MAX),
  retryIntervalMs: whole(1, INTERVAL_MS_MAX),
  ackTimeoutMs: whole(1, INTERVAL_MS_MAX),
});

/** An option's name in words: `transportPort` becomes "transport port". */
const spoken = (name) =>
  name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).replace('wal', 'WAL');

const refuse = (message, name) => ({ failure: invalidArgument('invalid_option', message, name) });

function checkWalPath({ enableWal, walPath }) {
  const refuseWith = (reason) => refuse(`invalid WAL path: path ${reason}`, 'walPath');
  const wrong = text(walPath);
  if (wrong !== undefined) return refuseWith(wrong);
  if (enableWal) return walPath === '' ? refuseWith('is empty') : undefined;
  if (walPath === '' || walPath === UNUSED_WAL_PATH) return undefined;
  const advice = 'set enableWal to true to keep a log there, or walPath to "" to keep nothing';
  return refuse(`invalid configuration: WAL path is set, and enable WAL is false: ${advice}`, 'walPath');
}

/**
 * Reads the options given to a Client, once. Returns `{ options }`, frozen, or `{ failure }` of the first fault. A
 * plain object is treated like `ClientOptions`, with equal defaults.
 */
function readOptions(given) {
  return attempted(() =>
    hasNames(given)
      ? judge(given instanceof ClientOptions ? given : new ClientOptions(given))
      : refuse('invalid configuration: options must be a ClientOptions', 'options'),
  );
}

function judge(given) {
  const refused = refusedOf(given);
  if (refused !== undefined) return { failure: refused };
  const unknown = Object.keys(given).find((name) => !OPTION_NAMES.includes(name));
  if (unknown !== undefined) {
    const hint = didYouMean(unknown, OPTION_NAMES);
    return refuse(`invalid configuration: unknown option: ${unknown}${hint}`, unknown);
  }
  const options = frozenOptions(given);
  for (const [name, rule] of Object.entries(RULES)) {
    const reason = rule(options[name], options);
    if (reason !== undefined) return refuse(`invalid configuration: ${spoken(name)} ${reason}`, name);
  }
  return (
    checkWalPath(options) ?? {
      options: frozenOptions(options, { conflictPolicy: policyOf(options.conflictPolicy) }),
    }
  );
}

/** Reads the options of a client that is not open, for display: as far as they can be read, unchecked. */
function showOptions(given) {
  try {
    return frozenOptions(given instanceof ClientOptions ? given : new ClientOptions(given));
  } catch {
    return frozenOptions(new ClientOptions());
  }
}

module.exports = { RULES, readOptions, showOptions };
