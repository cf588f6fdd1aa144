// A peer that is not there: the connection fails, the write stays, and the work waits for later.
import { mkdirSync } from 'node:fs';
import { Client, ClientOptions, Peer } from '@softadastra/sdk';

mkdirSync('data', { recursive: true });

const options = ClientOptions.local('node-tcp-a');
options.enableWal = true;
options.walPath = 'data/sdk-tcp-peer-sync.wal';
options.enableTransport = true;
options.transportHost = '127.0.0.1';
options.transportPort = 4041;
const client = new Client(options);

const opened = await client.open();
if (opened.isErr()) {
  console.error(`failed to open client: ${opened.error().message}`);
  process.exit(1);
}

const started = await client.startTransport();
if (started.isErr()) console.error(started.error().message);

const peer = new Peer('node-tcp-b', '127.0.0.1', 4042);
const connected = await client.connect(peer);
if (connected.isErr()) {
  console.log('peer connection failed');
  console.log(`  peer    : ${peer.nodeId}`);
  console.log(`  address : ${peer.host}:${peer.port}`);
  console.log(`  error   : ${connected.error().message}`);
} else {
  console.log(`connected to ${peer.nodeId}`);
}

const written = await client.put('message/1', 'hello from node-tcp-a');
if (written.isErr()) console.error(`failed to write value: ${written.error().message}`);

const tick = await client.tick();
if (tick.isOk()) {
  console.log('sync tick');
  console.log(`  retried : ${tick.value().retriedCount}`);
  console.log(`  pruned  : ${tick.value().prunedCount}`);
  console.log(`  batch   : ${tick.value().batchSize}`);
}

console.log(`transport running : ${client.transportRunning() ? 'yes' : 'no'}`);

await client.close();
