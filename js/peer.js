'use strict';

// `Peer`: another node and where it listens; and reading one from an argument.

const { checkNames } = require('./arguments.js');
const { invalidArgument } = require('./error.js');
const { frozenPrefixes, wrongPrefixes } = require('./prefixes.js');

const PORT_MAX = 65535;

/** Whether a host names this machine and nothing else. */
function isLoopback(host) {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** The fields of a Peer, and what else events and reports tell of one: any of them may be handed in. */
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

/** Why a Peer is none, by what it was made with: it has to be told by the call that it is given to. */
const misspelled = new WeakMap();

class Peer {
  constructor(nodeId, host, port, options) {
    const wrong = checkNames(options, ['prefixes'], 'options');
    if (wrong !== undefined) misspelled.set(this, wrong);
    this.nodeId = nodeId;
    this.host = host;
    this.port = port;
    this.prefixes = frozenPrefixes(options?.prefixes);
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
    return (checkPeerNames(this) ?? checkPeer(this)) === undefined;
  }
}

/** A Peer as the addon reports it. */
function peerOf({ nodeId, host, port, prefixes, state, lastSeenMs, inSync, capabilities }) {
  const peer = new Peer(nodeId, host, port, { prefixes });
  peer.state = state;
  peer.lastSeenMs = lastSeenMs ?? undefined;
  peer.inSync = inSync === true;
  peer.capabilities = capabilities ?? [];
  return peer;
}

/** Why this cannot be taken for a peer by the names of what it has, or was made with. */
function checkPeerNames(peer) {
  if (typeof peer !== 'object' || peer === null) {
    return invalidArgument('invalid_peer', 'invalid peer: peer must be a Peer', 'peer');
  }
  return misspelled.get(peer) ?? checkNames(peer, PEER_NAMES, 'peer');
}

/** Why nobody can be dialled with this, or `undefined` if it has all that dialling needs. */
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
