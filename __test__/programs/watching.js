// Waits for a change in a watch. The timer that writes it does not keep the process alive, only the waiting does.
import { Client, ClientOptions } from '@softadastra/sdk';

const client = new Client(ClientOptions.memoryOnly('node-watching'));
(await client.open()).value();
setTimeout(() => client.put('a', '1'), 300).unref();
console.log((await client.watch('a').next()).value.key);
