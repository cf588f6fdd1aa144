// Two nodes, each with a folder of its own: one writes, both tick, the other reads; then the other is closed
// and opened again, and still has it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, ClientOptions, Peer } from '@softadastra/sdk';

const PATIENCE_MS = 10_000;

/** The value of a result; a program that cannot go on says why and ends. */
function need(result, what) {
  if (result.isOk()) return result.value();
  console.error(`failed to ${what}: ${result.error().message}`);
  process.exit(1);
}

/** Ticks on the nodes until something is true. */
async function tickUntil(nodes, isTrue, what) {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await pause(10)) {
    for (const node of nodes) need(await node.tick(), 'tick');
    if (await isTrue()) return;
  }
  console.error(`gave up waiting until ${what}`);
  process.exit(1);
}

function makeNode(folder, nodeId) {
  mkdirSync(path.join(folder, nodeId));
  const options = ClientOptions.persistent(nodeId, path.join(folder, nodeId, 'node.wal'));
  options.enableTransport = true;
  return new Client(options);
}

async function showState(node, title) {
  const state = need(await node.syncStateInfo(), 'read the state');
  console.log(`\n${title}`);
  console.log(`  outbox       : ${state.outboxSize}`);
  console.log(`  queued       : ${state.queuedCount}`);
  console.log(`  in flight    : ${state.inFlightCount}`);
  console.log(`  acknowledged : ${state.acknowledgedCount}`);
  console.log(`  failed       : ${state.failedCount}`);
}

const folder = mkdtempSync(path.join(tmpdir(), 'softadastra-two-nodes-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const nodeA = makeNode(folder, 'node-a');
const nodeB = makeNode(folder, 'node-b');
for (const node of [nodeA, nodeB]) {
  need(await node.open(), 'open a node');
  need(await node.startTransport(), 'start a transport');
}

const portB = nodeB.options().transportPort;
need(await nodeA.connect(new Peer('node-b', '127.0.0.1', portB)), 'connect');
console.log('node-a is connected to node-b');

need(await nodeA.put('message/1', 'hello from node-a'), 'write');
console.log('node-a wrote message/1');
await showState(nodeA, 'node-a before the ticks');

const hasArrived = () => nodeB.contains('message/1');
const isAcknowledged = async () =>
  need(await nodeA.syncStateInfo(), 'read the state').acknowledgedCount === 1;
await tickUntil([nodeA, nodeB], async () => hasArrived() && (await isAcknowledged()), 'node-b has message/1');

await showState(nodeA, 'node-a after the ticks');
console.log(`\nnode-b reads message/1: ${need(await nodeB.get('message/1'), 'read')}`);

need(await nodeB.close(), 'close node-b');
need(await nodeB.open(), 'open node-b again');
console.log(`node-b closed, opened, and reads: ${need(await nodeB.get('message/1'), 'read')}`);

need(await nodeA.close(), 'close node-a');
need(await nodeB.close(), 'close node-b');
