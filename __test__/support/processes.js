import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { ClientOptions } from '@softadastra/sdk';
import { until } from './until.js';

const program = path.join(import.meta.dirname, 'node-process.js');

/** One node in a process of its own. Its calls reject with a plain error where the client returns one. */
export class NodeProcess {
  #child;
  #options;
  #nextId = 1;
  #waiting = new Map();

  /** Starts the process, opens the client and listens; the port stays the same over restarts. */
  static async start(t, nodeId, walPath, port = 0, changes = {}) {
    const node = new NodeProcess();
    node.#options = Object.assign(ClientOptions.persistent(nodeId, walPath), {
      enableTransport: true,
      transportPort: port,
      ...changes,
    });
    t.after(() => node.kill());
    await node.launch();
    return node;
  }

  async launch() {
    const child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child = child;
    child.on('message', ({ id, ...answer }) => {
      this.#waiting.get(id)?.resolve(answer);
      this.#waiting.delete(id);
    });
    child.once('exit', () => {
      for (const { name, reject } of this.#waiting.values()) {
        reject(new Error(`${this.#options.nodeId} ended during ${name}`));
      }
      this.#waiting.clear();
    });
    await this.call('open', { ...this.#options });
    await this.call('startTransport');
    this.#options.transportPort = (await this.call('options')).transportPort;
  }

  /** True while the process runs. */
  isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Makes a call and returns its value; fails the test if it returns an error. */
  async call(name, ...args) {
    const answer = await this.ask(name, ...args);
    assert.ok(answer.ok, `${this.#options.nodeId} ${name}: ${answer.code}: ${answer.message}`);
    return answer.value;
  }

  /** Id of the process, for changes of its limits. */
  pid() {
    return this.#child.pid;
  }

  /** Makes a call and returns its answer as data: `{ ok, value }` or `{ ok, code, message }`. */
  ask(name, ...args) {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { name, resolve, reject });
      this.#child.send({ id, name, args }, (error) => error && reject(error));
    });
  }

  peer() {
    const { nodeId, transportHost: host, transportPort: port } = this.#options;
    return { nodeId, host, port };
  }

  async text(key) {
    const answer = await this.ask('get', key);
    return answer.ok ? Buffer.from(answer.value, 'latin1').toString('utf8') : undefined;
  }

  reads(key, text) {
    return until(
      async () => (await this.text(key)) === text,
      `${this.#options.nodeId} reads ${key} as ${text}`,
    );
  }

  /** Kills the process, like `kill -9`. */
  async kill() {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }

  async stop() {
    await this.call('close');
    await this.kill();
  }
}

/** Runs a program to its end: `{ code, signal, stdout, stderr }`. */
export async function runProgram(parameters, { cwd, patienceMs = 30_000 } = {}) {
  const child = spawn(process.execPath, parameters, { cwd, timeout: patienceMs, killSignal: 'SIGKILL' });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const [code, signal] = await once(child, 'close');
  return { code, signal, stdout, stderr };
}
