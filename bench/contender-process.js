// A fresh process for one contender in one row of one round: told what to do over IPC, answers once, and ends.

import * as fingerprint from './store/fingerprint.js';
import * as footprint from './store/footprint.js';
import * as store from './store/measure.js';
import * as opening from './store/opening.js';
import * as underLoad from './store/under-load.js';
import * as absentPeer from './sync/absent-peer.js';
import * as apart from './sync/apart.js';
import * as catchUp from './sync/catch-up.js';
import * as meeting from './sync/meeting.js';
import * as mesh from './sync/mesh.js';
import * as oneWrite from './sync/one-write.js';
import * as overwritten from './sync/overwritten.js';
import * as peers from './sync/peers.js';

const measurements = {
  fill: store.fill,
  'awaited-puts': store.awaitedPuts,
  'puts-in-flight': store.putsInFlight,
  'random-gets': store.randomGets,
  'open-to-first-get': opening.openToFirstGet,
  'fill-and-update': opening.fillAndUpdate,
  'read-log': opening.readLog,
  'memory-after-scan': footprint.memoryAfterScan,
  'memory-of-node': footprint.memoryOfNode,
  'disk-after-overwriting': footprint.diskAfterOverwriting,
  'puts-during-checkpoint': underLoad.putsDuringCheckpoint,
  'stall-during-checkpoint': underLoad.stallDuringCheckpoint,
  'build-fingerprint': fingerprint.build,
  'fingerprint-share': fingerprint.share,
  'catch-up': catchUp.measure,
  'fill-sender': catchUp.fill,
  'catch-up-rate': catchUp.rate,
  apart: apart.measure,
  'one-write': oneWrite.measure,
  'mesh-bytes': mesh.bytes,
  'mesh-time': mesh.time,
  'fill-pair': meeting.fillPair,
  'fill-through-third': meeting.fillThroughThird,
  meeting: meeting.bytes,
  'meeting-kilobytes': meeting.kilobytes,
  overwritten: overwritten.measure,
  peers: peers.measure,
  'build-absent-peer': absentPeer.build,
  'absent-peer': absentPeer.measure,
};

/** What ends without closing anything, as if the system had ended it. */
const killed = new Set(['fill-and-update']);

process.once('message', async ({ module, measurement, settings }) => {
  let answer;
  try {
    const contender = module.startsWith('store/') ? await import(`./${module}.js`) : module;
    answer = { value: await measurements[measurement](contender, settings) };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  const end = () => (killed.has(measurement) ? process.kill(process.pid, 'SIGKILL') : process.exit(0));
  process.send(answer, end);
});
