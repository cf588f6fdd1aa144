/// <reference types="node" />
/// <reference lib="esnext.disposable" />

/**
 * The stable error codes. A program branches on these; {@link SoftadastraError.kind} is the finer word for
 * people and logs.
 */
export declare const ErrorCode: {
  /** No error. */
  readonly None: 'none';
  /** Something that none of the other codes describes. */
  readonly Unknown: 'unknown';
  /** An argument or an option is wrong; the message names it. */
  readonly InvalidArgument: 'invalid_argument';
  /** The call does not fit the state: the client is not open, or the log belongs to another node. */
  readonly InvalidState: 'invalid_state';
  /** The key has no value. */
  readonly NotFound: 'not_found';
  /** What should be made is there already. */
  readonly AlreadyExists: 'already_exists';
  /** The file system refused, or a file is damaged. */
  readonly IoError: 'io_error';
  /** The local store could not be recovered. */
  readonly StoreError: 'store_error';
  /** Tracking or delivering operations failed. */
  readonly SyncError: 'sync_error';
  /** A connection or the listening port failed. Local data is not touched by it. */
  readonly TransportError: 'transport_error';
  /** Finding peers failed. Local data is not touched by it. */
  readonly DiscoveryError: 'discovery_error';
  /** The description of the node could not be made. */
  readonly MetadataError: 'metadata_error';
  /** A fault of this library, or an installation without its addon. */
  readonly InternalError: 'internal_error';
};

/** One of the thirteen codes, as text. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/**
 * Name of what went wrong, finer than {@link ErrorCode}; docs/errors.md explains each. Where a failure has no name of its own,
 * its code stands here. New names may come with any version, so the type is open.
 */
export type ErrorKind =
  | 'aborted'
  | 'addon_broken'
  | 'addon_missing'
  | 'addon_version'
  | 'address_in_use'
  | 'backup_exists'
  | 'batch_too_large'
  | 'checkpoint_damaged'
  | 'checkpoint_foreign'
  | 'checkpoint_mismatch'
  | 'checkpoint_missing'
  | 'checkpoint_newer_version'
  | 'checkpoint_open'
  | 'checkpoint_read'
  | 'checkpoint_refused'
  | 'checkpoint_too_large'
  | 'checkpoint_write'
  | 'client_not_open'
  | 'closed'
  | 'closed_while_waiting'
  | 'conflict_not_found'
  | 'conflict_versions_dropped'
  | 'connect_failed'
  | 'connection_lost'
  | 'connection_refused'
  | 'directory_missing'
  | 'discovery_disabled'
  | 'discovery_unsupported'
  | 'disk_full'
  | 'events_merged'
  | 'identity'
  | 'identity_renewed'
  | 'insecure_host'
  | 'internal'
  | 'invalid_address'
  | 'invalid_backup'
  | 'invalid_batch'
  | 'invalid_configuration'
  | 'invalid_event'
  | 'invalid_function'
  | 'invalid_key'
  | 'invalid_listener'
  | 'invalid_operation'
  | 'invalid_option'
  | 'invalid_options'
  | 'invalid_path'
  | 'invalid_peer'
  | 'invalid_signal'
  | 'invalid_text'
  | 'invalid_value'
  | 'invalid_wait'
  | 'is_directory'
  | 'key_empty'
  | 'key_not_found'
  | 'key_too_long'
  | 'listen_failed'
  | 'listener_failed'
  | 'no_log'
  | 'no_randomness'
  | 'no_threads'
  | 'not_a_directory'
  | 'not_allowed'
  | 'not_open'
  | 'not_regular_file'
  | 'operation_not_found'
  | 'outcome_unknown'
  | 'outside_prefixes'
  | 'panicked'
  | 'peer_busy'
  | 'peer_closing'
  | 'peer_disconnected'
  | 'peer_idle'
  | 'peer_left'
  | 'peer_not_connected'
  | 'peer_not_found'
  | 'peer_too_old'
  | 'permission_denied'
  | 'poisoned'
  | 'protocol'
  | 'protocol_version'
  | 'queue_full'
  | 'read_only'
  | 'record_malformed'
  | 'replaced'
  | 'self_connection'
  | 'stopped'
  | 'timed_out'
  | 'too_few_peers'
  | 'transport_disabled'
  | 'unexpected'
  | 'unexpected_argument'
  | 'unknown_host'
  | 'unknown_option'
  | 'unreadable'
  | 'unsupported_platform'
  | 'value_too_large'
  | 'wal_append'
  | 'wal_behind'
  | 'wal_body_too_large'
  | 'wal_corrupt'
  | 'wal_exists'
  | 'wal_flush'
  | 'wal_foreign'
  | 'wal_in_use'
  | 'wal_missing'
  | 'wal_newer_version'
  | 'wal_not_found'
  | 'wal_open'
  | 'wal_part_missing'
  | 'wal_read'
  | 'wal_recover'
  | 'wal_remove'
  | 'wal_removed'
  | 'wal_replaced'
  | 'wal_seal'
  | 'wrong_node'
  | 'wrong_result'
  | ErrorCode
  | (string & {});

/** What {@link SoftadastraError} can be told besides its code and message. */
export interface SoftadastraErrorDetails {
  /** What the failure is about: a key, an option's name, a path. */
  context?: string | undefined;
  /** A finer word than the code, such as `"client_not_open"`. */
  kind?: ErrorKind | undefined;
  /** What lies underneath: the system's own words, or another error. */
  cause?: unknown;
  /** Whether the same call may succeed later without any change. */
  retryable?: boolean | undefined;
  /** Whether the local data is as valid as before. Default `true`. */
  localStateValid?: boolean | undefined;
  /** Where in the file that {@link context} names, in bytes. */
  offset?: number | undefined;
  /** What can still be relied on. */
  stillValid?: string | undefined;
  /** What helps. */
  whatToDo?: string | undefined;
  /** How often it has happened. Default 1. */
  count?: number | undefined;
}

/** A failure: what happened, to what, why, what stays valid, and whether trying again makes sense. */
export declare class SoftadastraError extends Error {
  /** Errors come from {@link Result.error}; making one yourself is for tests and for {@link Result.err}. */
  constructor(code: ErrorCode, message: string, details?: SoftadastraErrorDetails);
  readonly name: 'SoftadastraError';
  /** The stable code. */
  readonly code: ErrorCode;
  /** The finer word; the same as the code where there is none. Kinds may grow in number, codes do not. */
  readonly kind: ErrorKind;
  /** What the failure is about, for instance the key that was not found. */
  readonly context: string | undefined;
  /** What lies underneath, if anything: the system's own message, or another error. */
  readonly cause?: unknown;
  /** Whether the same call may succeed later without any change. */
  readonly retryable: boolean;
  /** Whether local data is as valid as before the call. */
  readonly localStateValid: boolean;
  /** Where in the file that {@link context} names, in bytes, if it is about a place in a file. */
  readonly offset: number | undefined;
  /** What can still be relied on, where a disk or a file failed. The message says it too. */
  readonly stillValid: string | undefined;
  /** What helps, where a disk or a file failed. The message says it too. */
  readonly whatToDo: string | undefined;
  /** How often it has happened so far, where an `error` event tells of something that goes on; otherwise 1. */
  readonly count: number;
  /** The code as text, as in `"not_found"`. */
  codeString(): ErrorCode;
  /** Whether {@link context} says something. */
  hasContext(): boolean;
  /**
   * All of it as plain data, for `JSON.stringify` and for what crosses threads: a structured clone of an error itself keeps
   * its message and its cause, as of any error. A `cause` that is an error is shown by its message.
   */
  toJSON(): { name: string } & SoftadastraFailure;
}

