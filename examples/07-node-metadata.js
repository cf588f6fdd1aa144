// Who this node is: for display, for logs, and for its peers.
import { Client, ClientOptions } from '@softadastra/sdk';

const options = ClientOptions.local('node-metadata');
options.displayName = 'Softadastra SDK Node';
options.version = '0.1.0';
const client = new Client(options);

const opened = await client.open();
if (opened.isErr()) {
  console.error(`failed to open client: ${opened.error().message}`);
  process.exit(1);
}

const found = await client.refreshNodeInfo();
if (found.isErr()) {
  console.error(`failed to read metadata: ${found.error().message}`);
} else {
  const info = found.value();
  console.log('node metadata');
  console.log(`  node id      : ${info.nodeId}`);
  console.log(`  display name : ${info.displayName}`);
  console.log(`  hostname     : ${info.hostname}`);
  console.log(`  os           : ${info.osName}`);
  console.log(`  version      : ${info.version}`);
  console.log(`  uptime ms    : ${info.uptime_ms()}`);
  console.log(`  capabilities : ${info.capabilities.join(', ')}`);
}

await client.close();
