// Yjs with y-leveldb: one document, one Y.Map. The carrier is a framed socket (y-websocket would be one more layer on
// the same bytes); the exchange is that of y-protocols: my state vector, your missing update, then live updates.
// y-leveldb does not sync its writes. Here it does, through a Level whose put is synced, or nothing would be durable.

import { join } from 'node:path';
import { Level } from 'level';
import { LeveldbPersistence } from 'y-leveldb';
import * as Y from 'yjs';
import { indexOfKey, keyAt, valueAt } from '../dataset.js';
import { CountWatch } from './count-watch.js';
import { receiveFrames, sendFrame } from './frame.js';
import { dial, listen } from './socket.js';

/** What the rows mean here. */
export const durability = 'every update is stored by y-leveldb with a synced put before it counts as held';

const STATE_VECTOR = 1;
const UPDATE = 2;
const DOCUMENT = 'bench';
const FILL_TRANSACTION_KEYS = 1000;
/** Ids of clients are random numbers of 32 bits; these are as long. */
const CLIENT_IDS_FROM = 2 ** 31;

class SyncedLevel extends Level {
  put(key, value, options, callback) {
    if (typeof options === 'function') return super.put(key, value, { sync: true }, options);
    return super.put(key, value, { ...options, sync: true }, callback);
  }
}

/**
 * @param {{ name: string, directory: string, shape?: 'single' | 'transaction', onSeen?: (index: number) => void }}
 *   settings `shape`: live writes one by one, as programs make them, or 1,000 in a transaction, which is one update
 */
export async function createNode({ name, directory, shape = 'single', onSeen }) {
  const persistence = new LeveldbPersistence(join(directory, 'level'), { Level: SyncedLevel });
  const document = new Y.Doc();
  // Of two writes of one key that of the greater id stays: here that of the later name, so that it is known which.
  document.clientID = CLIENT_IDS_FROM + name.charCodeAt(name.length - 1);
  const map = document.getMap('entries');
  const watch = new CountWatch();
  const sockets = new Set();
  let stored = Promise.resolve();
  let readBack;

  document.on('update', (update, origin) => {
    for (const socket of sockets) if (socket !== origin) sendFrame(socket, UPDATE, update);
    stored = persistence.storeUpdate(DOCUMENT, update);
  });

  if (onSeen) {
    map.observe(({ keysChanged }) => {
      // The observer runs before the update is handed to the store, so it looks at the promise one turn later.
      queueMicrotask(async () => {
        await stored;
        for (const key of keysChanged) onSeen(indexOfKey(key));
      });
    });
  }

  const attach = (socket) => {
    sockets.add(socket);
    let introduced;
    const introduction = new Promise((resolve) => {
      introduced = resolve;
    });
    receiveFrames(socket, (kind, body) => {
      if (kind === STATE_VECTOR) {
        sendFrame(socket, UPDATE, Y.encodeStateAsUpdate(document, body));
        introduced();
        return;
      }
      Y.applyUpdate(document, body, socket);
      const held = map.size;
      stored.then(() => watch.reached(held));
    });
    sendFrame(socket, STATE_VECTOR, Y.encodeStateVector(document));
    return introduction;
  };

  const fillSome = async (indexes, generation) => {
    for (let from = 0; from < indexes.length; from += FILL_TRANSACTION_KEYS) {
      document.transact(() => {
        const some = indexes.slice(from, from + FILL_TRANSACTION_KEYS);
        for (const index of some) map.set(keyAt(index), valueAt(index, generation));
      });
      await stored;
    }
  };

  const server = await listen(attach);
  return {
    port: server.address().port,
    fill: (count, generation) => fillSome([...Array(count).keys()], generation),
    fillSome,
    async fillLive(count) {
      if (shape === 'transaction') {
        await fillSome([...Array(count).keys()], 0);
        return;
      }
      for (let index = 0; index < count; index++) {
        map.set(keyAt(index), valueAt(index));
        if (index % 1000 === 999) await stored;
      }
      await stored;
    },
    async connect(port) {
      // A write before the other side's state vector is here would travel twice: live and in the answer to it.
      await attach(await dial(port));
    },
    holds: (count) => watch.holds(count),
    holdsNewest: (count) => watch.holds(count), // all that was missing comes as one update
    async write(index) {
      map.set(keyAt(index), valueAt(index));
      await stored;
      return false;
    },
    async count() {
      readBack = (await persistence.getYDoc(DOCUMENT)).getMap('entries'); // what is stored, not what is in memory
      return readBack.size;
    },
    value: async (index) => readBack.get(keyAt(index)),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await stored;
      await persistence.destroy();
    },
  };
}
