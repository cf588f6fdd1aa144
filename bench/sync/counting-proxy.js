// A TCP proxy on one link that counts what passes each way, so that no contender's own counter has to be believed.

import { connect } from 'node:net';
import { HOST, listen } from './socket.js';

/**
 * @param {number} targetPort where the link leads
 * @returns {Promise<{ port: number, bytes: () => number, ways: () => number[], close: () => void }>} dial `port`
 *   instead of the target; `ways` is what passed so far to the target and from it, `bytes` the sum of both
 */
export async function countingProxy(targetPort) {
  const ways = [0, 0];
  const sockets = new Set();
  const carry = (way, from, to) => {
    sockets.add(from);
    from.on('data', (chunk) => {
      ways[way] += chunk.length;
    });
    from.on('error', () => to.destroy());
    from.on('close', () => sockets.delete(from));
    from.pipe(to);
  };
  const server = await listen((client) => {
    const target = connect({ port: targetPort, host: HOST, noDelay: true });
    carry(0, client, target);
    carry(1, target, client);
  });
  return {
    port: server.address().port,
    bytes: () => ways[0] + ways[1],
    ways: () => [...ways],
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
