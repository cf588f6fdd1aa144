// Sixteen lanes write for ever; each write that was acknowledged is told on standard output, a line each
// that ends with a dot, so that a line which the kill cut in two is not mistaken for one.
import { Client, ClientOptions } from '@softadastra/sdk';

const [walPath, round] = process.argv.slice(2);
const client = new Client(ClientOptions.persistent('node-lanes', walPath));
const opened = await client.open();
if (opened.isErr()) throw opened.error();
console.log(`open ${client.size()}`);

async function lane(number) {
  for (let n = 0; ; n += 1) {
    const key = `${number}/${n % 50}`;
    const value = `${round}:${n}`;
    const written = n % 10 === 9 ? await client.remove(key) : await client.put(key, value);
    if (written.isErr()) throw written.error();
    process.stdout.write(n % 10 === 9 ? `- ${key} ${value} .\n` : `+ ${key} ${value} .\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, number) => lane(number)));
