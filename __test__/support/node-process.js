// A process with one client, which carries out requests from its parent.
import { createHash } from 'node:crypto';
import { Client } from '@softadastra/sdk';

const plain = (value) => {
  if (value === undefined || value === null || typeof value !== 'object') return value;
  if (Array.isArray(value)) return value.map(plain);
  return typeof value.toBuffer === 'function' ? value.toBuffer().toString('latin1') : { ...value };
};

const errorAsData = ({ code, kind, message, context, offset, retryable }) => ({
  code,
  kind,
  message,
  context,
  offset,
  retryable,
});

const describe = (result) =>
  result.isOk() ? { ok: true, value: plain(result.value()) } : { ok: false, ...errorAsData(result.error()) };

let client;

// A write beyond the largest size of files raises this signal besides its error.
if (process.platform !== 'win32') process.on('SIGXFSZ', () => {});

const commands = {
  open: (options) => {
    client = new Client(options);
    return client.open();
  },
  reopen: () => client.open(),
  /** All keys with values, each with the head of its text and a hash of the whole text. */
  contents: async () => {
    const contents = [];
    for await (const { key, value } of client.entries()) {
      const text = value.toString();
      const hash = createHash('sha1').update(text).digest('hex');
      contents.push([key, text.slice(0, text.indexOf(' ')), hash]);
    }
    return contents;
  },
  /** Writes bytes, given as latin1 text because the channel carries text. */
  putBytes: (key, bytes) => client.put(key, Buffer.from(bytes, 'latin1')),
};

process.on('message', async ({ id, name, args }) => {
  const answer = await (commands[name] ?? ((...given) => client[name](...given)))(...args);
  const told = typeof answer?.isOk === 'function' ? describe(answer) : { ok: true, value: plain(answer) };
  process.send({ id, ...told });
});
