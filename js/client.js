'use strict';

// `Client`: checks arguments and states, and hands each call to the session that is open.

const { checkContent, checkKey, guarded, surplusArgument, unreadable } = require('./arguments.js');
const { addAliases } = require('./aliases.js');
const { refuseSurplus } = require('./arity.js');
const {
  readBackupArguments,
  readBatch,
  readConflictsOptions,
  readEntriesOptions,
  readOutboxOptions,
  readPeer,
  readTickOptions,
  readVerifyArguments,
  readWaitArguments,
  readWatchArguments,
} = require('./calls.js');
const { frozenOptions } = require('./client-options.js');
const { runBackup } = require('./backup.js');
const { comparisonOf, runComparison } = require('./comparison.js');
const { Entries } = require('./entries.js');
const { conflictOf, putOf } = require('./conflict.js');
const { ErrorCode, failure, notOpen, shortened, unexpected } = require('./error.js');
const { Events } = require('./events.js');
const { textOf } = require('./key.js');
const { NodeInfo } = require('./node-info.js');
const { OutboxEntry } = require('./outbox-entry.js');
const { readOptions, showOptions } = require('./option-rules.js');
const { peerOf } = require('./peer.js');
const { recoveryOf, statsOf } = require('./reports.js');
const { Result, resultOfWrite } = require('./result.js');
const { Session } = require('./session.js');
const { SyncResult } = require('./sync-result.js');
const { TickResult } = require('./tick-result.js');
const { answered } = require('./turns.js');
const { contentOf, valueFrom } = require('./value.js');
const { deliveredOf, runWait } = require('./wait.js');
const { Watch } = require('./watch.js');
const { BATCH, writeInfo } = require('./write-info.js');

const settled = (failed) => answered(Result.err(failed), 0);

class Client {
  #given;
  // The failure of wrong constructor arguments, because of which the client can never be opened.
  #refused;
  // Set from the end of a successful open() to the beginning of close(): the only mark of an open client.
  #session;
  #events = new Events();
  // Opening and closing take turns, in the order of the calls.
  #turn = Promise.resolve();
  /** The last close that began: resolves once it holds nothing any more. */
  #leaving = Promise.resolve();

  constructor(options, ...surplus) {
    this.#given = options;
    if (surplus.length > 0) this.#refused = surplusArgument('new Client', 'options');
  }

