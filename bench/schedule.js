// Runs contenders in fresh processes, one at a time.

import { fork } from 'node:child_process';

/** No measurement takes so long; one that does has hung. */
const MEASUREMENT_TIMEOUT_MS = 15 * 60_000;
const processPath = new URL('./contender-process.js', import.meta.url);

/**
 * @param {string} module the contender's module, such as `store/lmdb`
 * @param {string} measurement a name known to `contender-process.js`
 * @param {object} settings what the measurement takes
 * @returns {Promise<unknown>} what it measured; rejects with what went wrong there
 */
export function runContender(module, measurement, settings) {
  return new Promise((resolve, reject) => {
    const child = fork(processPath, {
      execArgv: ['--expose-gc'],
      env: { ...process.env, NODE_ENV: 'production' },
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), MEASUREMENT_TIMEOUT_MS);
    let answer;
    child.once('message', (message) => {
      answer = message;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      clearTimeout(timer);
      if (!answer) reject(new Error(`ended without an answer (code ${code}, signal ${signal})`));
      else if (answer.error) reject(new Error(answer.error));
      else resolve(answer.value);
    });
    child.send({ module, measurement, settings });
  });
}
