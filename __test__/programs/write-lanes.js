// Sixteen lanes that write for ever. Each acknowledged write becomes a line in a file: unlike data in a pipe, that
// survives the kill of the process.
import { openSync, writeSync } from 'node:fs';
import { Client, ClientOptions } from '@softadastra/sdk';

const [walPath, notesPath, round, checkpointLogBytes] = process.argv.slice(2);
const options = ClientOptions.persistent('node-lanes', walPath);
if (checkpointLogBytes !== undefined) options.checkpointLogBytes = Number(checkpointLogBytes);
const client = new Client(options);
const opened = await client.open();
if (opened.isErr()) throw opened.error();
const notes = openSync(notesPath, 'a');

async function lane(number) {
  for (let n = 0; ; n += 1) {
    const key = `${number}/${n % 50}`;
    const value = `${round}:${n}`;
    const isRemoval = n % 10 === 9;
    const written = isRemoval ? await client.remove(key) : await client.put(key, value);
    if (written.isErr()) throw written.error();
    writeSync(notes, `${isRemoval ? '-' : '+'} ${key} ${value}\n`);
  }
}

await Promise.all(Array.from({ length: 16 }, (_, number) => lane(number)));