/** What an error says, as plain data: {@link Result.failure}. */
export interface SoftadastraFailure {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly message: string;
  readonly context: string | undefined;
  readonly cause: unknown;
  readonly retryable: boolean;
  readonly localStateValid: boolean;
  readonly offset: number | undefined;
  readonly stillValid: string | undefined;
  readonly whatToDo: string | undefined;
  readonly count: number;
}

/**
 * What a call gives: a value, or an error. No call of this package throws or rejects for a failure; only
 * {@link value}, {@link unwrap} and {@link error} throw, when they are called on the wrong kind, and iterations
 * ({@link Entries}, {@link Watch}) where they are read.
 *
 * Its three fields are there for what compares, prints or copies results: `assert.deepEqual`, `expect().toEqual`,
 * `JSON.stringify`, `structuredClone` and messages to other threads see what a result holds.
 */
export declare class Result<T = void> {
  private constructor();
  /** Whether there is a value. */
  readonly ok: boolean;
  /**
   * The value; `undefined` on an error. For comparing and copying; a program asks {@link value}, which also gives a write the
   * name of its operation.
   */
  readonly content: T | undefined;
  /** What the error says, as plain data; `undefined` where there is none. */
  readonly failure: SoftadastraFailure | undefined;
  /** A result that holds a value. */
  static ok(): Result<void>;
  static ok<T>(value: T): Result<T>;
  /** A result that holds an error. Anything that is not a {@link SoftadastraError} becomes one, `unknown`. */
  static err(error: SoftadastraError): Result<never>;
  /** Whether there is a value. */
  isOk(): boolean;
  /** Whether there is an error. */
  isErr(): boolean;
  /**
   * The value. On an error this is a mistake of the program, and throws a {@link SoftadastraError} with the
   * code `invalid_state`, whose message and `cause` carry the error that is there.
   */
  value(): T;
  /** The error. On an ok result this is a mistake of the program, and throws a {@link SoftadastraError}. */
  error(): SoftadastraError;
  /** The value, or the error itself thrown: for programs that prefer exceptions. */
  unwrap(): T;
  /** The value, or `fallback` on an error. */
  valueOr<U>(fallback: U): T | U;
  /**
   * A result with the value changed by a function; an error stays as it is. What `change` itself throws is
   * not caught.
   */
  map<U>(change: (value: T) => U): Result<U>;
  /** `{ ok, content }` or `{ ok, failure }`, for `JSON.stringify`. */
  toJSON(): object;
}

/**
 * Bytes that do not change: what is stored under a key. Text is stored as UTF-8. A value may be empty, which
 * is not the same as no value.
 */
export declare class Value {
  /** The same as {@link fromString} or {@link fromBytes}. */
  constructor(content: string | Uint8Array | Value);
  /**
   * What assertions, clones and `JSON` see: the text, whether it was made of text or of its bytes; a `Buffer` of bytes that
   * are no UTF-8; `undefined` for an invalid value. Not to be written to; {@link bytes} gives a copy.
   */
  readonly content: string | Uint8Array | undefined;
  /** A value of text. Text with a lone surrogate is refused when it is written, because UTF-8 has none. */
  static fromString(text: string): Value;
  /** A value of bytes, copied. */
  static fromBytes(bytes: Uint8Array): Value;
  /** Whether it was made of text or bytes. An invalid value reads as empty, and cannot be written. */
  isValid(): boolean;
  /** The text. Bytes that are not UTF-8 read as U+FFFD; use {@link bytes} for what is not text. */
  toString(): string;
  /** The bytes, copied. */
  bytes(): Uint8Array;
  /** The bytes, copied, as a Node.js `Buffer`. */
  toBuffer(): Buffer;
  /** How many bytes. */
  size(): number;
  /** Whether there are none. */
  empty(): boolean;
  /** Whether another value, text or bytes are the same bytes. */
  equals(other: Value | string | Uint8Array): boolean;
  /** The text, for `JSON.stringify`; of bytes that are no UTF-8 what a `Buffer` gives: `{ type: 'Buffer', data }`. */
  toJSON(): string | { type: 'Buffer'; data: number[] };
}

/**
 * A key, checked in advance. Every call takes plain strings as well. A key is 1 to 1024 bytes of UTF-8 and
 * may hold any characters, NUL too; keys are ordered by their bytes.
 */
export declare class Key {
  constructor(text: string | Key);
  /** What assertions and clones see: the text; `undefined` for a key made of something else. */
  readonly text: string | undefined;
  /** The text of the key. */
  toString(): string;
  /** Whether it has no text. */
  empty(): boolean;
  /** Whether it can be used: text that is not empty, not longer than 1024 bytes, and valid Unicode. */
  isValid(): boolean;
  /** Whether another key is the same text. */
  equals(other: Key | string): boolean;
  /** The text, for `JSON.stringify`. */
  toJSON(): string;
}

/**
 * What happens when two nodes wrote the same key without knowing of each other. Nodes may differ in it; all of
 * them show the same in the end, and none writes for ever.
 *
 * - `"lastWriteWins"`: the later write is the value; the other one is told by a `conflict` event, and is gone.
 * - `"keepLocal"`: what this node wrote is written once more where it would lose.
 * - `"keepRemote"`, also `"applyRemote"`: what the other node wrote is written once more where it would lose against a
 *   write of this node.
 * - `"manual"`, also `"custom"`: the later write is shown, the other one is kept, on all nodes, until
 *   {@link Client.resolve} settles it.
 *
 * Written in any case of letters. The same content written on both sides is no conflict.
 */
export type ConflictPolicy =
  | 'lastWriteWins'
  | 'keepLocal'
  | 'keepRemote'
  | 'manual'
  | 'applyRemote'
  | 'custom';

/** How many peers: one, all that this node has met and whose acknowledgement counts, or a number from 1. */
export type AckCount = 'any' | 'all' | number;

/** When a write counts as acknowledged; see {@link ClientOptions.ackPolicy}. */
export interface AckPolicy {
  /** Default `"any"`. */
  readonly count?: AckCount | undefined;
  /** Whether peers without a log count. Default `false`. */
  readonly memory?: boolean | undefined;
}

/**
 * How a client is set up. The fields are plain and may be changed until {@link Client.open}, which reads
 * them; later changes have no effect on a client that is open. A field that does not exist, a misspelled
 * one for instance, makes `open()` fail and name it.
 */
export declare class ClientOptions {
  /** The defaults, with what is given instead. The factories below say more. */
  constructor(given?: Partial<ClientOptions>);
  /** A node in memory that may be given a log: set {@link enableWal} and {@link walPath}. */
  static local(nodeId: string): ClientOptions;
  /** A node whose writes are in a log on disk, and durable when they resolve. */
  static persistent(nodeId: string, walPath: string): ClientOptions;
  /** A node that forgets everything when it closes. */
  static memoryOnly(nodeId: string): ClientOptions;
  /** The same as {@link persistent}. */
  static durable(nodeId: string, walPath: string): ClientOptions;
  /**
   * A node that waits for nothing: with a log if a path is given, {@link autoFlush} off, and short retries.
   * A power cut may take the last writes.
   */
  static fast(nodeId: string, walPath?: string): ClientOptions;

