// The floor of replication: files of records on either side, frames of records on a socket, a sync per frame on the
// receiver and, for the progress that it acknowledges, on the sender. No merge, no index, no checksum: each side sends
// what it wrote itself, which is what the other lacks, and of two records of a key the greater counts when all is read
// back.

import { closeSync, fdatasyncSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
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
const WRITTEN_AT_ONCE = 1000;

/** @param {{ directory: string, shape?: string, onSeen?: (index: number) => void }} settings `shape`: records a frame */
export async function createNode({ directory, shape = '1024', onSeen }) {
  const frameBytes = Number(shape) * RECORD_BYTES;
  const own = openRecords(join(directory, 'own.log'));
  const received = openRecords(join(directory, 'received.log'));
  const progressFile = openSync(join(directory, 'progress'), 'w');
  const watch = new CountWatch();
  const sockets = new Set();
  let sentBytes = 0;
  let sendNext = () => {};
  let readBack;

  const attach = (socket) => {
    sockets.add(socket);
    let acknowledgedBytes = 0;
    sendNext = () => {
      while (sentBytes < own.bytes() && sentBytes - acknowledgedBytes < FRAMES_UNDER_WAY * frameBytes) {
        const body = own.read(sentBytes, Math.min(frameBytes, own.bytes() - sentBytes));
        sentBytes += body.length;
        sendFrame(socket, RECORDS, body);
      }
    };
    const receive = (body) => {
      received.append(body);
      const progress = Buffer.alloc(PROGRESS_BYTES);
      progress.writeBigUInt64LE(BigInt(received.bytes()));
      sendFrame(socket, ACKNOWLEDGED, progress);
      for (let at = 0; onSeen && at < body.length; at += RECORD_BYTES) {
        onSeen(indexOfKey(body.latin1Slice(at, at + KEY_BYTES)));
      }
      watch.reached(received.bytes() / RECORD_BYTES);
    };
    const acknowledged = (progress) => {
      acknowledgedBytes = Number(progress.readBigUInt64LE());
      writeSync(progressFile, progress, 0, PROGRESS_BYTES, 0);
      fdatasyncSync(progressFile);
      sendNext();
    };
    receiveFrames(socket, (kind, body) => (kind === RECORDS ? receive(body) : acknowledged(body)));
    sendNext();
  };

  const fillSome = async (indexes, generation) => {
    for (let from = 0; from < indexes.length; from += WRITTEN_AT_ONCE)
      own.append(recordsOf(indexes.slice(from, from + WRITTEN_AT_ONCE), generation));
  };
  const held = () => {
    readBack ??= own.merged(received);
    return readBack;
  };

  const server = await listen(attach);
  return {
    port: server.address().port,
    fill: (count, generation) => fillSome([...Array(count).keys()], generation),
    fillSome,
    async connect(port) {
      attach(await dial(port));
    },
    holds: (count) => watch.holds(count),
    // What both wrote is in its own file and comes besides.
    holdsNewest: (count, indexes) => watch.holds(count - own.bytes() / RECORD_BYTES + indexes.length),
    async write(index) {
      own.append(recordsOf([index], 0));
      sendNext();
      return false;
    },
    count: async () => held().size,
    value: async (index) => held().get(keyAt(index)),
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      own.close();
      received.close();
      closeSync(progressFile);
    },
  };
}

// A file that is appended to with a sync.
function openRecords(path) {
  const file = openSync(path, 'a+');
  let bytes = 0;
  const all = () => {
    const text = readFileSync(path, 'latin1');
    return Array.from({ length: text.length / RECORD_BYTES }, (_, at) =>
      text.slice(at * RECORD_BYTES, (at + 1) * RECORD_BYTES),
    );
  };
  return {
    bytes: () => bytes,
    append(records) {
      writeSync(file, records);
      fdatasyncSync(file);
      bytes += records.length;
    },
    read(from, length) {
      const records = Buffer.allocUnsafe(length);
      readSync(file, records, 0, length, from);
      return records;
    },
    all,
    /** Keys with values, of both files. */
    merged(other) {
      const records = [...all(), ...other.all()].sort();
      return new Map(records.map((record) => [record.slice(0, KEY_BYTES), record.slice(KEY_BYTES)]));
    },
    close: () => closeSync(file),
  };
}

function recordsOf(indexes, generation) {
  const bytes = Buffer.allocUnsafe(indexes.length * RECORD_BYTES);
  let at = 0;
  for (const index of indexes) {
    at += bytes.latin1Write(keyAt(index), at);
    at += bytes.latin1Write(valueAt(index, generation), at);
  }
  return bytes;
}
