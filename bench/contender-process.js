// A fresh process for one contender in one row of one round: told what to do over IPC, answers once, and ends.

import * as store from './store/measure.js';
import * as catchUp from './sync/catch-up.js';
import * as mesh from './sync/mesh.js';
import * as oneWrite from './sync/one-write.js';
import * as overwritten from './sync/overwritten.js';

const measurements = {
  fill: store.fill,
  'awaited-puts': store.awaitedPuts,
  'puts-in-flight': store.putsInFlight,
  'random-gets': store.randomGets,
  'catch-up': catchUp.measure,
  'one-write': oneWrite.measure,
  mesh: mesh.measure,
  overwritten: overwritten.measure,
};

process.once('message', async ({ module, measurement, settings }) => {
  let answer;
  try {
    const contender = module.startsWith('store/') ? await import(`./${module}.js`) : module;
    answer = { value: await measurements[measurement](contender, settings) };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.send(answer, () => process.exit(0));
});