  /** The name of the node: not empty, at most 255 bytes, and the same on every start. */
  nodeId: string;
  /** What people call the node. Reads as {@link nodeId} while it is not set. */
  displayName: string;
  /** The version of the application, told to peers. Not empty. Default `"0.1.0"`. */
  version: string;

  /** Whether writes go to a log on disk. */
  enableWal: boolean;
  /**
   * The file of the log, in a directory that exists (or see {@link createDirs}). One path belongs to one
   * node; a second one is refused while the first is open. Companion files have this name plus a suffix. Without
   * {@link enableWal} it is refused, because nothing would be kept there.
   */
  walPath: string;
  /**
   * `true`: a write is on the disk, synced, when it resolves. `false`: it is with the operating system; it
   * survives a killed process but a power cut may take the last writes, never earlier ones.
   */
  autoFlush: boolean;
  /** Whether to make the directories of {@link walPath} that are missing. Default `false`: that is an error. */
  createDirs: boolean;
  /** Largest value that is accepted, in bytes: from 1 to the default, 64 MiB. */
  maxValueBytes: number;
  /**
   * Memory that this client may take, in bytes: a whole number from 33554432 (32 MiB) to 2^40, or 0, the default, which
   * chooses half of what the container may take (its control group), without a container a quarter of the machine's
   * memory, 512 MiB where the system tells neither, and never more than 2 GiB or eight times {@link cacheBytes}.
   *
   * Bounds, each with a part of its own: what was written since the last checkpoint (7/16), the cache (4/16), writes that
   * wait (2/16), received entries that wait, events that wait, and the sorting of a checkpoint or backup (1/16 each). At
   * an opening, a log that tells more than half of the first part is read by pieces, with a checkpoint of each.
   *
   * When half of the part for changes is used, a checkpoint is made, however short the log is. Where that part ends before
   * the checkpoint does, puts wait and peers are not read until it has gone on: nothing is refused or dropped, and data may
   * be much larger than memory.
   *
   * Not in it: Node.js itself; one value or batch that is larger than its part; what open iterations keep; 8 MiB for each
   * connected peer that reads slowly, and 8 MiB for large values on their way from all peers; 32 MiB for the records of
   * peers at most; the functions `verify`, which takes up to 40 MiB while it runs, and `salvage`, which
   * holds all that it saves. Without {@link enableWal} there is no checkpoint, and all data is in memory.
   */
  memoryBytes: number;
  /**
   * How much of the checkpoint is kept in memory at most, in bytes, as it is read. Default 256 MiB, and never more than
   * a quarter of {@link memoryBytes}.
   */
  cacheBytes: number;
  /**
   * How long the log may grow, in bytes, before a checkpoint is made of it in the background. Default 64 MiB, at least
   * 4096. With more than twice as much data it may be half as long as the data, and while many new keys come without a
   * pause, as in a first sync, as long as that takes: four times this length at the most. It is shorter where memory is
   * used up, see {@link memoryBytes}, and where a sixth of the data was overwritten or removed, so that all files together
   * stay at two and a half times the data, or at 32 MiB (a quarter of this length, if that is more). While a checkpoint is
   * written, puts wait rather than let the log grow by more than twice this length.
   */
  checkpointLogBytes: number;

  /** Whether {@link Client.startTransport} and {@link Client.connect} are allowed. Starts nothing by itself. */
  enableTransport: boolean;
  /** The address to listen on. Connections are not encrypted in this version, so it is loopback only. */
  transportHost: string;
  /** The TCP port to listen on; 0 picks a free one, which {@link Client.options} then shows. */
  transportPort: number;

  /** Whether {@link Client.startDiscovery} is allowed. Starts nothing by itself. */
  enableDiscovery: boolean;
  /** The address to listen on for announcements. */
  discoveryHost: string;
  /** The UDP port to listen on for announcements. Default 9400. */
  discoveryPort: number;
  /**
   * Where announcements go. Reads as 127.0.0.1 while {@link discoveryHost} is loopback and as
   * 255.255.255.255 otherwise, until it is set.
   */
  discoveryBroadcastHost: string;
  /** The UDP port that announcements go to. Default 9400. */
  discoveryBroadcastPort: number;
  /** Whether discovered peers are connected to. Not in this version: only `false` is accepted. */
  autoConnect: boolean;

  /** The key of the network. Not in this version: a key is refused, because nothing would be encrypted. */
  networkKey: undefined;
  /** Whether to do without encryption where it would be required. */
  allowInsecure: boolean;
  /** Which peers may connect. Not in this version. */
  allowedPeers: undefined;
  /**
   * Which keys are exchanged with peers at all: those that begin with one of these. Default: all, as with the empty
   * string among them. A connection carries the keys that both sides want; what it does not carry stays where it is, and
   * nothing is ever removed by being absent. From 1 to 64 of them, each at most 1024 bytes long, and 8 KiB together.
   * {@link Client.options} gives a frozen copy.
   */
  prefixes: readonly string[] | undefined;

  /** What happens on a conflict. Default `"lastWriteWins"`. */
  conflictPolicy: ConflictPolicy;
  /**
   * How many peers have to make a write durable before it counts as acknowledged: `"any"` (one),
   * `"all"` that this node knows, or a number. Only peers count that take the key; what none of them takes stays queued.
   * As an object it may say besides that memory will do: then the
   * acknowledgement of a peer without a log counts too. For a node that has no log itself it always does.
   */
  ackPolicy: AckCount | AckPolicy;
  /** Accepted for compatibility: acknowledgements are always required. */
  requireAck: boolean;
  /** Above 0, writes are sent as they commit; the number itself does not matter yet. Default 0: ticks. */
  syncIntervalMs: number;
  /** Most operations that one tick hands over. Default 1024. */
  batchSize: number;
  /** How often a delivery is tried again before it counts as failed. Default 5. */
  maxRetries: number;
  /** How long after an unanswered delivery the next is tried. Default 5000. */
  retryIntervalMs: number;
  /** How long a peer may take to acknowledge. Default 10000. */
  ackTimeoutMs: number;
}

/** What a peer is to this node at the moment. */
export type PeerState = 'available' | 'connected' | 'stale' | 'expired' | 'faulted' | 'unknown';

/** What a {@link Peer} takes besides its address. */
export interface PeerOptions {
  /** See {@link Peer.prefixes}. */
  prefixes?: readonly string[] | undefined;
}

/**
 * Another node and where it listens. Where a Peer is taken, any object with its first three fields will do; it may have
 * the others, and those of a {@link PeerEvent}. Whatever else it has is refused.
 */
export declare class Peer {
  constructor(nodeId: string, host: string, port: number, options?: PeerOptions);
  /** A peer on this machine. */
  static local(nodeId: string, port: number, options?: PeerOptions): Peer;
  /** The node id that has to answer there; another one is refused. */
  nodeId: string;
  /** A host name or an address. */
  host: string;
  /** The TCP port, from 1. */
  port: number;
  /**
   * The keys that are sent to it and received from it: those that begin with one of these. Without it, or with the empty
   * string among them, all that {@link ClientOptions.prefixes} lets through. Given to {@link Client.connect},
   * it holds for all connections with that node from then on, whichever side calls, until the client is closed; a call
   * with other prefixes than those of the connection makes a new one. A frozen copy of what was given.
   */
  prefixes: readonly string[] | undefined;
  /** As {@link Client.peers} found it; `"unknown"` on a peer that you made. */
  state: PeerState;
  /** When it was last heard of, in milliseconds since 1970; `undefined` if never. */
  lastSeenMs: number | undefined;
  /** Whether both were shown to hold the same of what is exchanged, and nothing has changed since. */
  inSync: boolean;
  /** What it says it can do. */
  capabilities: string[];
  /** Whether the host means this machine. */
  isLocalhost(): boolean;
  /** Whether it has all that connecting needs. */
  isValid(): boolean;
}

