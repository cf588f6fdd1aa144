import { strictEqual } from 'node:assert';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { Client } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok } from './support/results.js';
import { until } from './support/until.js';

const connected = async (client) => ok(await client.peers()).some((peer) => peer.state === 'connected');

const dialling = (t, nodeId) =>
  openClient(t, Object.assign(loggedOptions(t, nodeId), { enableTransport: true }));

test('a call that is lost before it is answered does not end the calling', async (t) => {
  const first = await openListening(t, 'b');
  const peer = peerFor(first);
  const caller = await dialling(t, 'a');
  ok(await caller.connect(peer));
  ok(await first.close());

  let hangUps = 0;
  const stranger = net.createServer((socket) => {
    hangUps += 1;
    socket.on('error', () => {});
    socket.destroy();
  });
  stranger.listen(peer.port, '127.0.0.1');
  await once(stranger, 'listening');
  await until(() => hangUps > 0);
  stranger.close();
  await once(stranger, 'close');

  await openListening(t, 'b', { transportPort: peer.port });
  await until(() => connected(caller));
});

test('a node that was closed while it called is connected to nobody', async (t) => {
  const server = await openListening(t, 'b');
  const peer = peerFor(server);
  for (let round = 0; round < 9; round += 1) {
    const caller = new Client(Object.assign(loggedOptions(t, 'a'), { enableTransport: true }));
    ok(await caller.open());
    const connecting = caller.connect(peer);
    if (round % 3 > 0) await new Promise((resolve) => setTimeout(resolve, round % 3));
    ok(await caller.close());
    await connecting;
    await until(async () => !(await connected(server)));
  }
});

test('a node that comes back at another port is called there only, and has one row', async (t) => {
  const first = await openListening(t, 'phone');
  const old = peerFor(first).port;
  const laptop = await dialling(t, 'laptop');
  ok(await laptop.connect(peerFor(first)));
  ok(await first.close());
  const second = await openListening(t, 'phone');
  const moved = peerFor(second);
  ok(await laptop.connect(moved));

  let calls = 0;
  const stranger = net.createServer((socket) => {
    calls += 1;
    socket.destroy();
  });
  stranger.listen(old, '127.0.0.1');
  await once(stranger, 'listening');
  t.after(() => stranger.close());
  const rows = ok(await laptop.peers());
  strictEqual(rows.length, 1);
  strictEqual(rows[0].port, moved.port);

  // The next call of a lost node follows after a second at most.
  ok(await second.close());
  await openListening(t, 'phone', { transportPort: moved.port });
  await until(() => connected(laptop));
  strictEqual(calls, 0);
});
