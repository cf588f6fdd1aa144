// Removing a value, and what reading it says afterwards.
import { Client, ClientOptions } from '@softadastra/sdk';

const client = new Client(ClientOptions.local('node-remove'));

const opened = await client.open();
if (opened.isErr()) {
  console.error(`failed to open client: ${opened.error().message}`);
  process.exit(1);
}

const yesOrNo = (answer) => (answer ? 'yes' : 'no');

await client.put('cache/session', 'temporary');
console.log('before remove');
console.log(`  contains : ${yesOrNo(client.contains('cache/session'))}`);

const removed = await client.remove('cache/session');
if (removed.isErr()) console.error(`failed to remove value: ${removed.error().message}`);
console.log('after remove');
console.log(`  contains : ${yesOrNo(client.contains('cache/session'))}`);

const value = await client.get('cache/session');
console.log(`read result: ${value.isErr() ? value.error().codeString() : value.value()}`);

await client.close();
