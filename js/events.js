'use strict';

// Listeners of a client, and the handling of those that throw.

const { Causes } = require('./causes.js');
const { SoftadastraError, ErrorCode, errorOf, invalidArgument, reasonOf } = require('./error.js');
const { changeOf } = require('./change.js');
const { monotonicMs } = require('./host.js');
const { conflictOf } = require('./conflict.js');
const { didYouMean } = require('./spelling.js');

const EVENTS = Object.freeze(['change', 'conflict', 'peer', 'identity', 'error']);

/**
 * Listeners and watches of a client, and the delivery of the addon's events to them. Outlives closing and
 * reopening.
 */
class Events {
  #listeners = new Map(EVENTS.map((event) => [event, new Set()]));
  #watches = new Set();
  #causes = new Causes();
  /** Listeners that have thrown, each with a number of its own. */
  #throwing = new WeakMap();
  #throwingCount = 0;

  /** Adds a listener. Returns the failure of a wrong argument. A listener that is added twice is called once. */
  on(event, listener) {
    const wrong = check(event, listener);
    if (wrong === undefined) this.#listeners.get(event).add(listener);
    return wrong;
  }

  off(event, listener) {
    const wrong = check(event, listener);
    if (wrong === undefined) this.#listeners.get(event).delete(listener);
    return wrong;
  }

  addWatch(watch) {
    this.#watches.add(watch);
  }

  removeWatch(watch) {
    this.#watches.delete(watch);
  }

  endWatches() {
    for (const watch of [...this.#watches]) watch.end();
  }

  /** True if a change would reach any listener or watch: otherwise the addon does not report changes. */
  wantsChanges() {
    return this.#watches.size > 0 || this.#listeners.get('change').size > 0;
  }

  /** True if a conflict would reach any listener: otherwise the addon does not report conflicts. */
  wantsConflicts() {
    return this.#listeners.get('conflict').size > 0;
  }

  /** Takes in an event from the addon of node `nodeId`. */
  handle({ type, ...event }, nodeId) {
    if (type === 'change') this.#changes(event.changes, nodeId);
    else if (type === 'conflict') {
      for (const conflict of event.conflicts) this.#emit('conflict', conflictOf(conflict));
    } else if (type === 'error') this.#failed(event.error);
    else if (type === 'peer')
      this.#emit('peer', Object.freeze({ ...event, skewMs: event.skewMs ?? undefined }));
    else this.#emit(type, Object.freeze(event));
  }

  #changes(reported, nodeId) {
    for (const change of reported.map((one) => changeOf(one, nodeId))) {
      this.#emit('change', change);
      for (const watch of this.#watches) watch.add(change);
    }
  }

  /** Reports a failure in the background, once for each cause; without a listener as a process warning. */
  #failed(failure) {
    const count = this.#causes.heard(failure, monotonicMs());
    if (count === undefined) return;
    const error = errorOf({ ...failure, count });
    if (this.#listeners.get('error').size === 0) process.emitWarning(error);
    else this.#emit('error', error);
  }

  #emit(event, argument) {
    // Iterates over a copy: listeners may be added and removed while they are called.
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      const report = (cause) => this.#listenerFailed(event, listener, cause);
      try {
        const answer = listener(argument);
        if (typeof answer?.then === 'function') answer.then(undefined, report);
      } catch (cause) {
        report(cause);
      }
    }
  }

  // A listener that throws is a defect of the program: it is reported once for each cause, and disturbs no other
  // listener.
  #listenerFailed(event, listener, cause) {
    const message = `a listener for ${event} failed: ${reasonOf(cause)}`;
    const failed = { code: ErrorCode.Unknown, kind: 'listener_failed', context: event };
    const number = this.#throwing.get(listener) ?? ++this.#throwingCount;
    this.#throwing.set(listener, number);
    const count = this.#causes.heard({ ...failed, context: `${number} ${message}` }, monotonicMs());
    if (count === undefined) return;
    const error = new SoftadastraError(failed.code, message, { ...failed, cause, count });
    if (event === 'error' || this.#listeners.get('error').size === 0) process.emitWarning(error);
    else this.#emit('error', error);
  }
}

function check(event, listener) {
  if (!EVENTS.includes(event)) {
    const hint = typeof event === 'string' ? didYouMean(event, EVENTS) : '';
    return invalidArgument('invalid_event', `event must be one of ${EVENTS.join(', ')}${hint}`, 'event');
  }
  if (typeof listener !== 'function') {
    return invalidArgument('invalid_listener', 'listener must be a function', 'listener');
  }
  return undefined;
}

module.exports = { Events };
