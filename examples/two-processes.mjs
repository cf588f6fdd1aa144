// One of two nodes, each in a process of its own. Run it in two terminals, in any order; Ctrl+C ends each:
//   node two-processes.mjs laptop 9401 phone 9402
//   node two-processes.mjs phone 9402 laptop 9401
import { setTimeout as pause } from 'node:timers/promises';
import { Client, ClientOptions, Peer } from '@softadastra/sdk';

const [nodeId, port, peerId, peerPort] = process.argv.slice(2);
const client = new Client({
  ...ClientOptions.persistent(nodeId, `data/${nodeId}.wal`),
  createDirs: true,
  enableTransport: true,
  transportPort: Number(port), // a fixed one, which the other process knows
  syncIntervalMs: 1, // any number above 0: writes leave as they commit
});
client.on('error', (error) => console.error(error.message));
(await client.open()).unwrap();
(await client.startTransport()).unwrap();

const stop = new AbortController();
process.once('SIGINT', () => stop.abort());
process.once('SIGTERM', () => stop.abort());

/** Calls the peer until it has answered once. From then on a connection that is lost is made again by itself. */
async function connect() {
  while (!stop.signal.aborted) {
    const connected = await client.connect(new Peer(peerId, '127.0.0.1', Number(peerPort)));
    if (connected.isOk()) return;
    if (!connected.error().retryable) throw connected.error();
    await pause(250);
  }
}

const changes = client.watch('', { signal: stop.signal });
const connecting = connect();
(await client.put(`hello/${nodeId}`, `${nodeId} is here`)).unwrap();

// Waiting for a change keeps the process alive; an open client and its transport do not.
for await (const { key, value, local } of changes) {
  if (!local) console.log(key, `${value}`);
}

await connecting;
(await client.close()).unwrap();
