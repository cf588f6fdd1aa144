'use strict';

// One stretch of a client between open and close.

const { Result } = require('./result.js');
const { Commits } = require('./commits.js');
const { loadAddon } = require('./native.js');
const { refusalOf } = require('./refusals.js');
const { unexpected } = require('./error.js');
const { answered } = require('./turns.js');

/** One stretch between a successful open and its close: the addon's node and the writes under way in it. */
class Session {
  constructor(node, options, commits, refusal) {
    this.node = node;
    this.hot = node.hot;
    this.options = options;
    this.commits = commits;
    this.refusal = refusal;
    /** The {@link NodeInfo} that was taken last. */
    this.info = undefined;
  }

  /** `{ session }`, or `{ failure }`. `events` gets what the addon tells from now on. */
  static async open(options, events) {
    const { addon, failure } = loadAddon();
    if (failure !== undefined) return { failure };
    try {
      // The addon may report before open() has its answer, so what it reports to is filled in afterwards.
      // It holds on to both callbacks, which therefore may not hold the node or the Client.
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

  /** Lets the writes under way finish, then closes; with `compact` behind a checkpoint of everything. */
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

  /** Asks the addon for something rare; `convert` makes its plain answer what the caller gets. */
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

/** The policy as the addon takes it. */
function ackPolicyOf({ ackPolicy }) {
  const { count, memory } = typeof ackPolicy === 'object' ? ackPolicy : { count: ackPolicy };
  return { ackPolicy: `${count ?? 'any'}`, memoryWillDo: memory === true };
}

module.exports = { Session };
