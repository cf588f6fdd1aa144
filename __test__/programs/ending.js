// Writes with frequent checkpoints, and ends in the middle of it, in the given way and after the given milliseconds. As
// a worker it writes until it is terminated, or ends in the same ways.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Client, ClientOptions } from '@softadastra/sdk';

const { walPath, way, afterMs, logBytes } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const options = ClientOptions.persistent('node-ending', walPath);
options.checkpointLogBytes = logBytes;
const client = new Client(options);
(await client.open()).value();
for (let n = 0; n < 20; n += 1) (await client.put(`done/${n}`, `${n}`)).value();
parentPort?.postMessage('writing');

const ways = {
  exit: () => process.exit(3),
  throw: () => {
    throw new Error('uncaught');
  },
  reject: () => {
    Promise.reject(new Error('unhandled'));
  },
  close: () => {
    client.close();
    process.exit(3);
  },
  compact: () => {
    client.compact();
    process.exit(3);
  },
  terminated: () => {},
};
setTimeout(ways[way], afterMs);

for (let n = 0; ; n += 1) {
  const calls = Array.from({ length: 50 }, (_, lane) => client.put(`${lane}/${n % 7}`, 'x'.repeat(100)));
  if (n % 20 === 19) calls.push(client.compact());
  await Promise.all(calls);
}
