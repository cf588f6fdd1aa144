// Redis: a server and its replica, both append-only with appendfsync always. A server syncs its file before it sends
// the replies and acknowledgements of that turn of its loop, so what the replica has acknowledged or announced is on
// its disk. WAITAOF, which asks for exactly that, came with Redis 7.2; an older server is asked with WAIT.
//
// Shapes: "wait", the writer pipelines SET with the wait for one replica; "notify", a client of the replica subscribes
// to keyspace notifications.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { indexOfKey, keyAt, valueAt } from '../dataset.js';
import { RedisConnection } from './redis-connection.js';
import { freePort, HOST } from './socket.js';

/** What the rows mean here. */
export const durability =
  'appendonly yes and appendfsync always on both; done when the replica has acknowledged (WAITAOF where the server has it, WAIT before 7.2)';

const SERVER = process.env.REDIS_SERVER ?? 'redis-server';
const START_CHECK_INTERVAL_MS = 20;
const CHANNEL_PREFIX = '__keyspace@0__:';

/** @param {{ directory: string, shape?: string, onSeen?: (index: number) => void }} settings */
export async function createNode({ directory, shape = 'wait', onSeen }) {
  const port = await freePort();
  const settings = {
    port,
    bind: HOST,
    dir: directory,
    daemonize: 'no',
    save: '',
    appendonly: 'yes',
    appendfsync: 'always',
    'repl-diskless-sync-delay': 0,
    'notify-keyspace-events': shape === 'notify' ? 'K$' : '',
  };
  const server = spawn(
    SERVER,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    { stdio: 'ignore' },
  );
  const failed = once(server, 'error').then(([error]) => {
    throw new Error(`${SERVER} could not be started: ${error.message}`);
  });
  const connection = await Promise.race([connectWhenReady(port), failed]);
  process.once('exit', () => server.kill('SIGKILL'));
  const waitCommand = await replicaWait(connection);

  let subscriber;
  if (shape === 'notify' && onSeen) {
    subscriber = await RedisConnection.open(port, ([, , channel]) =>
      onSeen(indexOfKey(channel.slice(CHANNEL_PREFIX.length))),
    );
    await subscriber.send(['PSUBSCRIBE', `${CHANNEL_PREFIX}*`]);
  }
  return {
    port,
    async connect(replicaPort) {
      const replica = await RedisConnection.open(replicaPort);
      await replica.send(['REPLICAOF', HOST, String(port)]);
      for (let ready = false; !ready; await sleep(START_CHECK_INTERVAL_MS)) {
        const [link, persistence] = await replica.send(['INFO', 'replication'], ['INFO', 'persistence']);
        const appending =
          persistence.includes('aof_enabled:1') && persistence.includes('aof_rewrite_in_progress:0');
        ready =
          link.includes('master_link_status:up') &&
          appending &&
          persistence.includes('aof_rewrite_scheduled:0');
      }
      replica.close();
    },
    async write(index) {
      const set = ['SET', keyAt(index), valueAt(index)];
      if (shape === 'notify') {
        await connection.send(set);
        return false;
      }
      const [, acknowledged] = await connection.send(set, waitCommand);
      if (Number(Array.isArray(acknowledged) ? acknowledged[1] : acknowledged) !== 1)
        throw new Error('no replica has the write');
      return true;
    },
    async holds(count) {
      while ((await connection.send(['DBSIZE']))[0] < count) await sleep(START_CHECK_INTERVAL_MS);
    },
    count: async () => (await connection.send(['DBSIZE']))[0],
    value: async (index) => (await connection.send(['GET', keyAt(index)]))[0],
    async close() {
      connection.close();
      subscriber?.close();
      const ended = once(server, 'exit');
      server.kill('SIGTERM');
      await ended;
    },
  };
}

async function connectWhenReady(port) {
  for (;;) {
    try {
      const connection = await RedisConnection.open(port);
      await connection.send(['PING']);
      return connection;
    } catch (error) {
      if (error.code !== 'ECONNREFUSED') throw error;
      await sleep(START_CHECK_INTERVAL_MS);
    }
  }
}

async function replicaWait(connection) {
  const [[known]] = await connection.send(['COMMAND', 'INFO', 'WAITAOF']);
  return known ? ['WAITAOF', '1', '1', '0'] : ['WAIT', '1', '0'];
}
