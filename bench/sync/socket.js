// Sockets of the peers and of the proxy: loopback only, no waiting for more bytes to send.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** Everything runs on one machine. */
export const HOST = '127.0.0.1';

/**
 * @param {(socket: import('node:net').Socket) => void} onConnection
 * @returns {Promise<import('node:net').Server>} a server that listens on a port of the system's choice
 */
export async function listen(onConnection) {
  const server = createServer({ noDelay: true }, onConnection);
  server.listen(0, HOST);
  await once(server, 'listening');
  return server;
}

/**
 * @param {number} port
 * @returns {Promise<import('node:net').Socket>} a connected socket
 */
export async function dial(port) {
  const socket = connect({ port, host: HOST, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

/** @returns {Promise<number>} a port that was free a moment ago, for programs that want to be told one */
export async function freePort() {
  const server = await listen(() => {});
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
