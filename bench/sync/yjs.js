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

class SyncedLevel extends Level {
  put(key, value, options, callback) {
    if (typeof options === 'function') return super.put(key, value, { sync: true }, options);
    return super.put(key, value, { ...options, sync: true }, callback);
  }
}

/** @param {{ directory: string, onSeen?: (index: number) => void }} settings */
export async function createNode({ directory, onSeen }) {
  const persistence = new LeveldbPersistence(join(directory, 'level'), { Level: SyncedLevel });
  const document = new Y.Doc();
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

  const server = await listen(attach);
  return {
    port: server.address().port,
    async fill(count, generation) {
      for (let from = 0; from < count; from += FILL_TRANSACTION_KEYS) {
        document.transact(() => {
          const to = Math.min(from + FILL_TRANSACTION_KEYS, count);
          for (let index = from; index < to; index++) map.set(keyAt(index), valueAt(index, generation));
        });
        await stored;
      }
    },
    async fillLive(count) {
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