  open() {
    return this.#inTurn(async () => {
      if (this.#session !== undefined) return Result.ok();
      // A close() that was called after this open() has begun already, and holds the log until it is done.
      await this.#leaving;
      const { options, failure: refused } = readOptions(this.#given);
      if ((this.#refused ?? refused) !== undefined) return Result.err(this.#refused ?? refused);
      const { session, failure: failed } = await Session.open(options, this.#events);
      if (failed !== undefined) return Result.err(failed);
      this.#session = session;
      this.#tellInterest();
      return Result.ok();
    });
  }

  close(options) {
    const closing = this.#leave(options);
    return this.#inTurn(async () => {
      const closed = await closing;
      // An open() that was called before may have opened the client again meanwhile.
      return (await this.#leave(options)) ?? closed ?? Result.ok();
    });
  }

  isOpen() {
    return this.#session !== undefined;
  }

  options() {
    const session = this.#session;
    if (session === undefined) return showOptions(this.#given);
    return this.transportRunning()
      ? frozenOptions(session.options, { transportPort: session.node.transportPort() })
      : session.options;
  }

  put(key, value, surplus) {
    const session = this.#session;
    if (session === undefined) return settled(notOpen());
    const name = typeof key === 'string' ? key : textOf(key);
    let content = value;
    if (typeof value !== 'string') {
      try {
        content = contentOf(value);
      } catch (cause) {
        return settled(checkKey(name) ?? unreadable('value', cause));
      }
    }
    if (name === undefined || content === undefined) {
      return settled(checkKey(name) ?? checkContent(content, session.options.maxValueBytes, 'value', value));
    }
    if (surplus !== undefined) return settled(surplusArgument('put', 'key and value'));
    return session.commits.put(name, content);
  }

  remove(key, surplus) {
    const session = this.#session;
    if (session === undefined) return settled(notOpen());
    const name = textOf(key);
    if (name === undefined) return settled(checkKey(name));
    if (surplus !== undefined) return settled(surplusArgument('remove', 'key'));
    return session.commits.remove(name);
  }

  batch(operations) {
    const session = this.#session;
    if (session === undefined) return settled(notOpen());
    const { keys, values, failure: wrong } = readBatch(operations);
    if (wrong !== undefined) return settled(wrong);
    if (keys.length === 0) return answered(resultOfWrite(writeInfo(BATCH, 0), '', 0), 0);
    return session.commits.batch(keys, values);
  }

  get(key, surplus) {
    const session = this.#session;
    if (session === undefined) return settled(notOpen());
    const name = typeof key === 'string' ? key : textOf(key);
    if (name === undefined) return settled(checkKey(name));
    if (surplus !== undefined) return settled(surplusArgument('get', 'key'));
    const found = session.hot.get(name);
    if (typeof found === 'string' || typeof found === 'object') {
      return answered(Result.ok(valueFrom(found)), found.length);
    }
    return settled(missing(session, name, found));
  }

  contains(key, surplus) {
    const session = this.#session;
    const name = textOf(key);
    if (session === undefined || name === undefined || surplus !== undefined) return false;
    return session.hot.contains(name) === true;
  }

  size() {
    return this.#session === undefined ? 0 : this.#session.hot.size();
  }

  empty() {
    return this.size() === 0;
  }

  flush() {
    return this.#ask((node) => node.flush());
  }

  entries(options, surplus) {
    const session = this.#session;
    const refuse = (failed) => new Entries(undefined, 0, undefined, failed);
    if (session === undefined) return refuse(notOpen());
    if (surplus !== undefined) return refuse(surplusArgument('entries', 'options'));
    const { prefix, after, limit, failure: wrong } = readEntriesOptions(options);
    if (wrong !== undefined) return refuse(wrong);
    try {
      const scan = limit === 0 ? undefined : session.node.scan(prefix, after);
      return new Entries(scan, limit, () => this.#session === session);
    } catch (cause) {
      return refuse(unexpected(cause));
    }
  }

  on(event, listener, surplus) {
    return this.#listen('on', event, listener, surplus);
  }

  off(event, listener, surplus) {
    return this.#listen('off', event, listener, surplus);
  }

  watch(prefix, options, surplus) {
    const session = this.#session;
    const { failure: wrong, ...read } =
      session === undefined ? { failure: notOpen() } : readWatchArguments(prefix, options, surplus);
    if (wrong !== undefined) return new Watch('', undefined, undefined, wrong);
    const watch = new Watch(read.prefix, read.signal, {
      hold: () => session.node.hold(),
      release: () => session.node.release(),
      ended: (ended) => {
        this.#events.removeWatch(ended);
        this.#tellInterest();
      },
    });
    if (!watch.hasEnded()) this.#events.addWatch(watch);
    this.#tellInterest();
    return watch;
  }

  syncStateInfo() {
    return this.#ask(
      (node) => node.syncState(),
      (state) => new SyncResult(state),
    );
  }

  tick(options) {
    return this.#askWith(
      () => readTickOptions(options),
      (node, { prune }) => node.tick(prune),
      (tick) => new TickResult(tick),
    );
  }

  conflicts(options) {
    return this.#askWith(
      () => readConflictsOptions(options),
      (node, { prefix }) => node.conflicts(prefix),
      (conflicts) => conflicts.map(conflictOf),
    );
  }

  conflict(key) {
    if (this.#session === undefined) return settled(notOpen());
    const name = textOf(key);
    const wrong = checkKey(name);
    return wrong === undefined ? this.#ask((node) => node.conflict(name), conflictOf) : settled(wrong);
  }

  resolve(key, value) {
    const session = this.#session;
    if (session === undefined) return settled(notOpen());
    const name = textOf(key);
    return this.#askWith(
      () => guarded('value', () => readContent(name, value, session.options.maxValueBytes)),
      (node, { content }) => node.resolve(name, content),
      putOf,
    );
  }

  retryFailed() {
    return this.#ask(
      (node) => node.retryFailed(),
      (count) => count,
    );
  }

