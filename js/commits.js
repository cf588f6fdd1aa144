'use strict';

// Writes that wait for their commit, by ticket; and the waking of the committer.

const { types } = require('node:util');
const { monotonicMs, nextTick, setImmediate, setTimeout } = require('./host.js');
const { Result, resultOfWrite } = require('./result.js');
const { ErrorCode, failure } = require('./error.js');
const { answered } = require('./turns.js');
const { BATCH, PUT, REMOVE, writeInfo } = require('./write-info.js');

const NO_ROOM = -5;

/** Initial length of the ring. A power of two, so that a mask finds the place of a ticket. */
const CAPACITY = 1024;
/** Length of a burst of writes at which the committer is woken before its end. */
const WAKE_EVERY = 2048;
/**
 * Interval, in milliseconds, of attempts to get room in the addon's queue while other requests than this client's
 * writes fill it: their commits are not reported here.
 */
const ROOM_RETRY_MS = 5;

/** Longest time, in milliseconds, for which writes that are awaited one after another may hold the event loop. */
const TURN_EVERY_MS = 1;

let taken;
const take = (resolve) => {
  taken = resolve;
};

/**
 * Writes that wait for their commit. The addon numbers accepted writes 1, 2, 3… and reports commits in that order, so a
 * ring of resolvers by ticket is enough. Writes for which the addon has no room wait here, in order, with their values
 * copied, because the caller may change them. A write that the addon refuses when it is called gets no ticket, and its
 * promise resolves at once, before those of earlier writes.
 */
class Commits {
  #hot;
  #author;
  #refusal;
  #resolvers = new Array(CAPACITY);
  #kinds = new Uint8Array(CAPACITY);
  #next = 1;
  #last = 0;
  #waiting = [];
  #waitingFrom = 0;
  #askingForRoom = false;
  #idleCallbacks = [];
  #unwoken = 0;
  #wake;
  // The addon holds this object for as long as the node is open, so it must not keep the node alive in turn: a client
  // that is garbage has to close. Only writes that wait for an answer hold the node.
  #node;
  // Held only to keep the node alive; never read.
  #heldNode;

  /** `refusal(code, operation)` returns the failure of a negative code; it must not hold the node. */
  constructor(node, refusal) {
    const { hot } = node;
    this.#hot = hot;
    this.#author = node.author();
    this.#node = new WeakRef(node);
    this.#refusal = refusal;
    let turnedMs = Number.NEGATIVE_INFINITY;
    const commit = () => {
      const results = hot.commit();
      if (Array.isArray(results)) this.settle(this.#next, results, null);
    };
    const turned = () => {
      turnedMs = monotonicMs();
      commit();
    };
    this.#wake = () => {
      this.#unwoken = 0;
      // A lone write is committed here, after everything else that was ready to run (inline commit). The event loop
      // turns from time to time, so that a program that awaits one write after another does not block it.
      if (hot.wake() !== 1) return;
      if (monotonicMs() - turnedMs < TURN_EVERY_MS) commit();
      else setImmediate(turned);
    };
  }

  /** Takes in that the node continues as another author. */
  renamed(author) {
    this.#author = author;
  }

