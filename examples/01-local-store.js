// A value written and read on one node, in memory. No file, no network.
import { Client, ClientOptions } from '@softadastra/sdk';

const client = new Client(ClientOptions.local('node-local'));

const opened = await client.open();
if (opened.isErr()) {
  console.error(`failed to open client: ${opened.error().message}`);
  process.exit(1);
}

const written = await client.put('app/name', 'Softadastra SDK');
if (written.isErr()) console.error(`failed to write value: ${written.error().message}`);

const value = await client.get('app/name');

console.log('local store');
console.log('  key   : app/name');
console.log(`  value : ${value.isOk() ? value.value() : value.error().message}`);
console.log(`  size  : ${client.size()}`);

await client.close();
