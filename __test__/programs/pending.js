// Ends with writes under way, which keep the process alive until they are done.
import { Client, ClientOptions } from '@softadastra/sdk';

const client = new Client(ClientOptions.persistent('node-pending', process.argv[2]));
(await client.open()).value();
let done = 0;
for (let n = 0; n < 1000; n += 1) {
  client.put(`k${n}`, 'x'.repeat(1000)).then((result) => {
    if (result.isOk()) done += 1;
  });
}
process.on('exit', () => console.log(`done ${done}`));
