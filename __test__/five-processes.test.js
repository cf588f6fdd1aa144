// Five nodes in processes of their own that write, remove, are killed and lose each other, and then have to agree. `npm
// run torture -- --only processes` repeats it.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { temporaryFolder } from './support/folders.js';
import { History } from './support/history.js';
import { Line } from './support/line.js';
import { NodeProcess } from './support/processes.js';
import { dice, firstSeed, rounds } from './support/torture.js';
import { until } from './support/until.js';

const NODES = 5;
const FAULTS_MS = 20_000;
/** Time limit: longer than any retry and any wait between two calls; half a minute on an idle machine. */
const PATIENCE_MS = 180_000;
/** Number of keys that all nodes write, and of keys that each node writes alone. */
const SHARED_KEYS = 12;
const OWN_KEYS = 8;

/** Draws the lines: a ring, in half of the runs with a gap, and in half with a line across it; always connected. */
function drawLines(roll) {
  const ring = Array.from({ length: NODES }, (_, node) => [node, (node + 1) % NODES]);
  const start = Math.floor(roll() * NODES);
  const lines = roll() < 0.5 ? ring : ring.filter((_, place) => place !== start);
  if (roll() < 0.5) lines.push([start, (start + 2) % NODES]);
  return lines.map(([a, b]) => (roll() < 0.5 ? [a, b] : [b, a]));
}

/** The group: its nodes, the lines between them, the writes, and the faults. */
class Group {
  constructor(t, seed) {
    this.t = t;
    this.seed = seed;
    this.history = new History();
    this.deeds = [];
    this.isCalm = false;
    this.began = performance.now();
  }

  note(deed) {
    this.deeds.push(`${Math.round(performance.now() - this.began)} ms: ${deed}`);
  }

  async start() {
    const folder = temporaryFolder(this.t);
    const launch = (_, place) => {
      const walPath = path.join(folder, `${place}.wal`);
      return NodeProcess.start(this.t, `node-${place}`, walPath, 0, { syncIntervalMs: 100 });
    };
    this.nodes = await Promise.all(Array.from({ length: NODES }, launch));
    const lines = drawLines(dice(this.seed));
    this.note(`lines ${lines.map((ends) => ends.join('-')).join(' ')}`);
    this.lines = await Promise.all(
      lines.map(async ([from, to]) => ({
        from,
        to,
        line: await Line.open(this.t, this.nodes[to].peer().port),
      })),
    );
    for (const [place] of this.nodes.entries()) this.call(place);
  }

  /** Connects a node to its peers, as a program does at each start, and again if no peer answers. */
  async call(place) {
    const node = this.nodes[place];
    for (const { to, line } of this.lines.filter(({ from }) => from === place)) {
      const peer = { nodeId: `node-${to}`, host: '127.0.0.1', port: line.port };
      const pid = node.pid();
      const isWanted = () => node.isRunning() && node.pid() === pid;
      const connect = async () => {
        while (isWanted()) {
          const answer = await node.ask('connect', peer).catch(() => ({ ok: false }));
          if (answer.ok) return;
          await pause(200);
        }
      };
      connect();
    }
  }

  /** Writes until the faults end, one write after the other, or some at once. */
  async write(place, roll) {
    for (let number = 0; !this.isCalm; number += 1) {
      const node = this.nodes[place];
      const size = roll() < 0.02 ? 300_000 : Math.floor(roll() * 600);
      const isOwn = roll() < 0.4;
      const key = isOwn ? `own/${place}/${pick(roll, OWN_KEYS)}` : `shared/${pick(roll, SHARED_KEYS)}`;
      const text = roll() < 0.25 ? undefined : `${place}:${number} ${'x'.repeat(size)}`;
      const write = this.history.begin(place, key, text);
      const asked = text === undefined ? node.ask('remove', key) : node.ask('put', key, text);
      const answer = await asked.catch(() => undefined);
      if (answer?.value?.removed === false) this.history.void(write);
      else if (answer?.ok) this.history.acknowledged(write);
      // The node is killed, or has not opened again yet.
      else assert.ok([undefined, 'invalid_state'].includes(answer?.code), `${key}: ${answer?.message}`);
      await pause(answer?.ok ? Math.floor(roll() * 25) : 50);
    }
  }