/** Who a node is, for display and for the logs. */
export declare class NodeInfo {
  /** Instances come from {@link Client.nodeInfo}. */
  constructor(info?: object);
  readonly nodeId: string;
  /** The display name, or the node id where there is none. */
  readonly displayName: string;
  readonly hostname: string;
  /** `"linux"`, `"macos"`, `"windows"`, `"unix"` or `"unknown-os"`. */
  readonly osName: string;
  /** The version of the application, from the options. */
  readonly version: string;
  /** The features that are on, lowest layer first: core, wal, store, sync, transport, discovery, metadata. */
  readonly capabilities: string[];
  /** When the client opened, in milliseconds since 1970. */
  readonly startedAtMs: number;
  /** How long the client has been open, in milliseconds, at the time of the call. */
  uptimeMs(): number;
  /** The same function as {@link uptimeMs}. */
  uptime_ms(): number;
  /** The display name if there is one, otherwise the node id. */
  label(): string;
  /** Whether {@link capabilities} has this name. */
  hasCapability(name: string): boolean;
}

/** How far one peer is with the writes of this node: one that was ever met, or is known by its address. */
export interface PeerProgress {
  readonly nodeId: string;
  /** `"unknown"`: not heard of since the client was opened. */
  readonly state: PeerState;
  /** Whether it is connected. */
  readonly connected: boolean;
  /** Whether what it acknowledges is on its disk. A node without a log acknowledges what is in its memory. */
  readonly durable: boolean;
  /**
   * Whether both were shown to hold the same of what is exchanged, by equal fingerprints, and nothing has changed since.
   * Where they have no prefix in common nothing is compared, and it is `false`.
   */
  readonly inSync: boolean;
  /**
   * The prefixes of the keys that the connection carries, or the last one did: what both sides want. `undefined`: all
   * keys. Empty: the two have none in common, and nothing is exchanged.
   */
  readonly prefixes: readonly string[] | undefined;
  /** How far in this node's feed its own writes were sent to it; compare {@link OutboxEntry.position}. */
  readonly sent: number;
  /** How far it has acknowledged them. */
  readonly acknowledged: number;
  /**
   * How many writes of this node it has not acknowledged: exact, and counted without looking at each. Where it takes only
   * some keys, writes to others count until the connection has passed over them, so it is at most so many.
   */
  readonly lagEntries: number;
  /** About how many bytes of keys and values these are: as many entries of the average size of all that is held. */
  readonly lagBytesEstimate: number;
  /** When it was last heard, by this node's clock, in milliseconds since 1970; `undefined`: not since the opening. */
  readonly lastSeenMs: number | undefined;
  /**
   * How many milliseconds its clock is ahead of this node's, negative if it is behind; `undefined`: not measured yet.
   * Off by at most half of a round trip. Nothing depends on it: a node that is a day off is only dated a day off.
   */
  readonly skewMs: number | undefined;
  /** How many entries it refused for good; {@link Client.outbox} tells which, and why. */
  readonly parked: number;
  /** How often in a row what is exchanged with it had to be tried again; 0 once something comes of it. */
  readonly attempts: number;
  /**
   * Why: `"not_stored"`, this node could not store what came from it (its disk is full, say); `"storage_failed"`, the peer
   * could not; or as {@link OutboxRefusal.reason}. `undefined` if nothing fails.
   */
  readonly lastError: string | undefined;
}

/** What has become of a write of this node so far. */
export type OutboxState = 'queued' | 'inFlight' | 'acknowledged' | 'failed';

/** A peer that does not hold a write, and why. */
export interface OutboxRefusal {
  readonly nodeId: string;
  /**
   * `"unanswered"`: it did not acknowledge it in time. `"value_too_large"`, `"storage_failed"`, `"malformed"`,
   * `"too_many_authors"` or `"refused"`: it said so.
   */
  readonly reason: string;
  /** The same in words. */
  readonly message: string;
}

/** A write of this node on its way to others, as it was at the call of {@link Client.outbox}. */
export interface OutboxEntry {
  readonly key: string;
  readonly kind: 'put' | 'remove';
  /** The version of the key, see {@link PutInfo.version}. */
  readonly version: number;
  /** The name of the write, as {@link PutInfo.operation}. */
  readonly operation: string;
  /** Its place in this node's feed, for {@link OutboxOptions.after}. */
  readonly position: number;
  readonly state: OutboxState;
  /** How often it was sent to one peer since that last acknowledged something; 0: not yet. */
  readonly attempts: number;
  /** How long until it is sent again; `undefined` where no attempt has failed. */
  readonly nextRetryMs: number | undefined;
  /** What went wrong last, with the peer's name; `undefined` if nothing did. */
  readonly lastError: string | undefined;
  /** The peers that do not hold it for a reason. May list one also where enough others hold it. */
  readonly refusals: readonly OutboxRefusal[];
}

/** What {@link Client.outbox} takes. */
export interface OutboxOptions {
  /** Only entries in this state. */
  state?: OutboxState | undefined;
  /** Only entries behind this position: of the last entry that was looked at. */
  after?: number | undefined;
  /** At most this many: up to 100000, and 1000 if it is not said. */
  limit?: number | undefined;
}

/** What {@link Client.waitFor} takes. */
export interface WaitOptions {
  /** The node id of the peer that has to hold it. One that is not known yet may still come. */
  peer?: string | undefined;
  /**
   * Or how many peers have to hold it: so many, which may still come, or `"all"` that this node has ever met and
   * whose acknowledgement counts, at least one. Default 1.
   */
  count?: number | 'all' | undefined;
  /** Ends the wait: the result is then an error of kind `aborted`. */
  signal?: AbortSignal | undefined;
}

/** What {@link Client.verify} takes. */
export interface VerifyOptions {
  /** Ends the wait: the result is then an error of kind `aborted`. What has begun goes on. */
  signal?: AbortSignal | undefined;
}

/** What {@link Client.verify} found when it compared this node with a peer, and what became of it. */
export interface Comparison {
  /** Whether both held the same: every key at the same write, removed keys included. */
  readonly equal: boolean;
  /** Entries that this node held, those of removed keys and of kept conflicts included. */
  readonly compared: number;
  /** Entries that the peer lacked or held older, and has now. */
  readonly sent: number;
  /** Entries that this node lacked or held older, and has now. */
  readonly received: number;
  /** Entries that the peer lacks and may not have yet: writes of this node that wait for a tick or for the disk. */
  readonly heldBack: number;
  /** Entries that the peer lacks and will not take: their values are larger than its `maxValueBytes`. */
  readonly refused: number;
  /** Keys of what differed, in order: at most 100. */
  readonly keys: readonly string[];
  /** Whether there were more. */
  readonly moreKeys: boolean;
}

/** What {@link Client.waitFor} waited for is there. */
export interface Delivered {
  /** The node ids of the peers that hold it. */
  readonly peers: readonly string[];
  /** Whether it was replaced by a later write to the key, which is what they hold. */
  readonly replaced: boolean;
  /** That write, where it is known. */
  readonly replacedBy: string | undefined;
}

