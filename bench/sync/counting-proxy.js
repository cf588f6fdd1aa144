// A TCP proxy on one link that counts what passes, so that no contender's own counter has to be believed.

import { connect } from 'node:net';
import { HOST, listen } from './socket.js';

/**
 * @param {number} targetPort where the link leads
 * @returns {Promise<{ port: number, bytes: () => number, close: () => void }>} dial `port` instead of the target;
 *   `bytes` is the sum of both directions so far
 */
export async function countingProxy(targetPort) {
  let bytes = 0;
  const sockets = new Set();
  const carry = (from, to) => {
    sockets.add(from);
    from.on('data', (chunk) => {
      bytes += chunk.length;
    });
    from.on('error', () => to.destroy());
    from.on('close', () => sockets.delete(from));
    from.pipe(to);
  };
  const server = await listen((client) => {
    const target = connect({ port: targetPort, host: HOST, noDelay: true });
    carry(client, target);
    carry(target, client);
  });
  return {
    port: server.address().port,
    bytes: () => bytes,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
