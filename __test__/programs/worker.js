// A worker with a client of its own; it writes until it is terminated, or reports a value that it read.
import { parentPort, workerData } from 'node:worker_threads';
import { Client, ClientOptions } from '@softadastra/sdk';

const { walPath, task } = workerData;
const options = ClientOptions.persistent('node-worker', walPath);
options.enableTransport = true;
const client = new Client(options);
const opened = await client.open();
if (opened.isErr()) {
  parentPort.postMessage({ code: opened.error().code });
} else if (task === 'write for ever') {
  (await client.startTransport()).value();
  for (let n = 0; ; n += 1) {
    const calls = Array.from({ length: 50 }, (_, lane) => client.put(`${lane}`, `${n}`));
    await Promise.all(calls);
    if (n === 3) parentPort.postMessage({ written: n });
  }
} else {
  (await client.put('from', 'worker')).value();
  parentPort.postMessage({ size: client.size() });
  (await client.close()).value();
}
