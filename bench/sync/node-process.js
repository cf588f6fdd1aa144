// One node of one contender in a process of its own. The parent calls the node's methods over IPC; every answer comes
// with the moment at which the method was done, on the clock that all processes share.
//
// A contender of this folder exports `createNode({ name, directory, shape, onSeen })`, which gives
//   port                      where others connect to
//   fill(count, generation)   writes keys 0 .. count-1, durable when it resolves
//   fillLive(count)           the same, single writes with 1,000 under way, while connected
//   fillSome(indexes, generation)
//                             the same as fill for some keys
//   connect(port, name)       dials another node
//   holds(count)              resolves once so many keys are durable and visible here
//   holdsNewest(count, indexes, generation)
//                             the same, and also the newest of what two nodes wrote for these keys: the one of that
//                             generation
//   warm(indexes)             may be left out: looks at these keys once, so that holdsNewest does not do so for the
//                             first time while the clock runs
//   inSync()                  resolves once the node knows of every connected peer that both hold the same
//   compact()                 moves what it holds to where it stays
//   write(index)              one write; resolves when it is durable here, with true if that answer also proves
//                             that it is durable and visible on the other node
//   value(index)              the value held for a key
//   count()                   how many keys are held
//   close()
// and, if it was given `onSeen`, calls it when a write has become durable and visible here.

import { keyAt, valueAt } from '../dataset.js';
import { nowNs } from '../monotonic-clock.js';

let node;

/** Every `step`th index from `from` on, below `to`. */
const indexesOf = ({ from, to, step = 1 }) =>
  Array.from({ length: Math.max(Math.ceil((to - from) / step), 0) }, (_, at) => from + at * step);

const methods = {
  async create({ module, watched, ...settings }) {
    const { createNode } = await import(`./${module}.js`);
    const onSeen = (index) => {
      const atNs = nowNs();
      process.send({ seen: index, atNs });
    };
    node = await createNode({ ...settings, onSeen: watched ? onSeen : undefined });
    return node.port;
  },
  fill: ({ count, generation }) => node.fill(count, generation),
  fillLive: ({ count }) => node.fillLive(count),
  fillSome: ({ some, generation }) => node.fillSome(indexesOf(some), generation),
  connect: ({ port, name }) => node.connect(port, name),
  holds: ({ count }) => node.holds(count),
  holdsNewest: ({ count, some, generation }) => node.holdsNewest(count, indexesOf(some), generation),
  warm: ({ some }) => node.warm?.(indexesOf(some)),
  inSync: () => node.inSync(),
  compact: () => node.compact(),
  write: ({ index }) => node.write(index),
  /** Every key has the value of that generation, and those of `newer` that of the next. */
  async verify({ count, generation, newer }) {
    const found = await node.count();
    if (found !== count) throw new Error(`${count} keys expected, ${found} held`);
    const written = new Set(newer && indexesOf(newer));
    for (let index = 0; index < count; index++) {
      const value = await node.value(index);
      if (value !== valueAt(index, written.has(index) ? generation + 1 : generation))
        throw new Error(`the value of ${keyAt(index)} is wrong: ${value}`);
    }
  },
  close: () => node?.close(),
};

process.on('message', async ({ id, method, settings }) => {
  const startNs = nowNs();
  try {
    const value = await methods[method](settings);
    process.send({ id, startNs, doneNs: nowNs(), value });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.on('disconnect', () => process.exit(0));
