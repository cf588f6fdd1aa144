// A process whose main thread never loads the package: workers load the addon one after another, each the only one, and
// end in the various ways of threads.
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const ROUNDS = 12;
const WAYS = ['close', 'return', 'exit', 'terminate'];

if (isMainThread) {
  for (let round = 0; round < ROUNDS; round += 1) {
    const way = WAYS[round % WAYS.length];
    const worker = new Worker(new URL(import.meta.url), { workerData: { way } });
    await new Promise((resolve, reject) => {
      worker.on('error', reject).on('exit', resolve);
      worker.on('message', () => way === 'terminate' && worker.terminate());
    });
  }
  console.log(`${ROUNDS} workers`);
} else {
  const { Client, ClientOptions } = await import('@softadastra/sdk');
  const { parentPort } = await import('node:worker_threads');
  const client = new Client(ClientOptions.memoryOnly('worker'));
  (await client.open()).unwrap();
  const writes = Array.from({ length: 1000 }, (_, n) => client.put(`${n}`, 'x'.repeat(n)));
  for (const written of await Promise.all(writes)) written.unwrap();
  parentPort.postMessage('written');
  if (workerData.way === 'close') (await client.close()).unwrap();
  if (workerData.way === 'exit') process.exit();
  if (workerData.way === 'terminate') setInterval(() => {}, 1000);
}
