// The floor of replication: a file of records on either side, frames of records on a socket, a sync per frame on the
// receiver and, for the progress that it acknowledges, on the sender. No merge, no index, no checksum.

import { closeSync, fdatasyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { indexOfKey, KEY_BYTES, keyAt, VALUE_BYTES, valueAt } from '../dataset.js';
import { CountWatch } from './count-watch.js';
import { receiveFrames, sendFrame } from './frame.js';
import { dial, listen } from './socket.js';

/** What the rows mean here. */
export const durability =
  'fdatasync of the receiver’s file per frame, fdatasync of the sender’s file per write and of its progress per acknowledgement';

const RECORD_BYTES = KEY_BYTES + VALUE_BYTES;
const RECORDS = 1;
const ACKNOWLEDGED = 2;
/** Frames on the way before an acknowledgement is waited for: enough to keep the receiver's disk busy. */
const FRAMES_UNDER_WAY = 8;
const PROGRESS_BYTES = 8;

/** @param {{ directory: string, shape?: string, onSeen?: (index: number) => void }} settings `shape`: records a frame */
export async function createNode({ directory, shape = '1024', onSeen }) {
  const frameBytes = Number(shape) * RECORD_BYTES;
  const file = openSync(join(directory, 'records.log'), 'a+');
  const progressFile = openSync(join(directory, 'progress'), 'w');
  const watch = new CountWatch();
  const sockets = new Set();
  let recordBytes = 0;
  let sentBytes = 0;
  let sendNext = () => {};

  const append = (bytes) => {
    writeSync(file, bytes);
    fdatasyncSync(file);
    recordBytes += bytes.length;
  };

  const receive = (socket) => {
    sockets.add(socket);
    receiveFrames(socket, (_, body) => {
      append(body);
      const progress = Buffer.alloc(PROGRESS_BYTES);
      progress.writeBigUInt64LE(BigInt(recordBytes));
      sendFrame(socket, ACKNOWLEDGED, progress);
      for (let at = 0; onSeen && at < body.length; at += RECORD_BYTES) {
        onSeen(indexOfKey(body.latin1Slice(at, at + KEY_BYTES)));
      }
      watch.reached(recordBytes / RECORD_BYTES);
    });
  };

  const send = (socket) => {
    sockets.add(socket);
    let acknowledgedBytes = 0;
    sendNext = () => {
      while (sentBytes < recordBytes && sentBytes - acknowledgedBytes < FRAMES_UNDER_WAY * frameBytes) {
        const body = Buffer.allocUnsafe(Math.min(frameBytes, recordBytes - sentBytes));
        readSync(file, body, 0, body.length, sentBytes);
        sentBytes += body.length;
        sendFrame(socket, RECORDS, body);
      }
    };
    receiveFrames(socket, (_, progress) => {
      acknowledgedBytes = Number(progress.readBigUInt64LE());
      writeSync(progressFile, progress, 0, PROGRESS_BYTES, 0);
      fdatasyncSync(progressFile);
      sendNext();
    });
    sendNext();
  };

  const server = await listen(receive);
  return {
    port: server.address().port,
    async fill(count, generation) {
      for (let from = 0; from < count; from += 1000)
        append(recordsBetween(from, Math.min(from + 1000, count), generation));
    },
    async connect(port) {
      send(await dial(port));
    },
    holds: (count) => watch.holds(count),
    async write(index) {
      append(recordsBetween(index, index + 1, 0));
      sendNext();
      return false;
    },
    count: async () => recordBytes / RECORD_BYTES,
    async value(index) {
      const record = Buffer.alloc(RECORD_BYTES);
      readSync(file, record, 0, RECORD_BYTES, index * RECORD_BYTES);
      if (record.latin1Slice(0, KEY_BYTES) !== keyAt(index))
        throw new Error(`record ${index} is another one`);
      return record.latin1Slice(KEY_BYTES);
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      closeSync(file);
      closeSync(progressFile);
    },
  };
}

function recordsBetween(from, to, generation) {
  const bytes = Buffer.allocUnsafe((to - from) * RECORD_BYTES);
  for (let index = from; index < to; index++) {
    const at = (index - from) * RECORD_BYTES;
    bytes.latin1Write(keyAt(index), at);
    bytes.latin1Write(valueAt(index, generation), at + KEY_BYTES);
  }
  return bytes;
}
