// Opens a client, listens, and does nothing more: the process must end by itself.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, ClientOptions } from '@softadastra/sdk';

const folder = mkdtempSync(path.join(tmpdir(), 'softadastra-idle-'));
const options = ClientOptions.persistent('node-idle', path.join(folder, 'node.wal'));
options.enableTransport = true;
options.syncIntervalMs = 50;
const client = new Client(options);
(await client.open()).value();
(await client.startTransport()).value();
client.on('change', () => {});
client.watch();
(await client.put('a', '1')).value();
console.log(folder);
