// A value in a log on disk: it is there again when the program runs the next time.
import { mkdirSync } from 'node:fs';
import { Client, ClientOptions } from '@softadastra/sdk';

mkdirSync('data', { recursive: true });

const options = ClientOptions.persistent('node-persistent', 'data/sdk-persistent-store.wal');
const client = new Client(options);

const opened = await client.open();
if (opened.isErr()) {
  console.error(`failed to open client: ${opened.error().message}`);
  process.exit(1);
}

const written = await client.put('settings/theme', 'dark');
if (written.isErr()) console.error(`failed to write value: ${written.error().message}`);

const value = await client.get('settings/theme');
const state = await client.syncStateInfo();

console.log('persistent store');
console.log('  key         : settings/theme');
console.log(`  value       : ${value.isOk() ? value.value() : value.error().message}`);
console.log(`  wal path    : ${options.walPath}`);
console.log(`  store size  : ${client.size()}`);
console.log(`  outbox size : ${state.isOk() ? state.value().outboxSize : state.error().message}`);

await client.close();