  /**
   * Causes one fault after the other: a node is killed and started again, a line is cut, lost or stalled, and
   * mended.
   */
  async disturb(roll) {
    const isDown = new Set();
    const under = [];
    while (!this.isCalm) {
      await pause(100 + Math.floor(roll() * 500));
      const [kind, length] = [roll(), Math.floor(roll() * 1200)];
      const place = pick(roll, NODES);
      const { from, to, line } = this.lines[pick(roll, this.lines.length)];
      if (kind < 0.4 && !isDown.has(place)) {
        isDown.add(place);
        under.push(this.beside(this.kill(place, length).then(() => isDown.delete(place))));
      } else if (kind < 0.7) {
        this.note(`${from}-${to} is cut for ${length} ms`);
        line.cut();
        under.push(pause(length).then(() => line.mend()));
      } else if (kind < 0.85) {
        this.note(`${from}-${to} is lost`);
        line.drop();
      } else {
        this.note(`${from}-${to} stalls for ${length} ms`);
        line.stall();
        under.push(pause(length).then(() => line.drop()));
      }
    }
    await Promise.all(under);
  }

  /** Runs a step in the background: a failure of the group itself is reported instead of the step's. */
  beside(step) {
    step.catch(() => {});
    return step;
  }

  async kill(place, length) {
    this.note(`node-${place} is killed, for ${length} ms`);
    await this.nodes[place].kill();
    await pause(length);
    await this.nodes[place].launch();
    this.note(`node-${place} is back`);
    this.call(place);
  }

  contents() {
    return Promise.all(this.nodes.map((node) => node.call('contents')));
  }

  /** The reason why the group is not at rest; nothing if it is. */
  async unrest() {
    for (const [place, node] of this.nodes.entries()) {
      const state = await node.call('syncStateInfo');
      const { queuedCount, inFlightCount, failedCount } = state;
      if (queuedCount + inFlightCount + failedCount > 0) {
        return `node-${place} has ${queuedCount} queued, ${inFlightCount} in flight, ${failedCount} failed`;
      }
      const neighbours = this.lines.filter(({ from, to }) => from === place || to === place);
      for (const { from, to } of neighbours) {
        const other = `node-${from === place ? to : from}`;
        const row = state.peers.find(({ nodeId }) => nodeId === other);
        if (row?.inSync !== true) return `node-${place} is not in sync with ${other}: ${JSON.stringify(row)}`;
      }
    }
    return undefined;
  }

  async check() {
    let unrest = 'nothing was looked at';
    const isAtRest = async () => {
      unrest = await this.unrest();
      return unrest === undefined;
    };
    await until(isAtRest, 'the group is at rest', PATIENCE_MS).catch((cause) =>
      assert.fail(`${cause.message}: ${unrest}`),
    );
    const [first, ...others] = await this.contents();
    for (const other of others) assert.deepEqual(other, first);
    this.history.check(first);
    for (const { from, to } of this.lines) {
      const found = await this.nodes[from].call('verify', `node-${to}`);
      assert.ok(found.equal, `${from} and ${to} differ: ${JSON.stringify(found)}`);
    }
    // Everything is on disk, too.
    for (const { line } of this.lines) line.cut();
    await Promise.all(this.nodes.map((node) => node.kill()));
    await Promise.all(this.nodes.map((node) => node.launch()));
    for (const again of await this.contents()) assert.deepEqual(again, first);
  }

  async run() {
    await this.start();
    const roll = (number) => dice(this.seed * 101 + number);
    const writers = this.nodes.map((_, place) => this.write(place, roll(place + 1)));
    const failed = this.beside(Promise.all([...writers, this.disturb(roll(0))]));
    await Promise.race([failed, pause(FAULTS_MS)]);
    this.isCalm = true;
    await failed;
    this.note(`calm, after ${this.history.size} writes`);
    await this.check();
  }
}

const pick = (roll, count) => Math.floor(roll() * count);

test('five processes agree once they are left alone', { timeout: rounds(1) * 300_000 }, async (t) => {
  for (let round = 0; round < rounds(1); round += 1) {
    const seed = firstSeed + round;
    const group = new Group(t, seed);
    try {
      await group.run();
    } catch (cause) {
      const again = `TORTURE_SEED=${seed} TORTURE_ROUNDS=1 node --test __test__/five-processes.test.js`;
      const told = `${cause.message}\n${group.deeds.slice(-40).join('\n')}\nseed ${seed}, again: ${again}`;
      throw new Error(told, { cause });
    } finally {
      group.isCalm = true;
      await Promise.all((group.nodes ?? []).map((node) => node.kill()));
    }
  }
});