/** What waits, what is under way and what has arrived. Delivered work stays counted until it is pruned. */
export declare class SyncResult {
  /** Instances come from {@link Client.syncStateInfo}. */
  constructor(state?: object);
  /** Writes of this node that are tracked, in whatever state. */
  readonly outboxSize: number;
  /** Those not handed to any peer yet. */
  readonly queuedCount: number;
  /** Those sent and not acknowledged yet. */
  readonly inFlightCount: number;
  /** Those durable on as many peers as `ackPolicy` asks for, whoever else refused them. */
  readonly acknowledgedCount: number;
  /**
   * Those that were tried as often as allowed, or that a peer refused without which they are not acknowledged. They
   * are delivered all the same when a peer returns. {@link Client.outbox} tells the reason of each.
   */
  readonly failedCount: number;
  /** How many deliveries were repeated since the client opened. */
  readonly totalRetries: number;
  /**
   * What peers sent since the client opened that breaks a rule, and that was not taken: entries that no node can have
   * written, and refusals of entries that were not sent.
   */
  readonly totalRefused: number;
  /** The sequence of this node's last write. */
  readonly lastSubmittedVersion: number;
  /** The sequence at which the last write from a peer was applied. */
  readonly lastAppliedRemoteVersion: number;
  /** Keys with a conflict that waits for {@link Client.resolve}, whichever node kept it. */
  readonly conflictCount: number;
  /** Writes that this node saw lose against one that did not know of them, since the client opened. */
  readonly conflictsSeen: number;
  /**
   * Versions of conflicts that this node has removed since the client opened, because their keys had more than 128 that
   * lost. An `error` event of kind `conflict_versions_dropped` names each key.
   */
  readonly versionsDropped: number;
  /** The same by peer. */
  readonly peers: readonly PeerProgress[];
  /** Whether anything waits to be handed over. */
  hasQueued(): boolean;
  /** Whether anything is sent and not acknowledged. */
  hasInFlight(): boolean;
  /** Whether anything has failed. */
  hasFailed(): boolean;
  /** Whether anything is queued, in flight or failed. */
  hasWork(): boolean;
  /** Whether nothing is tracked. */
  empty(): boolean;
  /** The same as {@link outboxSize}. */
  totalTracked(): number;
}

/** What one tick did. It is no proof of delivery; see {@link SyncResult} for that. */
export declare class TickResult {
  /** Instances come from {@link Client.tick}. */
  constructor(tick?: object);
  /** Deliveries whose time was up and that were queued again. */
  readonly retriedCount: number;
  /** Completed entries that were removed from the outbox. */
  readonly prunedCount: number;
  /** Operations that were ready, with or without a peer to take them. */
  readonly batchSize: number;
  /** Operations handed to at least one peer. */
  readonly sentCount: number;
  /** Peers connected at the time. */
  readonly connectedPeers: number;
  /** Whether {@link retriedCount} is above 0. */
  retried(): boolean;
  /** Whether {@link prunedCount} is above 0. */
  pruned(): boolean;
  /** Whether {@link batchSize} is above 0. */
  producedBatch(): boolean;
  /** Whether the tick did anything. */
  hasWork(): boolean;
  /** Whether it did nothing. */
  empty(): boolean;
}

/** What a write did. */
export interface PutInfo {
  /** `"created"`: the key had no value. `"unchanged"`: it had the same; it is a write all the same. */
  status: 'created' | 'updated' | 'unchanged';
  /**
   * One more than the version that this write replaced, from 1, also over removals. A later write of one node always has a
   * greater one. It is no count of all writes: two that were made apart may have the same, and it may fall when a write
   * with a smaller one wins over it by its time. Use it to tell whether a key has changed since you read it here.
   */
  version: number;
  /**
   * The name of the write, for {@link Client.waitFor}: the author, 32 hexadecimal digits that a node keeps over
   * openings (one without a log has new ones each time), a hyphen, and a number that grows. No two writes have the
   * same. Not listed when the object is printed, spread or compared.
   */
  readonly operation: string;
}

/** What a removal did. */
export interface RemoveInfo {
  /** Whether there was a value. */
  removed: boolean;
  /** As {@link PutInfo.operation}; `undefined` if there was no value, because then nothing was written. */
  readonly operation: string | undefined;
}

/** What a batch did. */
export interface BatchInfo {
  /** How many operations it had. */
  count: number;
  /**
   * As {@link PutInfo.operation}, of its last write: once that is delivered, so is all of the batch that nothing has
   * replaced since. `undefined` if it wrote nothing.
   */
  readonly operation: string | undefined;
}

/** One operation of {@link Client.batch}. */
export type BatchOperation =
  | { put: string | Key; value: string | Value | Uint8Array }
  | { remove: string | Key };

/** One entry of {@link Client.entries}. */
export interface Entry {
  key: string;
  value: Value;
  /** The version of the key, see {@link PutInfo.version}. */
  version: number;
}

/** How {@link Client.backup} is followed and ended. */
export interface BackupOptions {
  /** Called some times a second while it is written, and once at its end. What it throws is an uncaught error. */
  onProgress?: (progress: BackupProgress) => void;
  /** Ends it: the result is then an error of kind `aborted`, and nothing is left of the copy. */
  signal?: AbortSignal;
}

/** How far a backup is. */
export interface BackupProgress {
  /** Entries that were written, removed ones included. */
  readonly entries: number;
  /** Entries that there are. */
  readonly totalEntries: number;
  /** Bytes that were written. */
  readonly bytes: number;
}

/** What {@link Client.entries} takes. */
export interface EntriesOptions {
  /** Only keys that begin with this. */
  prefix?: string | undefined;
  /** Only keys behind this one. */
  after?: string | Key | undefined;
  /** At most this many entries. */
  limit?: number | undefined;
}

/**
 * Entries in the order of their keys' bytes, as they were at the call of {@link Client.entries}. To be read
 * once, by one reader. Reading throws a {@link SoftadastraError} where it could not go on to the end.
 */
