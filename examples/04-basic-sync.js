// A write is tracked for synchronization, also while there is no peer: a tick finds it ready, and it waits.
import { mkdirSync } from 'node:fs';
import { Client, ClientOptions } from '@softadastra/sdk';

mkdirSync('data', { recursive: true });

const options = ClientOptions.local('node-basic-sync');
options.enableWal = true;
options.walPath = 'data/sdk-basic-sync.wal';
const client = new Client(options);

const opened = await client.open();
if (opened.isErr()) {
  console.error(`failed to open client: ${opened.error().message}`);
  process.exit(1);
}

async function showState(title) {
  const state = await client.syncStateInfo();
  if (state.isErr()) return console.error(state.error().message);
  console.log(title);
  console.log(`  outbox : ${state.value().outboxSize}`);
  console.log(`  queued : ${state.value().queuedCount}`);
  console.log(`  failed : ${state.value().failedCount}`);
}

const written = await client.put('profile/name', 'Ada');
if (written.isErr()) console.error(`failed to write value: ${written.error().message}`);

await showState('before tick');

const tick = await client.tick();
if (tick.isOk()) {
  console.log('sync tick');
  console.log(`  retried : ${tick.value().retriedCount}`);
  console.log(`  pruned  : ${tick.value().prunedCount}`);
  console.log(`  batch   : ${tick.value().batchSize}`);
}

await showState('after tick');

await client.close();