  outbox(options) {
    return this.#askWith(
      () => readOutboxOptions(options),
      (node, { state, after, limit }) => node.outbox(state, after, limit),
      (entries) => entries.map((entry) => new OutboxEntry(entry)),
    );
  }

  waitFor(operation, options) {
    return this.#askWith(() => readWaitArguments(operation, options), runWait, deliveredOf);
  }

  compact() {
    return this.#ask((node) => node.compact());
  }

  backup(walPath, options) {
    return this.#askWith(() => readBackupArguments(walPath, options), runBackup);
  }

  startSync() {
    return this.#ask((node) => node.startSync());
  }

  stopSync() {
    return this.#ask((node) => node.stopSync());
  }

  startTransport() {
    return this.#ask((node) => node.startTransport());
  }

  stopTransport() {
    return this.#ask((node) => node.stopTransport());
  }

  transportRunning() {
    return this.#session !== undefined && this.#session.node.transportRunning() === true;
  }

  connect(peer) {
    return this.#askWith(
      () => readPeer(peer),
      (node, { nodeId, host, port, prefixes }) => node.connect(nodeId, host, port, prefixes),
    );
  }

  disconnect(peer) {
    return this.#askWith(
      () => readPeer(peer),
      (node, { nodeId, host, port }) => node.disconnect(nodeId, host, port),
    );
  }

  peers() {
    return this.#ask(
      (node) => node.peers(),
      (peers) => peers.map(peerOf),
    );
  }

  verify(peer, options) {
    return this.#askWith(() => readVerifyArguments(peer, options), runComparison, comparisonOf);
  }

  startDiscovery() {
    return this.#ask((node) => node.startDiscovery());
  }

  stopDiscovery() {
    return this.#ask((node) => node.stopDiscovery());
  }

  discoveryRunning() {
    return this.#session !== undefined && this.#session.node.discoveryRunning() === true;
  }

  async nodeInfo() {
    const known = this.#session?.info;
    return known === undefined ? this.refreshNodeInfo() : Result.ok(known);
  }

  refreshNodeInfo() {
    const session = this.#session;
    return this.#ask(
      (node) => node.nodeInfo(),
      (info) => {
        session.info = new NodeInfo(info);
        return session.info;
      },
    );
  }

  recovery() {
    return this.#ask((node) => node.recovery(), recoveryOf);
  }

  stats() {
    return this.#ask((node) => node.stats(), statsOf);
  }

  #inTurn(step) {
    this.#turn = this.#turn.then(step).catch((cause) => Result.err(unexpected(cause)));
    return this.#turn.then((result) => answered(result, 0));
  }

  /** Begins to close, at once: every later call is refused. Returns nothing if the client is not open. */
  #leave(options) {
    const session = this.#session;
    if (session === undefined) return undefined;
    this.#session = undefined;
    const closing = session.close(options?.compact === true).finally(() => this.#events.endWatches());
    this.#leaving = closing;
    return closing;
  }

  #ask(question, convert) {
    return this.#session === undefined ? settled(notOpen()) : this.#session.ask(question, convert);
  }

  /** Asks the addon with the arguments that `read` returns; `read` is not called on a client that is not open. */
  #askWith(read, question, convert) {
    if (this.#session === undefined) return settled(notOpen());
    const { failure: wrong, ...given } = read();
    return wrong === undefined ? this.#ask((node) => question(node, given), convert) : settled(wrong);
  }

  #listen(how, event, listener, surplus) {
    const refused = surplus === undefined ? undefined : surplusArgument(how, 'event and listener');
    const wrong = refused ?? this.#events[how](event, listener);
    this.#tellInterest();
    return wrong === undefined ? Result.ok() : Result.err(wrong);
  }

  #tellInterest() {
    this.#session?.node.setChangeInterest(this.#events.wantsChanges());
    this.#session?.node.setConflictInterest(this.#events.wantsConflicts());
  }
}

function readContent(name, value, bytesMax) {
  const content = contentOf(value);
  return { failure: checkKey(name) ?? checkContent(content, bytesMax, 'value', value), content };
}

function missing(session, key, code) {
  if (code !== undefined) return session.refusal(code, { key });
  return failure(ErrorCode.NotFound, 'key_not_found', `key not found: ${shortened(key)}`, { context: key });
}

refuseSurplus(Client.prototype);

addAliases(Client.prototype);

if (Symbol.asyncDispose !== undefined) {
  Client.prototype[Symbol.asyncDispose] = async function dispose() {
    await this.close();
  };
}

module.exports = { Client };