export interface Entries extends AsyncIterableIterator<Entry> {
  /**
   * Ok as long as nothing went wrong. Otherwise the error that reading throws: an argument was wrong, the client was not
   * open or was closed before the end, or the store could not be read.
   */
  result(): Result<void>;
  /**
   * Ends the iteration, as leaving its loop does: whoever reads on is at the end. What was kept for it (the values that were
   * replaced since it began) is given back, without waiting for the garbage collector.
   */
  close(): void;
  /** Ends it at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A key that changed, by this node or by a peer. */
export interface Change {
  readonly key: string;
  readonly kind: 'put' | 'remove';
  /** The new value; `undefined` if the key was removed. */
  readonly value: Value | undefined;
  /** The version of the key, see {@link PutInfo.version}. */
  readonly version: number;
  /** Whether this node made it. */
  readonly local: boolean;
  /**
   * The label of the node that wrote it, also where it came through others; the id of its author where this node has
   * neither met that node nor heard of its label.
   */
  readonly nodeId: string;
}

/**
 * Changes as they happen, from the call of {@link Client.watch} on. A slow reader gets the newest change of
 * each key, and no more memory is used than for the keys that changed. Awaiting the next change keeps the
 * process alive. The iteration ends when the signal aborts, when the client closes, or when the loop is
 * left. Where there is nothing to read, because an argument was wrong or the client was not open, reading
 * throws a {@link SoftadastraError}.
 */
export interface Watch extends AsyncIterableIterator<Change> {
  /** Ok, also after the end; otherwise the error that reading throws. */
  result(): Result<void>;
  /** Ends it, as leaving its loop does. */
  close(): void;
  /** Ends it at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What was unfinished at the end of a log: a write that a stop interrupted, and that was never acknowledged. */
export interface TornTail {
  readonly file: string;
  /** Where it begins, in bytes. */
  readonly offset: number;
  /** How many bytes it has. */
  readonly bytes: number;
  /** The file in which the opening has kept it. Only once it was cut off. */
  readonly keptAt?: string;
}

/** What the last opening of a client found, did and noticed. */
export interface Recovery {
  /**
   * `"none"`: there is no log. `"new"`: there was none, and one was made. `"clean"`: it had been closed.
   * `"recovered"`: the client had stopped without closing, and nothing is missing. `"torn"`: it had stopped in the
   * middle of a write that was not acknowledged, which was cut off; see {@link tornTail}.
   */
  readonly outcome: 'none' | 'new' | 'clean' | 'recovered' | 'torn';
  /** How many frames of the log were read. */
  readonly frames: number;
  /** How many bytes they take. */
  readonly bytes: number;
  /** How many sealed logs were read before the log itself. */
  readonly sealedLogs: number;
  /** How many frames were written anew, because nothing told that they were on disk. */
  readonly rewrittenFrames: number;
  /** What was cut off; `null` if nothing was. */
  readonly tornTail: TornTail | null;
  /** Files that an earlier stop had left, and that were removed. */
  readonly leftovers: readonly string[];
  /** Whether a stop had halved the change to a new file of the log, which was finished. */
  readonly sealFinished: boolean;
  /** Whether the folder is a copy, or was restored: the node has a new identity then. */
  readonly copyNoticed: boolean;
  /**
   * Why the node has taken a new identity since it was opened, if it has: the last `identity` event of kind
   * `shared` or `went_back`.
   */
  readonly renewed: { readonly kind: 'shared' | 'went_back'; readonly nodeId: string } | null;
  /** The node id under which the log was opened before, if it was another. */
  readonly renamedFrom: string | null;
  /**
   * The log was made by {@link salvage}, which could not read so many parts of the damaged one; `null` for any
   * other, and once a checkpoint has taken the place of the part of the log that says it.
   */
  readonly salvaged: { readonly lost: number } | null;
  /** The checkpoint that it began with; `null` without one. */
  readonly checkpoint: {
    readonly file: string;
    readonly bytes: number;
    /** Keys in it, removed ones included. */
    readonly rows: number;
  } | null;
}

/** How numbers of one kind are spread. Percentiles are off by a sixteenth of themselves at most; the rest is exact. */
export interface Percentiles {
  /** How many there were. */
  readonly count: number;
  /** Half of them were at most that. */
  readonly p50: number;
  /** All but one in a hundred were at most that. */
  readonly p99: number;
  /** The greatest. */
  readonly max: number;
}

/** What a client holds, and what it did since it was opened. */
export interface Stats {
  /** Keys that have a value. */
  readonly keys: number;
  /** Bytes of keys and values. */
  readonly liveBytes: number;
  /** Keys that were removed, and are remembered as that. */
  readonly tombstones: number;
  /** How long the log is, sealed parts and what is written ahead included. 0 without one. */
  readonly logBytes: number;
  /** How long all files of the log are together: log, checkpoint and companions. 0 without one. */
  readonly diskBytes: number;
  /** Writes that were committed, own ones and those of peers. */
  readonly commits: number;
  /** The groups in which they were committed, and how many writes a group had. */
  readonly groups: Percentiles;
  /** How long it took to write a group and make it durable, in milliseconds. Counts only what was synced. */
  readonly syncLatencyMs: Percentiles;
  /** Writes that the log refused. */
  readonly refusals: number;
  /** The last checkpoint that was made since it was opened; `null` if there was none. */
  readonly lastCheckpoint: {
    /** When it was finished, in milliseconds since 1970. */
    readonly atMs: number;
    /** How long it took. */
    readonly tookMs: number;
    readonly bytes: number;
    /** Keys in it, removed ones included. */
    readonly rows: number;
  } | null;
}

/** Something that is wrong with the files of a log: what opening it would fail with. */
export interface Problem {
  /** As {@link SoftadastraError.kind}. */
  readonly kind: ErrorKind;
  readonly file: string | null;
  /** Where in the file, in bytes, if it is about a place. */
  readonly offset: number | null;
  readonly message: string;
  /** What can still be relied on. */
  readonly stillValid: string | null;
  /** What helps. */
  readonly whatToDo: string | null;
}

/** What the function {@link verify} found in the files of a log. Not what {@link Client.verify} gives. */
export interface Verification {
  /** The log, as it was given. */
  readonly path: string;
  /**
   * Whether opening it loses nothing that was acknowledged. A write that a stop interrupted is no damage: see
   * {@link tornTail}.
   */
  readonly whole: boolean;
  /** The checkpoint, and the files of the log in their order. */
  readonly files: readonly {
    readonly file: string;
    readonly bytes: number;
    /** Whole frames of a log, up to the first that is not. */
    readonly frames?: number;
    /** Rows of a checkpoint. */
    readonly rows?: number;
    readonly whole: boolean;
  }[];
  /** Everything that is wrong; nothing if it is whole. */
  readonly problems: readonly Problem[];
  /**
   * What is beside the log and does no harm: `"lease_lost"` (it is a copy or was restored: the next opening gives
   * the node a new identity), `"seal_unfinished"`, `"leftover"`, `"torn_tail_kept"`.
   */
  readonly notices: readonly {
    readonly kind: 'lease_lost' | 'seal_unfinished' | 'leftover' | 'torn_tail_kept';
    readonly file: string;
    readonly message: string;
  }[];
  /** Whole groups in the log. */
  readonly groups: number;
  /** Entries that were read: those of the checkpoint, removed keys included, and the writes in the log behind it. */
  readonly entries: number;
  /** What a stop left unfinished; the next opening keeps it aside and cuts it off. `null` if there is nothing. */
  readonly tornTail: TornTail | null;
}

/** What {@link salvage} saved, and what it could not read. */
export interface Salvage {
  /** The new log, as it was given. */
  readonly path: string;
  /** Keys that were saved, removed ones included. */
  readonly entries: number;
  /** Groups of the old log that could be read. */
  readonly groups: number;
  /** Writes that were read, and whose author was named in a lost part: they are kept without the name. */
  readonly nameless: number;
  /** The parts of files that could not be read. */
  readonly lost: readonly {
    readonly file: string;
    readonly fromOffset: number;
    readonly toOffset: number;
    readonly reason: string;
  }[];
}

/**
 * Reads a log and its checkpoint from end to end and tells everything that is wrong with them. Changes nothing and
 * makes no file, so it works on a backup that cannot be written to. No client may have the log open, and none can
 * open it meanwhile. An error if nothing is there or it cannot be looked at; damage is no error but in the report.
 *
 * It looks at files of one node. Whether two nodes hold the same is asked with {@link Client.verify}.
 */
export declare function verify(walPath: string): Promise<Result<Verification>>;

/**
 * Saves everything that can be read of a damaged log into a new one at `toWalPath`, where nothing may be yet; the old
 * files are not touched. The newest readable write of each key counts, removals too. The new log has an identity of
 * its own: to peers it is a node that they have not met, and what they have comes back from them.
 */
export declare function salvage(fromWalPath: string, toWalPath: string): Promise<Result<Salvage>>;

/** A connection changed. */
export interface PeerEvent {
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
  readonly state: PeerState;
  /**
   * How many milliseconds its clock is ahead of this node's; `undefined`: not measured yet. A clock that is a minute
   * off or more is told by an event of its own, once for each connection.
   */
  readonly skewMs: number | undefined;
}

/** Something about the identity of this node was noticed, when it opened or when it met a peer. */
export type IdentityEvent =
  /** The log is a copy, or was restored: the node goes on as a new author, so that no write is hidden. */
  | { readonly kind: 'copy_noticed' }
  /** The log was last opened under another node id. */
  | { readonly kind: 'renamed'; readonly from: string }
  /**
   * The peer `nodeId` has the identity of this node, knows of another that has, or passes on what another wrote under
   * it: somewhere a copy of this node's files is open too. Each of the two that sees so goes on as a new author, and
   * connects again by itself.
   */
  | { readonly kind: 'shared'; readonly nodeId: string }
  /**
   * The peer `nodeId` has seen more from this node than its files know of: they went back to an earlier state, or
   * somebody wrote with a copy of them before they were opened. The node goes on as a new author; what it lost comes back from its peers, and what it wrote since is kept.
   */
  | { readonly kind: 'went_back'; readonly nodeId: string };

/** One of the values that a key in conflict has. */
export interface ConflictVersion {
  /** The node that wrote it: its name if this node has met it, else 32 hexadecimal digits. */
  readonly nodeId: string;
  /** `undefined`: it was removed. */
  readonly value: Value | undefined;
  /** When it was written, by the clock of its author, in milliseconds since 1970. */
  readonly timestampMs: number;
  /** Whether this is what `get()` gives. */
  readonly current: boolean;
}

/** A key that nodes wrote without knowing of each other. */
export interface Conflict {
  readonly key: string;
  /** What `get()` gives; `undefined`: it is removed. */
  readonly value: Value | undefined;
  /** The current one first, then the others, newest first. */
  readonly versions: readonly ConflictVersion[];
}

/** What listeners get, by event. */
export interface ClientEvents {
  /**
   * A key changed, by this node or by a peer; after it is durable here, where writes are. While a program is too busy to
   * take them, up to 16 MiB of changes wait; beyond that only the newest change of each key is told, and an `error` event
   * of kind `events_merged` says how many were merged or left out.
   */
  change: (change: Change) => void;
  /**
   * Two nodes wrote the same key without knowing of each other, and this node saw both: what is shown now and what
   * lost, once for each write that lost, under every policy. After a restart one may be told again.
   */
  conflict: (conflict: Conflict) => void;
  /** A connection came or went, or its peer's clock was found to be far off. */
  peer: (event: PeerEvent) => void;
  /** The log is a copy, went back in time, or was opened under another node id before. */
  identity: (event: IdentityEvent) => void;
  /**
   * Something failed in the background, or a listener did. What goes on failing for one cause is told the first time, the
   * tenth, the hundredth and so on, with {@link SoftadastraError.count}; after ten quiet minutes it counts anew. Where
   * nobody listens it is a process warning.
   */
  error: (error: SoftadastraError) => void;
}

/**
 * A node: its local data, and what it exchanges with peers. Writes and reads are local and wait for no
 * network. Any number of clients live in one process, each with its own log.
 *
 * Every asynchronous call gives a {@link Result}. Unless `open()` has succeeded and `close()` was not called
 * since, that is the error `invalid_state`, "SDK client is not open"; only then are arguments looked at. An argument, or a
 * field of an options object, that a call does not know is `invalid_argument`, and names what was probably meant.
 */
export declare class Client {
  /** Takes whatever it is given; {@link open} judges it. The options may serve another client as well. */
  constructor(options: ClientOptions | Partial<ClientOptions>);

