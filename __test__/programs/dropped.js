// A client that becomes garbage with writes under way: they finish, and then its log is free.
import { setTimeout as pause } from 'node:timers/promises';
import { Client, ClientOptions } from '@softadastra/sdk';

const options = ClientOptions.persistent('node-dropped', process.argv[2]);

async function writeAndForget(count, size) {
  const client = new Client(options);
  (await client.open()).value();
  return Array.from({ length: count }, (_, n) => client.put(`k${n}`, Buffer.alloc(size)));
}

// More than the queue has room for, so that some of them wait.
const writes = await writeAndForget(100, 1 << 20);
await pause(0);
globalThis.gc();
for (const result of await Promise.all(writes)) result.value();

const again = new Client(options);
const deadline = Date.now() + 15_000;
for (;;) {
  globalThis.gc();
  await pause(10);
  const opened = await again.open();
  if (opened.isOk()) break;
  if (Date.now() > deadline) throw opened.error();
}
console.log(again.size());
(await again.close()).value();
