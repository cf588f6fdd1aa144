'use strict';

// The session of a client: the time between open and close.

const { Result } = require('./result.js');
const { Commits } = require('./commits.js');
const { loadAddon } = require('./native.js');
const { refusalOf } = require('./refusals.js');
const { unexpected } = require('./error.js');
const { answered } = require('./turns.js');

/** A session: the time from a successful open() to its close(), with the addon's node and the pending writes. */
class Session {
  constructor(node, options, commits, refusal) {
    this.node = node;
    this.hot = node.hot;
    this.options = options;
    this.commits = commits;
    this.refusal = refusal;
    /** The last {@link NodeInfo}. */
    this.info = undefined;
  }

  /** Opens a session. Returns `{ session }`, or `{ failure }`. `events` gets the addon's events from now on. */
  static async open(options, events) {
    const { addon, failure } = loadAddon();
    if (failure !== undefined) return { failure };
    try {
      // The addon may report before open() has its answer, so the targets of its reports are filled in afterwards. It
      // holds both callbacks, which therefore must not hold the node or the Client.
      let commits;
      let weakNode;
      const outcome = await addon.open(
        { ...options, ...ackPolicyOf(options) },
        (highest, results, failures) => commits.settle(highest, results, failures),
        (event) => {
          if (event.type === 'identity') commits?.renamed(weakNode.deref()?.author());
          events.handle(event, options.nodeId);
        },
      );
      if (!outcome.ok) return { failure: outcome.error };
      const node = outcome.value;
      weakNode = new WeakRef(node);
      const causes = {
        poisoned: () => weakNode.deref()?.refusal() ?? undefined,
        unreadable: () => weakNode.deref()?.readFailure() ?? undefined,
      };
      const refusal = (code, operation) => refusalOf(code, operation, options.maxValueBytes, causes);
      commits = new Commits(node, refusal);
      return { session: new Session(node, options, commits, refusal) };
    } catch (cause) {
      return { failure: unexpected(cause) };
    }
  }

  /** Waits for the pending writes, then closes; with `compact` after a checkpoint of everything. */
  async close(compact) {
    try {
      await this.commits.idle();
      const outcome = await this.node.close(compact);
      return outcome.ok ? Result.ok() : Result.err(outcome.error);
    } catch (cause) {
      return Result.err(unexpected(cause));
    } finally {
      this.commits.abandon();
    }
  }

  /** Makes a rare call of the addon; `convert` turns its plain answer into the caller's. */
  async ask(question, convert) {
    try {
      const outcome = await question(this.node);
      if (!outcome.ok) return answered(Result.err(outcome.error), 0);
      return answered(Result.ok(convert === undefined ? undefined : convert(outcome.value)), 0);
    } catch (cause) {
      return answered(Result.err(unexpected(cause)), 0);
    }
  }
}

/** The acknowledgement policy in the addon's format. */
function ackPolicyOf({ ackPolicy }) {
  const { count, memory } = typeof ackPolicy === 'object' ? ackPolicy : { count: ackPolicy };
  return { ackPolicy: `${count ?? 'any'}`, memoryWillDo: memory === true };
}

module.exports = { Session };