  /**
   * Reads the options, opens the log, recovers what is in it. Starts neither transport nor discovery. Ok if it
   * is open already. After `close()` it opens again. Calls of `open` and `close` take turns.
   */
  open(): Promise<Result<void>>;
  /**
   * Stops everything and lets go of the log. Calls that were made before are finished first, calls that are
   * made after are refused. While a connected peer owes an acknowledgement it waits for it, at most half a second.
   * It makes no large checkpoint and ends within a second, as far as the disk allows: the log keeps everything, the next
   * opening reads it, and a checkpoint or backup under way that is not soon done is given up, which its caller is told as
   * `closed`. With `compact` everything is in a checkpoint first, however long that takes. `wal_removed` or `wal_replaced`
   * if the path does not lead to the files any more: what was acknowledged is in them, wherever they are. Ok if it was never open, or is closed already. No file or mapping of the store, and none of its memory, is held any more
   * when it resolves. It closes also if it is given what it does not take, and then says so.
   */
  close(options?: { readonly compact?: boolean }): Promise<Result<void>>;
  /** Whether it is open. */
  isOpen(): boolean;
  /**
   * What is in force, frozen; `transportPort` is the real one while the transport runs. Of a client that is
   * not open: what it would be opened with.
   */
  options(): Readonly<ClientOptions>;

  /**
   * Writes a value. When it resolves the value is readable here and, with a log and `autoFlush`, on the disk.
   * Calls are carried out in the order in which they were made; many at once share the disk's work, so do not
   * await each one where the order is all that matters.
   */
  put(key: string | Key, value: string | Value | Uint8Array): Promise<Result<PutInfo>>;
  /** Reads a value; `not_found` if there is none. Never waits for a disk, a peer or a write under way. */
  get(key: string | Key): Promise<Result<Value>>;
  /** Removes a value. A key without one is ok, with `removed: false`, and nothing is written. */
  remove(key: string | Key): Promise<Result<RemoveInfo>>;
  /**
   * Several writes as one: either all of them happen here or none does. Peers may see them one by one. At
   * most 8 MiB of keys and values. None at all is ok.
   */
  batch(operations: readonly BatchOperation[]): Promise<Result<BatchInfo>>;
  /** Whether a key has a value. `false` for wrong arguments and while the client is not open. */
  contains(key: string | Key): boolean;
  /** How many keys have a value; 0 while the client is not open. */
  size(): number;
  /** Whether there are none. */
  empty(): boolean;
  /** Resolves when all earlier writes are on the disk: for logs without `autoFlush`. */
  flush(): Promise<Result<void>>;
  /**
   * Makes a checkpoint of everything that was written so far, and resolves when it is in place and the log that
   * it replaces is gone. The engine makes them by itself as the log grows; this is for who wants the disk space
   * now. Reads and writes go on meanwhile. Without a log there is nothing to do.
   */
  compact(): Promise<Result<void>>;
  /**
   * Writes a copy of everything that was accepted so far. `walPath` is the log of the copy, in a folder that exists
   * and holds none of that name. Reads and writes go on meanwhile and are not part of it. A copy that is opened is
   * a node of its own: it writes under a new identity, and what it holds is known to be from this one.
   */
  backup(walPath: string, options?: BackupOptions): Promise<Result<void>>;

  /** Entries in the order of their keys, as they are now. */
  entries(options?: EntriesOptions): Entries;
  /** Changes from now on, of keys that begin with `prefix`; of all keys without one. */
  watch(prefix?: string, options?: { signal?: AbortSignal | undefined }): Watch;
  /**
   * Calls a function on every event of a kind, until {@link off}. In any state; it stays across closing and
   * opening again. What a listener throws reaches the `error` listeners, or a process warning, and nobody else.
   */
  on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): Result<void>;
  /** Ends what {@link on} began. Ok if it never did. */
  off<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): Result<void>;

