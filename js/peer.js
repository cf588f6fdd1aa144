'use strict';

// `Peer`: another node and its address; and reading one from an argument.

const { checkNames, guarded } = require('./arguments.js');
const { invalidArgument } = require('./error.js');
const { frozenPrefixes, wrongPrefixes } = require('./prefixes.js');

const PORT_MAX = 65535;

/** True if a host can only be this machine. */
function isLoopback(host) {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Fields of a Peer, and further fields of peers in events and reports: an argument may have any of them. */
const PEER_NAMES = [
  'nodeId',
  'host',
  'port',
  'prefixes',
  'state',
  'lastSeenMs',
  'inSync',
  'capabilities',
  'skewMs',
];

/** Failures of Peers that were made with wrong options, reported by the call that gets them. */
const misspelled = new WeakMap();

/** Reads the options of a Peer. The prefixes of wrong options are shown too. */
function readPeerOptions(options) {
  const failure = checkNames(options, ['prefixes'], 'options');
  return { failure, prefixes: frozenPrefixes(options?.prefixes) };
}

class Peer {
  constructor(nodeId, host, port, options) {
    const { prefixes, failure } = guarded('options', () => readPeerOptions(options));
    if (failure !== undefined) misspelled.set(this, failure);
    this.nodeId = nodeId;
    this.host = host;
    this.port = port;
    this.prefixes = prefixes;
    this.state = 'unknown';
    this.lastSeenMs = undefined;
    this.inSync = false;
    this.capabilities = [];
  }

  static local(nodeId, port, options) {
    return new Peer(nodeId, '127.0.0.1', port, options);
  }

  isLocalhost() {
    return typeof this.host === 'string' && isLoopback(this.host);
  }

  isValid() {
    const { failure } = guarded('peer', () => ({ failure: checkPeerNames(this) ?? checkPeer(this) }));
    return failure === undefined;
  }
}

/** Converts a peer reported by the addon into a Peer. */
function peerOf({ nodeId, host, port, prefixes, state, lastSeenMs, inSync, capabilities }) {
  const peer = new Peer(nodeId, host, port, { prefixes });
  peer.state = state;
  peer.lastSeenMs = lastSeenMs ?? undefined;
  peer.inSync = inSync === true;
  peer.capabilities = capabilities ?? [];
  return peer;
}

/** Checks the names of a peer's fields and options. Returns the failure, or `undefined`. */
function checkPeerNames(peer) {
  if (typeof peer !== 'object' || peer === null) {
    return invalidArgument('invalid_peer', 'invalid peer: peer must be a Peer', 'peer');
  }
  return misspelled.get(peer) ?? checkNames(peer, PEER_NAMES, 'peer');
}

/** Checks that a peer has everything that a call needs. Returns the failure, or `undefined`. */
function checkPeer(peer) {
  const refuse = (reason) => invalidArgument('invalid_peer', `invalid peer: ${reason}`, 'peer');
  const { nodeId, host, port, prefixes } = peer;
  if (typeof nodeId !== 'string' || nodeId === '') return refuse('nodeId must be a non-empty string');
  if (typeof host !== 'string' || host === '') return refuse('host must be a non-empty string');
  if (!nodeId.isWellFormed() || !host.isWellFormed())
    return refuse('nodeId and host must be valid Unicode text');
  if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) {
    return refuse(`port must be a whole number from 1 to ${PORT_MAX}`);
  }
  const wrong = wrongPrefixes(prefixes);
  return wrong === undefined ? undefined : refuse(`prefixes ${wrong}`);
}

module.exports = { PORT_MAX, Peer, checkPeer, checkPeerNames, isLoopback, peerOf };
