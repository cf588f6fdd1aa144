// As much of a Redis client as the row needs: commands as arrays of strings, replies in order.

import { dial } from './socket.js';

const LINE_END = '\r\n';

/** A connection that answers commands in order. */
export class RedisConnection {
  #socket;
  #waiting = [];
  #held = '';
  #onPush;

  constructor(socket, onPush) {
    this.#socket = socket;
    this.#onPush = onPush;
    socket.setEncoding('latin1');
    socket.on('data', (chunk) => this.#receive(chunk));
  }

  /**
   * @param {number} port
   * @param {(message: unknown[]) => void} [onPush] given the messages of a subscription
   */
  static async open(port, onPush) {
    return new RedisConnection(await dial(port), onPush);
  }

  /**
   * Sends commands in one write.
   *
   * @param {...string[]} commands
   * @returns {Promise<unknown[]>} their replies; rejects if one of them is an error
   */
  send(...commands) {
    const text = commands.map(
      (words) => `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`,
    );
    const replies = commands.map(
      () => new Promise((resolve, reject) => this.#waiting.push({ resolve, reject })),
    );
    this.#socket.write(text.join(''), 'latin1');
    return Promise.all(replies);
  }

  close() {
    this.#socket.destroy();
  }

  #receive(chunk) {
    this.#held += chunk;
    let at = 0;
    for (;;) {
      const parsed = parse(this.#held, at);
      if (!parsed) break;
      at = parsed.end;
      this.#answer(parsed.value);
    }
    this.#held = this.#held.slice(at);
  }

  #answer(value) {
    if (this.#onPush && Array.isArray(value) && value[0] === 'pmessage') {
      this.#onPush(value);
      return;
    }
    const { resolve, reject } = this.#waiting.shift();
    if (value instanceof Error) reject(value);
    else resolve(value);
  }
}

// One reply from `at`, or undefined while it is incomplete.
function parse(text, at) {
  const lineEnd = text.indexOf(LINE_END, at);
  if (lineEnd < 0) return undefined;
  const line = text.slice(at + 1, lineEnd);
  const next = lineEnd + LINE_END.length;
  switch (text[at]) {
    case '+':
      return { value: line, end: next };
    case '-':
      return { value: new Error(line), end: next };
    case ':':
      return { value: Number(line), end: next };
    case '$': {
      if (line === '-1') return { value: null, end: next };
      const end = next + Number(line) + LINE_END.length;
      return text.length < end ? undefined : { value: text.slice(next, end - LINE_END.length), end };
    }
    case '*': {
      const items = [];
      let end = next;
      for (let count = Number(line); count > 0; count--) {
        const item = parse(text, end);
        if (!item) return undefined;
        items.push(item.value);
        end = item.end;
      }
      return { value: items, end };
    }
    default:
      throw new Error(`not a reply: ${line}`);
  }
}
