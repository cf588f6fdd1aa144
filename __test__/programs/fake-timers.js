// Replaces functions of Node.js, as fake timers of test frameworks do, before or after the package is loaded, and
// prints whether calls still resolve.
import { createRequire, syncBuiltinESMExports } from 'node:module';

const require = createRequire(import.meta.url);
const realTimeout = setTimeout;

function install() {
  const fake = (target, name) => {
    target[name] = Object.assign(() => 0, { clock: {} });
  };
  for (const name of ['nextTick', 'hrtime']) fake(process, name);
  for (const name of ['setTimeout', 'setInterval', 'setImmediate', 'clearInterval', 'queueMicrotask']) {
    fake(globalThis, name);
  }
  fake(performance, 'now');
  fake(Date, 'now');
}

const before = process.argv[2] === 'before';
if (before) install();
const { Client, ClientOptions } = require('@softadastra/sdk');
if (!before) install();
syncBuiltinESMExports();

async function work() {
  const client = new Client(ClientOptions.memoryOnly('node'));
  (await client.open()).unwrap();
  for (let n = 0; n < 500; n += 1) (await client.put(`${n}`, 'alone')).unwrap();
  const burst = Array.from({ length: 5000 }, (_, n) => client.put(`${n}`, 'x'.repeat(20_000)));
  for (const written of await Promise.all(burst)) written.unwrap();
  (await client.remove('1')).unwrap();
  (await client.batch([{ put: 'a', value: 'b' }])).unwrap();
  const size = client.size();
  (await client.close()).unwrap();
  return size;
}

const hangs = new Promise((resolve) => realTimeout(resolve, 20_000, 'hangs').unref());
const said = await Promise.race([work(), hangs]);
console.log(said);
process.exitCode = said === 5000 ? 0 : 1;
