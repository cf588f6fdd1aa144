import { once } from 'node:events';
import net from 'node:net';

/** A line between two nodes that can be cut and stalled: a connection to it leads to the port behind it. */
export class Line {
  #server;
  #targetPort;
  #pairs = new Set();
  #isCut = false;

  static async open(t, targetPort) {
    const line = new Line();
    line.#targetPort = targetPort;
    line.#server = net.createServer((near) => line.#join(near));
    t.after(() => line.#close());
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    return line;
  }

  get port() {
    return this.#server.address().port;
  }

  #join(near) {
    near.on('error', () => {});
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = net.connect(this.#targetPort, '127.0.0.1');
    far.on('error', () => {});
    const pair = [near, far];
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.on('close', () => {
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  }

  /** Cuts the line: data under way is lost, and no connection gets through. */
  cut() {
    this.#isCut = true;
    this.drop();
  }

  /** Drops all connections; new ones get through. */
  drop() {
    for (const pair of [...this.#pairs]) for (const socket of pair) socket.destroy();
  }

  /** Stalls the connections: nothing moves on them until they are dropped. */
  stall() {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  mend() {
    this.#isCut = false;
  }

  #close() {
    this.cut();
    this.#server.close();
  }
}
