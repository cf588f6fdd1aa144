// Exits in the middle of writing, in the given way.
import { Client, ClientOptions } from '@softadastra/sdk';

const [walPath, way] = process.argv.slice(2);
const client = new Client(ClientOptions.persistent('node-exit', walPath));
(await client.open()).value();
for (let n = 0; n < 20; n += 1) (await client.put(`done/${n}`, 'x')).value();
for (let n = 0; n < 5000; n += 1) client.put(`k${n}`, 'x'.repeat(1000));
if (way === 'exit') process.exit(3);
if (way === 'throw') throw new Error('uncaught');
if (way === 'reject') Promise.reject(new Error('unhandled'));
if (way === 'close') {
  client.close();
  process.exit(3);
}