  /** What waits, is under way and has arrived. */
  syncStateInfo(): Promise<Result<SyncResult>>;
  /**
   * One step of synchronization: queues again what was not acknowledged in time, removes completed work from
   * the outbox if asked to (`true` or `{ prune: true }`), and hands what is queued to the connected peers.
   * Works without a transport and without peers: then everything stays queued. Receiving needs no tick.
   */
  tick(options?: boolean | { prune?: boolean | undefined }): Promise<Result<TickResult>>;
  /**
   * The conflicts that wait for a decision, in the order of their keys; those of keys that begin with `prefix`. Losing
   * writes are kept by nodes with the policy `"manual"`, and reach all nodes: up to 128 values of one key. What is beyond
   * that, the oldest first, is removed by whichever node sees it, with an `error` event of kind `conflict_versions_dropped`.
   */
  conflicts(options?: { prefix?: string | undefined }): Promise<Result<Conflict[]>>;
  /** The conflict of a key; `not_found` if there is none. */
  conflict(key: string | Key): Promise<Result<Conflict>>;
  /**
   * Settles the conflict of a key, with one of its values or another: writes a value that takes the place of all
   * versions on every node, and removes those that were kept, as one step. `not_found` if there is no conflict. A
   * plain `put()` settles nothing that its node had not written itself. A write that nobody here knew of is another
   * conflict.
   */
  resolve(key: string | Key, value: string | Value | Uint8Array): Promise<Result<PutInfo>>;
  /**
   * Queues failed work again, with all its attempts, and offers once more what peers have refused. Gives how many
   * operations had failed. Never needed for a peer that returns: it gets everything by itself.
   */
  retryFailed(): Promise<Result<number>>;
  /** The outbox entry by entry, in the order in which they are sent. */
  outbox(options?: OutboxOptions): Promise<Result<OutboxEntry[]>>;
  /**
   * Resolves when a write is durable on a peer, on so many peers, or on all of them; with `"all"`, when every write
   * of this node up to the call is. It sends nothing by itself: without automatic sync, ticks do. A write that is
   * replaced by another ends with its successor, and the result says so. A peer without a log counts as in
   * {@link ClientOptions.ackPolicy}.
   *
   * An abort gives an error of kind `aborted`, closing the client one of kind `closed_while_waiting`, and a new identity
   * (see the `identity` event) one of kind `identity_renewed`. A write that
   * this node has not made is `not_found`, and so is one that was replaced before the client was opened. One that the peer
   * does not take (see {@link ClientOptions.prefixes}) gives an error of kind `outside_prefixes`; one that `count` peers
   * took, and too few take now, one of kind `too_few_peers`. What a peer has refused is waited for: {@link outbox} tells of
   * it. Like a pending write, a pending wait keeps the process alive.
   */
  waitFor(operation: string, options?: WaitOptions): Promise<Result<Delivered>>;
  /**
   * Turns automatic sync on: writes are sent as they commit, and retries wake up by themselves when they are due. Ok if it
   * is on already. An opening with {@link ClientOptions.syncIntervalMs} above 0 does this by itself.
   */
  startSync(): Promise<Result<void>>;
  /** Turns automatic sync off: writes wait for {@link tick} again. Ok if it is off already. */
  stopSync(): Promise<Result<void>>;

  /** Listens for peers. Needs `enableTransport`. Ok if it runs already. A port in use is a `transport_error`. */
  startTransport(): Promise<Result<void>>;
  /** Ends all connections and listens no more. Ok in any case. */
  stopTransport(): Promise<Result<void>>;
  /** Whether it listens, with or without peers. */
  transportRunning(): boolean;
  /**
   * Connects to a peer, and again whenever the connection is lost. Resolves when the peer has answered, as the
   * node that was expected. Ok if it is connected already and gives a sign of life; a connection that gives none within
   * five seconds is ended, and the peer is called anew. Does not need {@link startTransport}, only
   * `enableTransport`. Local data is not touched by a failure.
   */
  connect(peer: Peer | { nodeId: string; host: string; port: number }): Promise<Result<void>>;
  /** Ends the connection to a peer and does not connect again. Ok if there is none. */
  disconnect(peer: Peer | { nodeId: string; host: string; port: number }): Promise<Result<void>>;
  /** The peers that are configured, connected or discovered, each with its state. None is ok. */
  peers(): Promise<Result<Peer[]>>;
  /**
   * Compares everything that this node and a connected peer hold, now and whatever is known of it, by ranges of keys, and
   * tells what differed. What may travel is exchanged at once, both ways, and is durable on both sides (where they keep a
   * log) when this resolves; so of a second call nothing is left but `heldBack` and `refused`. `inSync` of {@link peers} and
   * {@link syncStateInfo} needs no call: it says the same from the fingerprints that nodes tell each other. A call waits
   * until what is on its way to the peer has arrived; what is written on either side while it runs may count as different.
   * It sends some kilobytes, also where much is held, unless much differs.
   *
   * `not_found` for a peer that was never met; a `transport_error` for one that is not connected (kind
   * `peer_not_connected`) or goes away meanwhile (`connection_lost`); a `sync_error` of kind `peer_too_old` for one whose
   * version cannot compare; an `invalid_state` of kind `outside_prefixes` where no key is within the prefixes of both sides.
   * Only what the connection carries is compared (see {@link ClientOptions.prefixes}). An abort gives an error of kind `aborted`, closing the client one of kind
   * `closed_while_waiting`. Nothing to do with the function {@link verify}, which looks for damage in the files of a log.
   */
  verify(peer: string | Peer | { nodeId: string }, options?: VerifyOptions): Promise<Result<Comparison>>;

  /** Announces this node and listens for others. In this version it answers `discovery_error`. */
  startDiscovery(): Promise<Result<void>>;
  /** Ends that. Ok in any case. */
  stopDiscovery(): Promise<Result<void>>;
  /** Whether it runs. */
  discoveryRunning(): boolean;

  /** Describes this node: names, version, system, capabilities, uptime. Taken at the first call of an opening and kept. */
  nodeInfo(): Promise<Result<NodeInfo>>;
  /** Describes this node like {@link nodeInfo}, taken anew; later calls of `nodeInfo` give this one. */
  refreshNodeInfo(): Promise<Result<NodeInfo>>;

  /**
   * What the last opening recovered, cut off and noticed. Without a log the outcome is `"none"`.
   */
  recovery(): Promise<Result<Recovery>>;
  /** What the client holds, and what it did since it was opened. */
  stats(): Promise<Result<Stats>>;

  /** The same function as {@link syncStateInfo}. */
  sync_state_info(): Promise<Result<SyncResult>>;
  /** The same function as {@link startTransport}. */
  start_transport(): Promise<Result<void>>;
  /** The same function as {@link stopTransport}. */
  stop_transport(): Promise<Result<void>>;
  /** The same function as {@link transportRunning}. */
  transport_running(): boolean;
  /** The same function as {@link startDiscovery}. */
  start_discovery(): Promise<Result<void>>;
  /** The same function as {@link stopDiscovery}. */
  stop_discovery(): Promise<Result<void>>;
  /** The same function as {@link discoveryRunning}. */
  discovery_running(): boolean;
  /** The same function as {@link nodeInfo}. */
  node_info(): Promise<Result<NodeInfo>>;
  /** The same function as {@link refreshNodeInfo}. */
  refresh_node_info(): Promise<Result<NodeInfo>>;

  /**
   * Closes it. `await using client = …` does so at the end of a block, where Node.js (24 or newer) or the compiler knows it; see
   * {@link close} otherwise.
   */
  [Symbol.asyncDispose](): Promise<void>;
}
