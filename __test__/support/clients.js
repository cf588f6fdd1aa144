import path from 'node:path';
import { Client, ClientOptions, Peer } from '@softadastra/sdk';
import { temporaryFolder } from './folders.js';
import { ok } from './results.js';

/** Opens a client that is closed when the test ends. */
export async function openClient(t, options = ClientOptions.memoryOnly('node-test')) {
  const client = new Client(options);
  t.after(() => client.close());
  ok(await client.open());
  return client;
}

/** Options of a node with a log in a folder of its own. */
export function loggedOptions(t, nodeId = 'node-test') {
  return ClientOptions.persistent(nodeId, path.join(temporaryFolder(t), 'node.wal'));
}

/** Opens a client with a log that listens on a free port, with `changes` to its options. */
export async function openListening(t, nodeId, changes = {}) {
  const options = Object.assign(loggedOptions(t, nodeId), { enableTransport: true }, changes);
  const client = await openClient(t, options);
  ok(await client.startTransport());
  return client;
}

/** The Peer at which a listening client is reached. */
export function peerFor(client) {
  const { nodeId, transportHost, transportPort } = client.options();
  return new Peer(nodeId, transportHost, transportPort);
}