  put(key, value) {
    if (this.#waitingFrom < this.#waiting.length) return this.#wait({ kind: PUT, key, value: owned(value) });
    const ticket = this.#hot.put(key, value);
    if (ticket > 0) return this.#pending(ticket, PUT);
    if (ticket === NO_ROOM) return this.#wait({ kind: PUT, key, value: owned(value) });
    return answered(Result.err(this.#refusal(ticket, { key, value })), 0);
  }

  remove(key) {
    return this.#submit({ kind: REMOVE, key });
  }

  batch(keys, values) {
    return this.#submit({ kind: BATCH, keys, values });
  }

  /** Resolves when every accepted write has its answer. */
  idle() {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idleCallbacks.push(resolve));
  }

  /** Takes in the addon's report: every ticket up to `highest` is settled. */
  settle(highest, results, failures) {
    const failed =
      failures === null ? undefined : new Map(failures.map(({ ticket, error }) => [ticket, error]));
    const mask = this.#resolvers.length - 1;
    for (let ticket = this.#next, at = 0; ticket <= highest; ticket += 1, at += 2) {
      const place = ticket & mask;
      const resolve = this.#resolvers[place];
      this.#resolvers[place] = undefined;
      const error = failed?.get(ticket);
      if (error !== undefined) resolve(Result.err(error));
      else {
        resolve(resultOfWrite(writeInfo(this.#kinds[place], results[at]), this.#author, results[at + 1]));
      }
    }
    this.#next = highest + 1;
    this.#admitWaiting();
    this.#reportIdle();
  }

  /** Fails all waiting writes: the addon is closed and reports nothing more, so their outcome is unknown. */
  abandon() {
    const error = failure(
      ErrorCode.InvalidState,
      'outcome_unknown',
      'the client closed before the outcome of this write was known',
      { retryable: true },
    );
    const mask = this.#resolvers.length - 1;
    for (; this.#next <= this.#last; this.#next += 1) {
      this.#resolvers[this.#next & mask](Result.err(error));
      this.#resolvers[this.#next & mask] = undefined;
    }
    for (const { resolve } of this.#waiting.slice(this.#waitingFrom)) resolve(Result.err(error));
    this.#waiting = [];
    this.#waitingFrom = 0;
    this.#reportIdle();
  }

  #submit(operation) {
    if (this.#waitingFrom < this.#waiting.length) return this.#wait(copied(operation));
    const ticket = this.#enqueue(operation);
    if (ticket > 0) return this.#pending(ticket, operation.kind);
    if (ticket === NO_ROOM) return this.#wait(copied(operation));
    return answered(Result.err(this.#refusal(ticket, operation)), 0);
  }

  #enqueue({ kind, key, value, keys, values }) {
    if (kind === PUT) return this.#hot.put(key, value);
    return kind === REMOVE ? this.#hot.remove(key) : this.#hot.batch(keys, values);
  }

  #pending(ticket, kind) {
    const promise = new Promise(take);
    this.#track(ticket, kind, taken);
    return promise;
  }

  #track(ticket, kind, resolve) {
    if (ticket - this.#next >= this.#resolvers.length) this.#grow();
    const place = ticket & (this.#resolvers.length - 1);
    this.#resolvers[place] = resolve;
    this.#kinds[place] = kind;
    this.#last = ticket;
    this.#heldNode ??= this.#node.deref();
    this.#unwoken += 1;
    // Runs at the end of this turn of the event loop: a burst of writes wakes the committer once.
    if (this.#unwoken === 1) nextTick(this.#wake);
    else if (this.#unwoken % WAKE_EVERY === 0) this.#hot.wake();
  }

  #grow() {
    const before = this.#resolvers.length;
    const resolvers = new Array(before * 2);
    const kinds = new Uint8Array(before * 2);
    for (let ticket = this.#next; ticket <= this.#last; ticket += 1) {
      resolvers[ticket & (before * 2 - 1)] = this.#resolvers[ticket & (before - 1)];
      kinds[ticket & (before * 2 - 1)] = this.#kinds[ticket & (before - 1)];
    }
    this.#resolvers = resolvers;
    this.#kinds = kinds;
  }

  #wait(operation) {
    this.#heldNode ??= this.#node.deref();
    const promise = new Promise((resolve) => this.#waiting.push({ ...operation, resolve }));
    this.#askForRoom();
    return promise;
  }

  #admitWaiting() {
    while (this.#waitingFrom < this.#waiting.length) {
      const operation = this.#waiting[this.#waitingFrom];
      const ticket = this.#enqueue(operation);
      if (ticket === NO_ROOM) break;
      this.#waiting[this.#waitingFrom] = undefined;
      this.#waitingFrom += 1;
      if (ticket > 0) this.#track(ticket, operation.kind, operation.resolve);
      else operation.resolve(Result.err(this.#refusal(ticket, operation)));
    }
    // Moving the rest costs as much as was taken out since, so the cost per write is constant.
    if (this.#waitingFrom * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#waitingFrom);
      this.#waitingFrom = 0;
    }
    if (this.#waiting.length > 0) this.#askForRoom();
  }

  // The commit of an own write makes room and calls settle(); without one under way, the room is asked for again later.
  #askForRoom() {
    if (this.#next <= this.#last || this.#askingForRoom) return;
    this.#askingForRoom = true;
    setTimeout(() => {
      this.#askingForRoom = false;
      this.#admitWaiting();
      this.#reportIdle();
    }, ROOM_RETRY_MS);
  }

  #isIdle() {
    return this.#next > this.#last && this.#waitingFrom === this.#waiting.length;
  }

  #reportIdle() {
    if (!this.#isIdle()) return;
    this.#heldNode = undefined;
    for (const callback of this.#idleCallbacks.splice(0)) callback();
  }
}

/** A copy of bytes, which the caller may change; of a subclass none of its own methods is called. */
const owned = (value) => (types.isUint8Array(value) ? new Uint8Array(value) : value);

const copied = (operation) =>
  operation.kind === BATCH ? { ...operation, values: operation.values.map(owned) } : operation;

module.exports = { Commits };
