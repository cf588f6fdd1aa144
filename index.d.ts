/// <reference types="node" />
/// <reference lib="esnext.disposable" />

/**
 * The stable error codes. A program branches on these; {@link SoftadastraError.kind} is the finer name for people and
 * logs.
 */
export declare const ErrorCode: {
  /** No error. */
  readonly None: 'none';
  /** A failure that none of the other codes describes. */
  readonly Unknown: 'unknown';
  /** An argument or an option is wrong; the message names it. */
  readonly InvalidArgument: 'invalid_argument';
  /** The call does not fit the state: the client is not open, or the log belongs to another node. */
  readonly InvalidState: 'invalid_state';
  /** The key has no value. */
  readonly NotFound: 'not_found';
  /** The object to be made exists already. */
  readonly AlreadyExists: 'already_exists';
  /** The file system refused, or a file is damaged. */
  readonly IoError: 'io_error';
  /** The local store could not be recovered. */
  readonly StoreError: 'store_error';
  /** Tracking or delivering operations to peers failed. */
  readonly SyncError: 'sync_error';
  /** A connection or the listening port failed. Local data is not affected. */
  readonly TransportError: 'transport_error';
  /** Finding peers failed. Local data is not affected. */
  readonly DiscoveryError: 'discovery_error';
  /** The description of the node could not be made. */
  readonly MetadataError: 'metadata_error';
  /** A defect of this library, or an installation without its addon. */
  readonly InternalError: 'internal_error';
};

/** One of the thirteen codes, as text. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

/**
 * Name of a failure, finer than {@link ErrorCode}; docs/errors.md explains each. A failure without a name of its own
 * has its code as kind. New names may come with any version, so the type is open. `key_empty`, `key_too_long`,
 * `value_too_large` and `invalid_configuration` come to Rust programs only: here the kinds are `invalid_key`,
 * `invalid_value` and `invalid_option`.
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

/** Details of a {@link SoftadastraError} besides its code and message. */
export interface SoftadastraErrorDetails {
  /** Subject of the failure: a key, an option's name, a path. */
  context?: string | undefined;
  /** A finer name than the code, such as `"client_not_open"`. Default: the code. */
  kind?: ErrorKind | undefined;
  /** Underlying cause: the system's error text, or another error. */
  cause?: unknown;
  /** True if an identical call may succeed later without any change by the program. Default `false`. */
  retryable?: boolean | undefined;
  /** True if the local data is as valid as before. Default `true`. */
  localStateValid?: boolean | undefined;
  /** Offset of the failure in the file named by {@link context}, in bytes. */
  offset?: number | undefined;
  /** Statement of the data that can still be relied on. */
  stillValid?: string | undefined;
  /** Advice that helps. */
  whatToDo?: string | undefined;
  /** Number of times that the failure has happened. Default 1. */
  count?: number | undefined;
}

/** A failure: its code and kind, subject, cause, the validity of local data, and whether a retry may help. */
export declare class SoftadastraError extends Error {
  /** Makes an error, for tests and for {@link Result.err}. Errors of calls come from {@link Result.error}. */
  constructor(code: ErrorCode, message: string, details?: SoftadastraErrorDetails);
  /** Always `"SoftadastraError"`. */
  readonly name: 'SoftadastraError';
  /** The stable code of the failure. */
  readonly code: ErrorCode;
  /** The finer name of the failure; equal to the code where there is none. Kinds may grow in number, codes do not. */
  readonly kind: ErrorKind;
  /** Subject of the failure, for instance the key that was not found; `undefined` if there is none. */
  readonly context: string | undefined;
  /** Underlying cause, if any: the system's error text, or another error. */
  readonly cause?: unknown;
  /** True if an identical call may succeed later without any change by the program. */
  readonly retryable: boolean;
  /** True if the local data is as valid as before the call. */
  readonly localStateValid: boolean;
  /** Offset of the failure in the file named by {@link context}, in bytes; `undefined` if it has no place in a file. */
  readonly offset: number | undefined;
  /** Statement of the data that can still be relied on, if a disk or a file failed. Also part of the message. */
  readonly stillValid: string | undefined;
  /** Advice that helps, if a disk or a file failed. Also part of the message. */
  readonly whatToDo: string | undefined;
  /** Number of times that the failure has happened, in an `error` event about a lasting failure; otherwise 1. */
  readonly count: number;
  /** Returns the code as text, for example `"not_found"`. */
  codeString(): ErrorCode;
  /** True if {@link context} is set. */
  hasContext(): boolean;
  /**
   * Returns the error as plain data, for `JSON.stringify` and for messages to other threads: a structured clone of an
   * error keeps only its message and cause, as for any error. A `cause` that is an error is given by its message.
   */
  toJSON(): { name: string } & SoftadastraFailure;
}

/** A {@link SoftadastraError} as plain data: {@link Result.failure}. Each field is that of the error with its name. */
export interface SoftadastraFailure {
  /** The stable code of the failure. */
  readonly code: ErrorCode;
  /** The finer name of the failure, see {@link SoftadastraError.kind}. */
  readonly kind: ErrorKind;
  /** The message for people. */
  readonly message: string;
  /** Subject of the failure; `undefined` if there is none. */
  readonly context: string | undefined;
  /** Underlying cause, if any: the system's error text, or another error. */
  readonly cause: unknown;
  /** True if an identical call may succeed later without any change by the program. */
  readonly retryable: boolean;
  /** True if the local data is as valid as before the call. */
  readonly localStateValid: boolean;
  /** Offset of the failure in the file named by `context`, in bytes; `undefined` if it has no place in a file. */
  readonly offset: number | undefined;
  /** Statement of the data that can still be relied on, if a disk or a file failed. */
  readonly stillValid: string | undefined;
  /** Advice that helps, if a disk or a file failed. */
  readonly whatToDo: string | undefined;
  /** Number of times that the failure has happened, see {@link SoftadastraError.count}. */
  readonly count: number;
}

/**
 * Outcome of a call: a value, or an error. No call of this package throws or rejects for a failure. Only these throw:
 * {@link value}, {@link unwrap} and {@link error} when they are called on the wrong kind of result, and the iterations
 * {@link Entries} and {@link Watch} where they are read.
 *
 * Its three fields exist for code that compares, prints or copies results: `assert.deepEqual`, `expect().toEqual`,
 * `JSON.stringify`, `structuredClone` and messages to other threads see the content of a result.
 */
export declare class Result<T = void> {
  private constructor();
  /** True if the result holds a value. */
  readonly ok: boolean;
  /**
   * The value; `undefined` on an error. For comparing and copying only: a program calls {@link value}, which also gives
   * the result of a write the name of its operation.
   */
  readonly content: T | undefined;
  /** The error as plain data; `undefined` if the result holds a value. */
  readonly failure: SoftadastraFailure | undefined;
  /** Makes a result that holds a value. */
  static ok(): Result<void>;
  /** Makes a result that holds `value`. */
  static ok<T>(value: T): Result<T>;
  /**
   * Makes a result that holds an error. Anything that is not a {@link SoftadastraError} becomes one with the code
   * `unknown`.
   */
  static err(error: SoftadastraError): Result<never>;
  /** True if the result holds a value. TypeScript then knows the types of {@link ok} and {@link content}. */
  isOk(): this is Result<T> & { readonly ok: true; readonly content: T; readonly failure: undefined };
  /**
   * True if the result holds an error. TypeScript then takes it for a result of any value, so a function that returns
   * another `Result` may return it as it is.
   */
  isErr(): this is Result<never> & { readonly ok: false; readonly failure: SoftadastraFailure };
  /**
   * Returns the value. On an error it throws a {@link SoftadastraError} with the code `invalid_state` and the kind
   * `wrong_result`, because the call is a mistake of the program; its message and `cause` carry the error of the
   * result.
   */
  value(): T;
  /**
   * Returns the error. On an ok result it throws a {@link SoftadastraError} with the code `invalid_state`, because the
   * call is a mistake of the program.
   */
  error(): SoftadastraError;
  /** Returns the value, or throws the error of the result: for programs that prefer exceptions. */
  unwrap(): T;
  /** Returns the value, or `fallback` on an error. */
  valueOr<U>(fallback: U): T | U;
  /**
   * Returns a result with the value changed by a function; an error stays as it is. An exception of `change` is not
   * caught.
   */
  map<U>(change: (value: T) => U): Result<U>;
  /** Returns `{ ok, content }` or `{ ok, failure }`, for `JSON.stringify`. */
  toJSON(): object;
}

/**
 * Immutable bytes: the value stored under a key. Text is stored as UTF-8. A value may be empty, which differs from no
 * value.
 */
export declare class Value {
  /** Makes a value as {@link fromString} or {@link fromBytes} do, or a copy of a value. */
  constructor(content: string | Uint8Array | Value);
  /**
   * The content for assertions, clones and `JSON`: the text, whether the value was made of text or of its bytes; a
   * `Buffer` if the bytes are not UTF-8; `undefined` for an invalid value. Must not be written to; {@link bytes}
   * returns a copy.
   */
  readonly content: string | Uint8Array | undefined;
  /** Makes a value of text. A write refuses text with a lone surrogate, because UTF-8 cannot encode it. */
  static fromString(text: string): Value;
  /** Makes a value of a copy of bytes. */
  static fromBytes(bytes: Uint8Array): Value;
  /** True if the value was made of text or bytes. An invalid value reads as empty, and a write refuses it. */
  isValid(): boolean;
  /** Returns the text. Bytes that are not UTF-8 read as U+FFFD; use {@link bytes} for values that are not text. */
  toString(): string;
  /** Returns a copy of the bytes. */
  bytes(): Uint8Array;
  /** Returns a copy of the bytes as a Node.js `Buffer`. */
  toBuffer(): Buffer;
  /** Returns the length in bytes. */
  size(): number;
  /** True if the length is 0. */
  empty(): boolean;
  /** True if `other` (a value, text or bytes) has equal bytes. */
  equals(other: Value | string | Uint8Array): boolean;
  /**
   * Returns the text, for `JSON.stringify`; for bytes that are not UTF-8 the JSON form of a `Buffer`: `{ type:
   * 'Buffer', data }`.
   */
  toJSON(): string | { type: 'Buffer'; data: number[] };
}

/**
 * A key that can be checked in advance. Every call takes plain strings as well. A key is 1 to 1024 bytes of UTF-8 and
 * may hold any characters, NUL included; keys are ordered by their bytes.
 */
export declare class Key {
  /** Makes a key of text. Anything else makes an invalid key. */
  constructor(text: string | Key);
  /** The text for assertions and clones; `undefined` for a key that was not made of text. */
  readonly text: string | undefined;
  /** Returns the text of the key; empty if it has none. */
  toString(): string;
  /** True if the key has no text. */
  empty(): boolean;
  /** True if a call accepts the key: its text is not empty, at most 1024 bytes long, and valid Unicode. */
  isValid(): boolean;
  /** True if `other` has equal text. */
  equals(other: Key | string): boolean;
  /** Returns the text, for `JSON.stringify`. */
  toJSON(): string;
}

/**
 * Policy for a conflict: two nodes wrote one key without knowing of each other's write. Nodes may have different
 * policies; all converge to equal values, and re-writes end.
 *
 * - `"lastWriteWins"`: the later write is the value; the other one is reported by a `conflict` event, and gone.
 * - `"keepLocal"`: a write of this node that would lose is written again, over the other one.
 * - `"keepRemote"`, also `"applyRemote"`: a write of another node that would lose against a write of this node is
 *   written again, over it.
 * - `"manual"`, also `"custom"`: the later write is shown, and the other one is kept on all nodes until {@link
 *   Client.resolve} resolves the conflict.
 *
 * Names may have any letter case. Equal content written on both sides is no conflict.
 */
export type ConflictPolicy =
  | 'lastWriteWins'
  | 'keepLocal'
  | 'keepRemote'
  | 'manual'
  | 'applyRemote'
  | 'custom';

/**
 * A number of peers: one (`"any"`), all that this node has ever met and whose acknowledgement counts (`"all"`), or a
 * number from 1.
 */
export type AckCount = 'any' | 'all' | number;

/** Condition under which a write counts as acknowledged; see {@link ClientOptions.ackPolicy}. */
export interface AckPolicy {
  /** Number of peers that must acknowledge. Default `"any"`. */
  readonly count?: AckCount | undefined;
  /** True if the acknowledgement of peers without a log counts too. Default `false`. */
  readonly memory?: boolean | undefined;
}

/**
 * Options of a client. The fields are plain and may be changed until {@link Client.open}, which reads them; later
 * changes have no effect on an open client. An unknown field, for instance a misspelled one, makes `open()` fail with
 * an error that names it.
 */
export declare class ClientOptions {
  /** Makes options with the given values, and defaults for all others. The factories below are easier to read. */
  constructor(given?: Partial<ClientOptions>);
  /** Options of a node in memory. It gets a log if you set {@link enableWal} and {@link walPath}. */
  static local(nodeId: string): ClientOptions;
  /** Options of a node whose writes are in a log on disk, and durable when they resolve. */
  static persistent(nodeId: string, walPath: string): ClientOptions;
  /** Options of a node that forgets everything when it closes. */
  static memoryOnly(nodeId: string): ClientOptions;
  /** Options equal to those of {@link persistent}. */
  static durable(nodeId: string, walPath: string): ClientOptions;
  /**
   * Options of a node that never waits for the disk: with a log if a path is given, {@link autoFlush} off, and short
   * retries. A power cut may take the last writes.
   */
  static fast(nodeId: string, walPath?: string): ClientOptions;

  /** Name of the node: not empty, at most 255 bytes, and unchanged on every start. */
  nodeId: string;
  /** Name of the node for people, at most 255 bytes. Default: {@link nodeId}. */
  displayName: string;
  /** Version of the application, which peers are told: 1 to 255 bytes. Default `"0.1.0"`. */
  version: string;

  /** True if writes go to a log on disk. Default `false`; set by the factories. */
  enableWal: boolean;
  /**
   * Path of the log file, in a directory that exists (or see {@link createDirs}). One path belongs to one node; a
   * second opening is refused while the first is open. Companion files have this name plus a suffix. A path without
   * {@link enableWal} is refused, because nothing would be stored there.
   */
  walPath: string;
  /**
   * Durability of a write when it resolves. `true`: it is on the disk, synced. `false`: the operating system has it, so
   * it survives a killed process, and a power cut may take the last writes, never earlier ones. Default `true`, except
   * for {@link fast} and {@link memoryOnly}.
   */
  autoFlush: boolean;
  /** True if missing directories of {@link walPath} are made. Default `false`: they are an error. */
  createDirs: boolean;
  /** Largest accepted value, in bytes: from 1 to 64 MiB. Default 64 MiB. */
  maxValueBytes: number;
  /**
   * Memory that this client may take, in bytes: a whole number from 33554432 (32 MiB) to 2^40. Default 0: chosen as
   * half of the container's limit (its control group), without a container a quarter of the machine's memory, 512 MiB
   * if the system reports neither, and at most 2 GiB and eight times {@link cacheBytes}.
   *
   * It is split into parts: changes since the last checkpoint (7/16), the cache (4/16), waiting writes (2/16), waiting
   * received entries, waiting events, and the sorting of a checkpoint or backup (1/16 each).
   * - A checkpoint is made when half of the part for changes is used, however short the log is.
   * - If that part is used up before the checkpoint ends, puts wait and peers are not read until it has progressed.
   *   Nothing is refused or dropped, and data may be much larger than memory.
   * - At an opening, a log with changes of more than half of that part is read by pieces, with a checkpoint of each.
   *
   * Not included:
   * - Node.js itself
   * - one value or batch that is larger than its part
   * - the snapshots of open iterations
   * - 8 MiB for each connected peer that reads slowly, and 8 MiB for large values on their way from all peers
   * - at most 32 MiB for the records of peers
   * - the functions `verify`, which takes up to 40 MiB while it runs, and `salvage`, which holds everything that it
   *   saves
   * - all data, if {@link enableWal} is off, because there is no checkpoint then
   */
  memoryBytes: number;
  /**
   * Most bytes of the checkpoint that are kept in memory once they were read. Default 256 MiB, and never more than a
   * quarter of {@link memoryBytes}.
   */
  cacheBytes: number;
  /**
   * Length of the log, in bytes, at which a checkpoint is made of it in the background. From 4096 to 2147483647 (2 GiB
   * less a byte); default 64 MiB.
   * - The log may be longer, up to four times this length: half as long as the data, if there is more than twice as
   *   much data; and as long as it takes while many new keys come without a pause, as in a first sync.
   * - It is shorter where memory is used up, see {@link memoryBytes}, and where about a sixth of the data was overwritten or
   *   removed, so that all files together stay at two and a half times the keys and values, or at 32 MiB (a quarter of
   *   this length, if that is more).
   * - While a checkpoint is written, puts wait rather than let the log grow by more than twice this length.
   */
  checkpointLogBytes: number;

  /**
   * True if {@link Client.startTransport} and {@link Client.connect} are allowed. Starts nothing by itself. Default
   * `false`.
   */
  enableTransport: boolean;
  /**
   * Address to listen on. Default `"127.0.0.1"`. Connections are not encrypted in this version, so any other host than
   * this machine needs {@link allowInsecure}.
   */
  transportHost: string;
  /** TCP port to listen on; 0 picks a free one, which {@link Client.options} then shows. Default 0. */
  transportPort: number;

  /** True if {@link Client.startDiscovery} is allowed. Starts nothing by itself. Default `false`. */
  enableDiscovery: boolean;
  /** Address to listen on for announcements of peers. Default `"127.0.0.1"`. */
  discoveryHost: string;
  /** UDP port to listen on for announcements of peers. Default 9400. */
  discoveryPort: number;
  /**
   * Address to which announcements are sent. Default: 127.0.0.1 while {@link discoveryHost} is loopback,
   * 255.255.255.255 otherwise.
   */
  discoveryBroadcastHost: string;
  /** UDP port to which announcements are sent. Default 9400. */
  discoveryBroadcastPort: number;
  /** True if discovered peers are connected automatically. Not in this version: only `false` is accepted. */
  autoConnect: boolean;

  /** Key of the network. Not in this version: a key is refused, because nothing would be encrypted. */
  networkKey: undefined;
  /** True if connections to other machines are allowed without encryption. Default `false`: only this machine is. */
  allowInsecure: boolean;
  /** Peers that may connect. Not in this version: a list is refused. */
  allowedPeers: undefined;
  /**
   * Prefixes of the keys that are exchanged with peers at all. Default: all keys, as with the empty string among the
   * prefixes. A connection carries the keys that both sides want; other keys stay where they are, and nothing is ever
   * removed by being absent. From 1 to 64 prefixes, each at most 1024 bytes long, and 8 KiB together. {@link
   * Client.options} returns a frozen copy.
   */
  prefixes: readonly string[] | undefined;

  /** Policy for conflicts. Default `"lastWriteWins"`. */
  conflictPolicy: ConflictPolicy;
  /**
   * Number of peers that must make a write durable before it counts as acknowledged: `"any"` (one, the default),
   * `"all"`, or a number. `"all"` counts every peer that this node has ever met, also one that never returns: there is
   * no call yet that forgets a peer. Only peers that take the key count; a write that no peer takes stays queued. As an
   * object with `memory: true` the acknowledgement of a peer without a log counts too; for a node without a log it
   * always does.
   */
  ackPolicy: AckCount | AckPolicy;
  /** Accepted for compatibility, without effect: acknowledgements are always required. Default `true`. */
  requireAck: boolean;
  /**
   * Any value above 0 turns automatic sync on: writes are sent as they commit. The number itself, in milliseconds, has
   * no effect yet. Default 0: ticks.
   */
  syncIntervalMs: number;
  /** Most own writes that one tick releases to peers. Default 1024. */
  batchSize: number;
  /** Number of retries before a delivery counts as failed. Default 5. */
  maxRetries: number;
  /** Delay before the first retry of an unanswered delivery, in milliseconds; it doubles up to 30 s. Default 5000. */
  retryIntervalMs: number;
  /** Longest time that a peer may take to acknowledge, in milliseconds. Default 10000. */
  ackTimeoutMs: number;
}

/**
 * State of a peer at the moment.
 *
 * - `"unknown"`: the peer has given no sign of life since the client was opened. Also of a {@link Peer} that you made.
 * - `"available"`: its address is known, or it was connected, and nothing has failed since.
 * - `"connected"`: connected.
 * - `"faulted"`: the last call failed, or the connection was ended for good, as by {@link Client.disconnect}. A peer
 *   that was connected once and lost is still called again.
 * - `"stale"`, `"expired"`: not given in this version.
 */
export type PeerState = 'available' | 'connected' | 'stale' | 'expired' | 'faulted' | 'unknown';

/** Options of a {@link Peer} besides its address. */
export interface PeerOptions {
  /** Prefixes of the keys exchanged with the peer, see {@link Peer.prefixes}. */
  prefixes?: readonly string[] | undefined;
}

/**
 * Another node and the address on which it listens. Where a call takes a Peer, any object with its first three fields
 * will do; it may also have the other fields, and those of a {@link PeerEvent}. An object with any other field is
 * refused.
 */
export declare class Peer {
  /** Makes a peer from its node id, host and TCP port. Nothing is checked until it is used; see {@link isValid}. */
  constructor(nodeId: string, host: string, port: number, options?: PeerOptions);
  /** Makes a peer on this machine (127.0.0.1). */
  static local(nodeId: string, port: number, options?: PeerOptions): Peer;
  /** Node id that must answer at the address; another node is refused. */
  nodeId: string;
  /** Host name or IP address on which the peer listens. */
  host: string;
  /** TCP port on which the peer listens, from 1 to 65535. */
  port: number;
  /**
   * Prefixes of the keys that are sent to the peer and received from it. Without them, or with the empty string among
   * them, all keys that {@link ClientOptions.prefixes} lets through. Given to {@link Client.connect}, they hold for all
   * connections with that node from then on, whichever side calls, until the client is closed; a call with other
   * prefixes than those of the connection makes a new connection. A frozen copy of the given array.
   */
  prefixes: readonly string[] | undefined;
  /** State of the peer at the call of {@link Client.peers}; `"unknown"` on a peer that you made. */
  state: PeerState;
  /** Time of the last sign of life, in milliseconds since 1970; `undefined` if there was none. */
  lastSeenMs: number | undefined;
  /** True if both nodes were shown to hold equal data within the exchanged keys, and nothing has changed since. */
  inSync: boolean;
  /** Capabilities that the peer declares; empty while it is not connected. */
  capabilities: string[];
  /** True if the host is this machine. */
  isLocalhost(): boolean;
  /**
   * True if the peer has everything that connecting needs: node id, host, port, valid prefixes, and no unknown
   * field.
   */
  isValid(): boolean;
}

/** Description of a node, for display and logs. */
export declare class NodeInfo {
  /** Makes an instance. Use {@link Client.nodeInfo}, which fills it. */
  constructor(info?: object);
  /** Name of the node, from the options. */
  readonly nodeId: string;
  /** Name of the node for people; the node id if none was set. */
  readonly displayName: string;
  /** Host name of the machine. */
  readonly hostname: string;
  /** Operating system: `"linux"`, `"macos"`, `"windows"`, `"unix"` or `"unknown-os"`. */
  readonly osName: string;
  /** Version of the application, from the options. */
  readonly version: string;
  /** Features that are on, lowest layer first: core, wal, store, sync, transport, discovery, metadata. */
  readonly capabilities: string[];
  /** Time at which the client opened, in milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Returns the time for which the client has been open, in milliseconds, at the time of the call. */
  uptimeMs(): number;
  /** Alias of {@link uptimeMs}. */
  uptime_ms(): number;
  /** Returns {@link displayName}, or {@link nodeId} if the display name is empty. */
  label(): string;
  /** True if {@link capabilities} contains this name. */
  hasCapability(name: string): boolean;
}

/**
 * Progress of one peer with the writes of this node. Covers every peer that was ever met, or is known by its
 * address.
 */
export interface PeerProgress {
  /** Node id of the peer. */
  readonly nodeId: string;
  /** State of the peer; `"unknown"`: no sign of life since the client was opened. */
  readonly state: PeerState;
  /** True if the peer is connected. */
  readonly connected: boolean;
  /** True if acknowledged writes are on the peer's disk. A node without a log acknowledges writes in its memory. */
  readonly durable: boolean;
  /**
   * True if both nodes were shown to hold equal data within the exchanged keys, by equal fingerprints, and nothing has
   * changed since. `false` if the two have no prefix in common, because then nothing is compared.
   */
  readonly inSync: boolean;
  /**
   * Prefixes of the keys that the present or last connection carries: those that both sides want. `undefined`: all
   * keys. Empty: the two have no prefix in common, and nothing is exchanged.
   */
  readonly prefixes: readonly string[] | undefined;
  /**
   * Position in this node's feed up to which its own writes were sent to the peer; compare {@link
   * OutboxEntry.position}.
   */
  readonly sent: number;
  /** Position in this node's feed up to which the peer has acknowledged its own writes. */
  readonly acknowledged: number;
  /**
   * Number of this node's writes that the peer has not acknowledged: exact, and counted without visiting each. If the
   * peer takes only some keys, writes to other keys count until the connection has passed over them, so the number is
   * an upper bound.
   */
  readonly lagEntries: number;
  /**
   * Estimated bytes of keys and values of the writes in {@link lagEntries}: their number times the average entry
   * size.
   */
  readonly lagBytesEstimate: number;
  /**
   * Time of the peer's last sign of life, by this node's clock, in milliseconds since 1970; `undefined`: none since
   * the opening.
   */
  readonly lastSeenMs: number | undefined;
  /**
   * Milliseconds by which the peer's clock is ahead of this node's, negative if it is behind; `undefined`: not measured
   * yet. Exact to half of a round trip. Nothing depends on it but the dates of the peer's writes.
   */
  readonly skewMs: number | undefined;
  /** Number of entries that the peer refused for good; {@link Client.outbox} lists them with the reasons. */
  readonly parked: number;
  /** Number of failed attempts in a row to exchange data with the peer; 0 after a success. */
  readonly attempts: number;
  /**
   * Reason of the failed attempts. `"not_stored"`: this node could not store entries of the peer (its disk is full, for
   * example). `"storage_failed"`: the peer could not store entries of this node. Or one of {@link
   * OutboxRefusal.reason}. `undefined` if nothing fails.
   */
  readonly lastError: string | undefined;
}

/** State of a write of this node on its way to peers. */
export type OutboxState = 'queued' | 'inFlight' | 'acknowledged' | 'failed';

/** A peer that does not hold a write, and the reason. */
export interface OutboxRefusal {
  /** Node id of the peer. */
  readonly nodeId: string;
  /**
   * Reason why the peer does not hold the write. `"unanswered"`: it did not acknowledge in time. `"value_too_large"`,
   * `"storage_failed"`, `"malformed"`, `"too_many_authors"` or `"refused"`: the peer's own answer.
   */
  readonly reason: string;
  /** The reason in words. */
  readonly message: string;
}

/** A write of this node on its way to peers, at the time of the call of {@link Client.outbox}. */
export interface OutboxEntry {
  /** Key of the write. */
  readonly key: string;
  /** Kind of the write: a value, or a removal. */
  readonly kind: 'put' | 'remove';
  /** Version of the key after the write, see {@link PutInfo.version}. */
  readonly version: number;
  /** Name of the write, see {@link PutInfo.operation}. */
  readonly operation: string;
  /** Position of the write in this node's feed, for {@link OutboxOptions.after}. */
  readonly position: number;
  /** State of the write. */
  readonly state: OutboxState;
  /**
   * Number of times that the write was sent to one peer since that peer last acknowledged something; 0: not sent
   * yet.
   */
  readonly attempts: number;
  /** Milliseconds until the write is sent again; `undefined` if no attempt has failed. */
  readonly nextRetryMs: number | undefined;
  /** The last failure, with the peer's name; `undefined` if there was none. */
  readonly lastError: string | undefined;
  /** Peers that do not hold the write, with reasons. May list a peer although enough others hold the write. */
  readonly refusals: readonly OutboxRefusal[];
}

/** Options of {@link Client.outbox}. */
export interface OutboxOptions {
  /** Returns only entries in this state. Default: all states. */
  state?: OutboxState | undefined;
  /** Returns only entries after this position, that of the last entry seen before. Default 0. */
  after?: number | undefined;
  /** Most entries to return: up to 100000. Default 1000. */
  limit?: number | undefined;
}

/** Options of {@link Client.waitFor}. */
export interface WaitOptions {
  /**
   * Node id of the peer that must hold the write. A peer that is not known yet may still come. Not together with
   * `count`.
   */
  peer?: string | undefined;
  /**
   * Number of peers that must hold the write, which may still come; or `"all"`: every peer that this node has ever met
   * and whose acknowledgement counts, at least one. That includes a peer that never returns; there is no call yet that
   * forgets one. Default 1, also with the operation `"all"`. Not together with `peer`.
   */
  count?: number | 'all' | undefined;
  /** Signal that ends the wait: the result is then an error of kind `aborted`. */
  signal?: AbortSignal | undefined;
}

/** Options of {@link Client.verify}. */
export interface VerifyOptions {
  /** Signal that ends the wait: the result is then an error of kind `aborted`. An exchange that has begun goes on. */
  signal?: AbortSignal | undefined;
}

/** Result of {@link Client.verify}: the differences between this node and a peer, and the entries exchanged. */
export interface Comparison {
  /** True if both nodes held equal data: every key at the same write, removed keys included. */
  readonly equal: boolean;
  /** Number of entries that this node held, including those of removed keys and of kept conflicts. */
  readonly compared: number;
  /** Number of entries that the peer lacked or held in an older version, and has now. */
  readonly sent: number;
  /** Number of entries that this node lacked or held in an older version, and has now. */
  readonly received: number;
  /**
   * Number of entries that the peer lacks and may not have yet: writes of this node that wait for a tick or for the
   * disk.
   */
  readonly heldBack: number;
  /** Number of entries that the peer lacks and refuses, because their values are larger than its `maxValueBytes`. */
  readonly refused: number;
  /** Keys that differed, in order: at most 100. */
  readonly keys: readonly string[];
  /** True if more keys differed than {@link keys} lists. */
  readonly moreKeys: boolean;
}

/** Result of a fulfilled {@link Client.waitFor}. */
export interface Delivered {
  /** Node ids of the peers that hold the write, or its successor. */
  readonly peers: readonly string[];
  /** True if the write was replaced by a later write to its key, which the peers hold instead. */
  readonly replaced: boolean;
  /** Name of the later write, if it is known. */
  readonly replacedBy: string | undefined;
}

/**
 * Counts of this node's writes by their state on the way to peers. Delivered writes stay counted until they are
 * pruned.
 */
export declare class SyncResult {
  /** Makes an instance. Use {@link Client.syncStateInfo}, which fills it. */
  constructor(state?: object);
  /** Number of tracked writes of this node, in any state. */
  readonly outboxSize: number;
  /** Number of writes that were handed to no peer yet. */
  readonly queuedCount: number;
  /** Number of writes that were sent and are not acknowledged yet. */
  readonly inFlightCount: number;
  /** Number of writes that are durable on as many peers as `ackPolicy` asks for, even if other peers refused them. */
  readonly acknowledgedCount: number;
  /**
   * Number of writes that were retried as often as allowed, or refused by so many peers that fewer than `ackPolicy`
   * asks for are left. They are still delivered when a peer returns. {@link Client.outbox} lists them with the reasons.
   */
  readonly failedCount: number;
  /** Number of repeated deliveries since the client opened. */
  readonly totalRetries: number;
  /**
   * Number of entries and refusals of peers since the client opened that break a rule and were ignored: entries that no
   * node can have written, and refusals of entries that were not sent.
   */
  readonly totalRefused: number;
  /** Sequence number of this node's last write. */
  readonly lastSubmittedVersion: number;
  /** Greatest sequence number of a write received from a peer. */
  readonly lastAppliedRemoteVersion: number;
  /** Number of keys with a conflict that waits for {@link Client.resolve}, whichever node kept it. */
  readonly conflictCount: number;
  /** Number of writes that lost against a concurrent write since the client opened, as far as this node saw. */
  readonly conflictsSeen: number;
  /**
   * Number of versions of conflicts that this node has removed since the client opened, because their keys had more
   * than 128 losing versions. An `error` event of kind `conflict_versions_dropped` names each key.
   */
  readonly versionsDropped: number;
  /** Progress of each peer. */
  readonly peers: readonly PeerProgress[];
  /** True if any write is queued. */
  hasQueued(): boolean;
  /** True if any write is sent and not acknowledged. */
  hasInFlight(): boolean;
  /** True if any write has failed. */
  hasFailed(): boolean;
  /** True if any write is queued, in flight or failed. */
  hasWork(): boolean;
  /** True if no write is tracked. */
  empty(): boolean;
  /** Returns {@link outboxSize}. */
  totalTracked(): number;
}

/** Result of one tick. It is no proof of delivery; see {@link SyncResult} for that. */
export declare class TickResult {
  /** Makes an instance. Use {@link Client.tick}, which fills it. */
  constructor(tick?: object);
  /** Number of overdue deliveries that were queued again. */
  readonly retriedCount: number;
  /** Number of completed entries that were removed from the outbox. */
  readonly prunedCount: number;
  /** Number of operations that were ready, with or without a peer to take them. */
  readonly batchSize: number;
  /** Number of operations handed to at least one peer. */
  readonly sentCount: number;
  /** Number of peers that were connected. */
  readonly connectedPeers: number;
  /** True if {@link retriedCount} is above 0. */
  retried(): boolean;
  /** True if {@link prunedCount} is above 0. */
  pruned(): boolean;
  /** True if {@link batchSize} is above 0. */
  producedBatch(): boolean;
  /** True if the tick did anything. */
  hasWork(): boolean;
  /** True if the tick did nothing. */
  empty(): boolean;
}

/** Result of a write. */
export interface PutInfo {
  /**
   * Effect of the write. `"created"`: the key had no value. `"updated"`: it had another value. `"unchanged"`: it had
   * an equal value; it is a write all the same.
   */
  status: 'created' | 'updated' | 'unchanged';
  /**
   * Version of the key: one more than the version that this write replaced, from 1, also over removals. Of one node's
   * writes a later one always has a greater version. It is not a count of all writes: two concurrent writes may have
   * equal versions, and the version falls if a later write with a smaller version wins. No write takes it as a
   * condition (there is no compare-and-set), and {@link Client.get} does not return it: {@link Entry} and {@link
   * Change} do. A read-modify-write is atomic only if the program runs those of one key one after another.
   */
  version: number;
  /**
   * Name of the write, for {@link Client.waitFor}: the author, a hyphen, and a number that grows. The author is 32
   * hexadecimal digits, new at each opening and when the node takes a new identity. No two writes have one name. The
   * name of a write of an earlier opening stays valid for `waitFor` until a later write replaces that write.
   *
   * Not enumerable: take it by name. `console.log`, `JSON.stringify`, spreading, comparing and `postMessage` leave it
   * out.
   */
  readonly operation: string;
}

/** Result of a removal. */
export interface RemoveInfo {
  /** True if the key had a value. */
  removed: boolean;
  /**
   * Name of the removal, see {@link PutInfo.operation}; `undefined` if the key had no value, because then nothing was
   * written.
   */
  readonly operation: string | undefined;
}

/** Result of a batch. */
export interface BatchInfo {
  /** Number of operations in the batch. */
  count: number;
  /**
   * Name of the last write of the batch, see {@link PutInfo.operation}: once it is delivered, so is every write of the
   * batch that nothing has replaced since. `undefined` if the batch wrote nothing.
   */
  readonly operation: string | undefined;
}

/** One operation of {@link Client.batch}. */
export type BatchOperation =
  | { put: string | Key; value: string | Value | Uint8Array }
  | { remove: string | Key };

/** One entry of {@link Client.entries}. */
export interface Entry {
  /** Key of the entry. */
  key: string;
  /** Value of the entry. */
  value: Value;
  /** Version of the key, see {@link PutInfo.version}. */
  version: number;
}

/** Options of {@link Client.backup}. */
export interface BackupOptions {
  /**
   * Callback for the progress, called a few times a second during the backup, and once at its end. An exception that
   * it throws is an uncaught error.
   */
  onProgress?: (progress: BackupProgress) => void;
  /** Signal that ends the backup: the result is then an error of kind `aborted`, and nothing is left of the copy. */
  signal?: AbortSignal;
}

/** Progress of a backup. */
export interface BackupProgress {
  /** Number of entries written so far, removed keys included. */
  readonly entries: number;
  /** Number of entries to write in all, removed keys included. */
  readonly totalEntries: number;
  /** Number of bytes written so far. */
  readonly bytes: number;
}

/** Options of {@link Client.entries}. */
export interface EntriesOptions {
  /** Returns only keys that begin with this prefix. Default: all keys. */
  prefix?: string | undefined;
  /** Returns only keys after this one, in byte order. */
  after?: string | Key | undefined;
  /** Most entries to return. Default: no limit. */
  limit?: number | undefined;
}

/**
 * Iteration over entries in the order of their keys' bytes, as of the call of {@link Client.entries} (a snapshot). It
 * can be read once, by one reader. Reading throws a {@link SoftadastraError} if it cannot go on to the end.
 */
export interface Entries extends AsyncIterableIterator<Entry> {
  /**
   * Returns ok as long as nothing failed. Otherwise returns the error that reading throws: an argument was wrong, the
   * client was not open or was closed before the end, or the store could not be read.
   */
  result(): Result<void>;
  /**
   * Ends the iteration, as leaving its loop does: a later read is at the end. Frees the memory of the snapshot
   * (replaced values that were kept for it) without waiting for the garbage collector.
   */
  close(): void;
  /** Ends the iteration at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A change of a key, by this node or by a peer. Its `kind` decides whether there is a `value`. */
export type Change = PutChange | RemoveChange;

/** Fields of every {@link Change}. */
export interface ChangedKey {
  /** Key that changed. */
  readonly key: string;
  /** Version of the key after the change, see {@link PutInfo.version}. */
  readonly version: number;
  /** True if this node made the change. */
  readonly local: boolean;
  /**
   * Node id of the node that wrote the change, also if it came through other nodes; the 32 hexadecimal digits of its
   * author if this node has neither met that node nor heard its node id. Never the display name.
   */
  readonly nodeId: string;
}

/** A {@link Change} that gave a key a new value. */
export interface PutChange extends ChangedKey {
  /** Kind of the change: a new value. */
  readonly kind: 'put';
  /** The new value. */
  readonly value: Value;
}

/** A {@link Change} that removed a key. */
export interface RemoveChange extends ChangedKey {
  /** Kind of the change: a removal. */
  readonly kind: 'remove';
  /** Always `undefined`: the key has no value any more. */
  readonly value: undefined;
}

/**
 * Iteration over changes, from the call of {@link Client.watch} on. A slow reader gets the newest change of each key,
 * so memory is bounded by the keys that changed. Awaiting the next change keeps the process alive. The iteration ends
 * when the signal aborts, when the client closes, or when the loop is left. Reading throws a {@link SoftadastraError}
 * if an argument was wrong or the client was not open.
 */
export interface Watch extends AsyncIterableIterator<Change> {
  /** Returns ok, also after the end; otherwise the error that reading throws. */
  result(): Result<void>;
  /** Ends the iteration, as leaving its loop does. */
  close(): void;
  /** Ends the iteration at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** An unfinished end of a log: a write that a stop interrupted, and that was never acknowledged. */
export interface TornTail {
  /** Name of the log file. */
  readonly file: string;
  /** Offset of the unfinished end, in bytes. */
  readonly offset: number;
  /** Length of the unfinished end, in bytes. */
  readonly bytes: number;
  /** Name of the file in which an opening kept the unfinished end when it cut it off; absent before. */
  readonly keptAt?: string;
}

/** Report of the client's last opening: its findings and repairs. */
export interface Recovery {
  /**
   * Outcome of the opening. `"none"`: there is no log. `"new"`: there was none, and one was made. `"clean"`: the log
   * had been closed. `"recovered"`: the client had stopped without closing, and nothing is missing. `"torn"`: the
   * client had stopped in the middle of a write that was not acknowledged, which was cut off; see {@link tornTail}.
   */
  readonly outcome: 'none' | 'new' | 'clean' | 'recovered' | 'torn';
  /** Number of frames read from the log. */
  readonly frames: number;
  /** Bytes of the frames read. */
  readonly bytes: number;
  /** Number of sealed logs read before the log itself. */
  readonly sealedLogs: number;
  /** Number of frames written anew, because nothing proved that they were on disk. */
  readonly rewrittenFrames: number;
  /** The unfinished end that was cut off; `null` if there was none. */
  readonly tornTail: TornTail | null;
  /** Files that an earlier stop had left, and that were removed. */
  readonly leftovers: readonly string[];
  /** True if a stop had interrupted the change to a new log file, which was finished. */
  readonly sealFinished: boolean;
  /** True if the folder is a copy, or was restored: the node has a new identity then. */
  readonly copyNoticed: boolean;
  /**
   * Reason why the node has taken a new identity since it was opened: the last `identity` event of kind `shared` or
   * `went_back`; `null` if it has not.
   */
  readonly renewed: { readonly kind: 'shared' | 'went_back'; readonly nodeId: string } | null;
  /** Node id under which the log was opened before, if it was another; otherwise `null`. */
  readonly renamedFrom: string | null;
  /**
   * Number of parts that could not be read of the damaged log from which {@link salvage} made this one. `null` for any
   * other log, and once a checkpoint has replaced the part of the log that records it.
   */
  readonly salvaged: { readonly lost: number } | null;
  /** The checkpoint with which the opening began; `null` if there was none. */
  readonly checkpoint: {
    /** Name of the checkpoint file. */
    readonly file: string;
    /** Length of the file, in bytes. */
    readonly bytes: number;
    /** Number of keys in the checkpoint, removed ones included. */
    readonly rows: number;
  } | null;
}

/** Distribution of a measured quantity. Percentiles are off by at most a sixteenth of themselves; the rest is exact. */
export interface Percentiles {
  /** Count of measured numbers. */
  readonly count: number;
  /** Median: half of the numbers were at most this. */
  readonly p50: number;
  /** 99th percentile: all but one in a hundred of the numbers were at most this. */
  readonly p99: number;
  /** The greatest number. */
  readonly max: number;
}

/** Statistics of a client: its present content, and its work since it was opened. */
export interface Stats {
  /** Number of keys that have a value. */
  readonly keys: number;
  /** Bytes of keys and values. */
  readonly liveBytes: number;
  /** Number of removed keys that are remembered as such. */
  readonly tombstones: number;
  /** Length of the log in bytes, including sealed parts and space written ahead. 0 without a log. */
  readonly logBytes: number;
  /** Length of all files of the store in bytes: log, checkpoint and companions. 0 without a log. */
  readonly diskBytes: number;
  /** Number of committed writes, own ones and those of peers. */
  readonly commits: number;
  /** Number of writes in each commit group. */
  readonly groups: Percentiles;
  /** Time to write a group and make it durable, in milliseconds. Covers synced groups only. */
  readonly syncLatencyMs: Percentiles;
  /** Number of writes that the log refused. */
  readonly refusals: number;
  /** The last checkpoint made since the client was opened; `null` if there was none. */
  readonly lastCheckpoint: {
    /** Time at which the checkpoint was finished, in milliseconds since 1970. */
    readonly atMs: number;
    /** Time that the checkpoint took, in milliseconds. */
    readonly tookMs: number;
    /** Length of the checkpoint file, in bytes. */
    readonly bytes: number;
    /** Number of keys in the checkpoint, removed ones included. */
    readonly rows: number;
  } | null;
}

/** Damage of the files of a log, which would make opening it fail. */
export interface Problem {
  /** Name of the problem, see {@link SoftadastraError.kind}. */
  readonly kind: ErrorKind;
  /** Name of the damaged file; `null` if the problem is in no single file. */
  readonly file: string | null;
  /** Offset of the damage in the file, in bytes; `null` if it has no place. */
  readonly offset: number | null;
  /** Message for people. */
  readonly message: string;
  /** Statement of the data that can still be relied on; `null` if the message says it all. */
  readonly stillValid: string | null;
  /** Advice that helps; `null` if the message says it all. */
  readonly whatToDo: string | null;
}

/** Result of the function {@link verify}: the state of the files of a log. Not the result of {@link Client.verify}. */
export interface Verification {
  /** Path of the log, as given. */
  readonly path: string;
  /**
   * True if opening the log loses no acknowledged write. A write that a stop interrupted is no damage: see {@link
   * tornTail}.
   */
  readonly whole: boolean;
  /** The checkpoint, and the files of the log in their order. */
  readonly files: readonly {
    /** Name of the file. */
    readonly file: string;
    /** Length of the file, in bytes. */
    readonly bytes: number;
    /** Number of whole frames of a log file, up to the first damaged one; absent for a checkpoint. */
    readonly frames?: number;
    /** Number of rows of a checkpoint; absent for a log file. */
    readonly rows?: number;
    /** True if no durable data in the file is damaged. */
    readonly whole: boolean;
  }[];
  /** All damage found; empty if the log is whole. */
  readonly problems: readonly Problem[];
  /**
   * Findings beside the log that do no harm: `"lease_lost"` (the log is a copy or was restored: the next opening gives
   * the node a new identity), `"seal_unfinished"`, `"leftover"`, `"torn_tail_kept"`.
   */
  readonly notices: readonly {
    readonly kind: 'lease_lost' | 'seal_unfinished' | 'leftover' | 'torn_tail_kept';
    readonly file: string;
    readonly message: string;
  }[];
  /** Number of whole groups in the log. */
  readonly groups: number;
  /** Number of entries read: those of the checkpoint, removed keys included, and the writes in the log after it. */
  readonly entries: number;
  /** An unfinished end that a stop left, which the next opening keeps aside and cuts off; `null` if there is none. */
  readonly tornTail: TornTail | null;
}

/** Result of {@link salvage}: the entries saved, and the parts that could not be read. */
export interface Salvage {
  /** Path of the new log, as given. */
  readonly path: string;
  /** Number of saved keys, removed ones included. */
  readonly entries: number;
  /** Number of groups of the old log that could be read. */
  readonly groups: number;
  /** Number of writes that were read, but whose author was named in a lost part: they are kept without the name. */
  readonly nameless: number;
  /** Parts of files that could not be read. */
  readonly lost: readonly {
    /** Name of the file. */
    readonly file: string;
    /** Offset of the first lost byte. */
    readonly fromOffset: number;
    /** Offset after the last lost byte. */
    readonly toOffset: number;
    /** Reason why the part could not be read. */
    readonly reason: string;
  }[];
}

/**
 * Reads a log and its checkpoint from end to end and reports all damage. Changes nothing and makes no file, so it works
 * on a read-only backup. No client may have the log open (kind `wal_in_use`), and none can open it meanwhile. An error
 * only if nothing is there (kind `wal_not_found`) or it cannot be read; damage is not an error, but in the report.
 *
 * It examines the files of one node. To compare the data of two nodes use {@link Client.verify}.
 */
export declare function verify(walPath: string): Promise<Result<Verification>>;

/**
 * Saves everything that can be read of a damaged log into a new one at `toWalPath`, where nothing may be yet (kind
 * `wal_exists`); the old files are not touched. The newest readable write of each key counts, removals too. The new log
 * has an identity of its own: to peers it is a node that they have not met, and their data comes back from them.
 */
export declare function salvage(fromWalPath: string, toWalPath: string): Promise<Result<Salvage>>;

/** A change of a connection with a peer. */
export interface PeerEvent {
  /** Node id of the peer. */
  readonly nodeId: string;
  /** Host of the peer, as far as known. */
  readonly host: string;
  /** TCP port of the peer, as far as known. */
  readonly port: number;
  /** New state of the peer. */
  readonly state: PeerState;
  /**
   * Milliseconds by which the peer's clock is ahead of this node's, negative if it is behind; `undefined`: not measured
   * yet. A difference of a minute or more is reported by an event of its own, once for each connection.
   */
  readonly skewMs: number | undefined;
}

/** A finding about the identity of this node, at its opening or when it met a peer. */
export type IdentityEvent =
  /** The log is a copy, or was restored: the node continues as a new author, so that no write is hidden. */
  | { readonly kind: 'copy_noticed' }
  /** The log was last opened under another node id, `from`. */
  | { readonly kind: 'renamed'; readonly from: string }
  /**
   * The peer `nodeId` has this node's identity, knows of another node with it, or relays writes of another node under
   * it: a copy of this node's files is open somewhere. Each of the two nodes that notices this continues as a new
   * author, and connects again by itself.
   */
  | { readonly kind: 'shared'; readonly nodeId: string }
  /**
   * The peer `nodeId` has seen more writes of this node than its files contain: the files went back to an earlier
   * state, or a copy of them was used before they were opened. The node continues as a new author; its lost writes come
   * back from its peers, and its writes since are kept.
   */
  | { readonly kind: 'went_back'; readonly nodeId: string };

/** One of the values of a key in conflict. */
export interface ConflictVersion {
  /** Node that wrote the value: its name if this node has met it, else 32 hexadecimal digits. */
  readonly nodeId: string;
  /** The value; `undefined`: a removal. */
  readonly value: Value | undefined;
  /** Time of the write by the clock of its author, in milliseconds since 1970. */
  readonly timestampMs: number;
  /** True if this is the value that `get()` returns. */
  readonly current: boolean;
}

/** A conflict: a key that nodes wrote without knowing of each other's write. */
export interface Conflict {
  /** Key in conflict. */
  readonly key: string;
  /** Value that `get()` returns; `undefined`: the key is removed. */
  readonly value: Value | undefined;
  /** Versions of the key: the current one first, then the others, newest first. */
  readonly versions: readonly ConflictVersion[];
}

/** Signatures of the listeners, by event. */
export interface ClientEvents {
  /**
   * A key changed, by this node or by a peer. Delivered after the change is durable here, where writes are. While a
   * program is too busy to take them, up to 16 MiB of changes wait; beyond that only the newest change of each key is
   * delivered, and an `error` event of kind `events_merged` says how many were merged or left out.
   */
  change: (change: Change) => void;
  /**
   * Two nodes wrote one key without knowing of each other's write, and this node saw both. Delivered with the current
   * value and the losing one, once for each losing write, under every policy. May be repeated after a restart.
   */
  conflict: (conflict: Conflict) => void;
  /** A peer connected or disconnected, or its clock was found to be far off. */
  peer: (event: PeerEvent) => void;
  /**
   * The log is a copy, went back in time, or was opened under another node id before; or another node has this
   * identity.
   */
  identity: (event: IdentityEvent) => void;
  /**
   * Something failed in the background, or a listener threw. A failure that goes on for one cause is delivered the
   * first time, the tenth, the hundredth and so on, with {@link SoftadastraError.count}; after ten quiet minutes it is
   * counted anew. Without a listener it becomes a process warning.
   */
  error: (error: SoftadastraError) => void;
}

/**
 * A node: its local data, and its exchange with peers. Writes and reads are local and wait for no network. Any number
 * of clients can live in one process, each with its own log.
 *
 * Every asynchronous call resolves to a {@link Result}. Before `open()` has succeeded and after `close()` was called,
 * that is the error `invalid_state` of kind `client_not_open`, "SDK client is not open"; arguments are checked only
 * after that. An unknown argument or options field is `invalid_argument`, and the message names the probable spelling.
 */
export declare class Client {
  /**
   * Makes a client that is not open. Takes any options; {@link open} checks them. One options object may serve several
   * clients.
   */
  constructor(options: ClientOptions | Partial<ClientOptions>);

  /**
   * Opens the client: checks the options, opens the log and recovers its content. Starts neither transport nor
   * discovery. Ok if the client is open already. A closed client can be opened again. Calls of `open` and `close` take
   * turns.
   */
  open(): Promise<Result<void>>;
  /**
   * Closes the client and releases the log.
   * - Earlier calls are finished first; later calls are refused.
   * - While a connected peer owes an acknowledgement, it waits, at most half a second.
   * - It ends within a second, as far as the disk allows: it makes no large checkpoint, because the log keeps
   *   everything and the next opening reads it. A checkpoint or backup that is under way and not soon done is given up,
   *   with an error of kind `closed` for its caller.
   * - With `compact` it first makes a checkpoint of everything, however long that takes.
   * - When it resolves, no file or mapping of the store is held any more, and none of its memory.
   *
   * Ok if the client was never open, or is closed already. Fails with the kind `wal_removed` or `wal_replaced` if the
   * path does not lead to the files any more: acknowledged writes are in them, wherever they are. Closes in any case,
   * also if it fails or is given a wrong argument.
   */
  close(options?: { readonly compact?: boolean }): Promise<Result<void>>;
  /** True if the client is open. */
  isOpen(): boolean;
  /**
   * Returns the options in force, frozen; `transportPort` is the real one while the transport runs. For a client that
   * is not open: the options with which it would be opened.
   */
  options(): Readonly<ClientOptions>;

  /**
   * Writes a value. When it resolves, the value is readable here and, with a log and `autoFlush`, on the disk. Calls
   * are carried out in their order. Many at once share the disk's work, so do not await each if only the order matters.
   * Errors include the kinds `invalid_key`, `invalid_value` and `invalid_text` of the code `invalid_argument`, and
   * `disk_full` and `poisoned` of the code `io_error`. A write that is refused with one of them leaves nothing behind.
   */
  put(key: string | Key, value: string | Value | Uint8Array): Promise<Result<PutInfo>>;
  /** Reads a value; `not_found` if the key has none. Never waits for a peer or for a write under way. */
  get(key: string | Key): Promise<Result<Value>>;
  /** Removes a value. Ok for a key without one, with `removed: false`; then nothing is written. */
  remove(key: string | Key): Promise<Result<RemoveInfo>>;
  /**
   * Writes several keys as one step: all of the operations take effect here, or none. Peers may see them one by one. At
   * most 8 MiB of keys and values (kind `batch_too_large`). An empty batch is ok.
   */
  batch(operations: readonly BatchOperation[]): Promise<Result<BatchInfo>>;
  /** True if a key has a value. `false` for wrong arguments and while the client is not open. */
  contains(key: string | Key): boolean;
  /** Returns the number of keys that have a value; 0 while the client is not open. */
  size(): number;
  /** True if no key has a value. */
  empty(): boolean;
  /** Resolves when all earlier writes are on the disk: for logs without `autoFlush`. */
  flush(): Promise<Result<void>>;
  /**
   * Makes a checkpoint of everything written so far, and resolves when it is in place and the log that it replaces is
   * gone. The engine makes checkpoints by itself as the log grows; call this to get the disk space back now. Reads and
   * writes go on meanwhile. Does nothing without a log.
   */
  compact(): Promise<Result<void>>;
  /**
   * Writes a copy of everything accepted so far. `walPath` is the log of the copy, in a folder that exists and has no
   * file of that name (kind `backup_exists`). Reads and writes go on meanwhile and are not part of it. An opened copy
   * is a node of its own: it writes under a new identity, and its content is known to be this node's. A client without
   * a log fails with the kind `no_log`.
   */
  backup(walPath: string, options?: BackupOptions): Promise<Result<void>>;

  /** Iterates over entries in the order of their keys, as they are now. */
  entries(options?: EntriesOptions): Entries;
  /** Iterates over changes from now on, of keys that begin with `prefix`; of all keys without one. */
  watch(prefix?: string, options?: { signal?: AbortSignal | undefined }): Watch;
  /**
   * Calls a function on every event of a kind, until {@link off}. Allowed in any state; the listener stays across
   * closing and opening again. An exception of a listener goes to the `error` listeners, or becomes a process warning,
   * and affects no other listener.
   */
  on<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): Result<void>;
  /** Removes a listener that {@link on} added. Ok if there is none. */
  off<E extends keyof ClientEvents>(event: E, listener: ClientEvents[E]): Result<void>;

  /** Returns counts of this node's writes by their state on the way to peers, and the progress of each peer. */
  syncStateInfo(): Promise<Result<SyncResult>>;
  /**
   * Runs one step of synchronization: queues overdue deliveries again, removes completed work from the outbox if asked
   * to (`true` or `{ prune: true }`), and hands queued writes to the connected peers. Works without a transport and
   * without peers: then everything stays queued. Receiving needs no tick.
   */
  tick(options?: boolean | { prune?: boolean | undefined }): Promise<Result<TickResult>>;
  /**
   * Returns the open conflicts in the order of their keys, only those of keys that begin with `prefix` if it is given.
   * Losing writes are kept by nodes with the policy `"manual"`, and reach all nodes: up to 128 versions of one key. A
   * node that sees more removes those that a later version has seen, and then the oldest, with an `error` event of kind
   * `conflict_versions_dropped`.
   */
  conflicts(options?: { prefix?: string | undefined }): Promise<Result<Conflict[]>>;
  /** Returns the open conflict of a key; `not_found` if there is none. */
  conflict(key: string | Key): Promise<Result<Conflict>>;
  /**
   * Resolves the conflict of a key: writes `value`, one of its versions or another value, which takes the place of all
   * versions on every node, and removes the kept versions, in one step. `not_found` if there is no conflict. To resolve
   * to a removal, call this with any value and then {@link remove}. A plain `put()` or `remove()` ends a conflict only
   * if this node wrote all of the losing versions, because a write covers the earlier writes of its own node. A
   * concurrent write that this node has not seen is another conflict.
   */
  resolve(key: string | Key, value: string | Value | Uint8Array): Promise<Result<PutInfo>>;
  /**
   * Queues failed writes again, with all their attempts, and offers again the entries that peers have refused. Returns
   * the number of failed writes. Not needed for a peer that returns: it gets everything by itself.
   */
  retryFailed(): Promise<Result<number>>;
  /** Returns the outbox entry by entry, in the order in which entries are sent. */
  outbox(options?: OutboxOptions): Promise<Result<OutboxEntry[]>>;
  /**
   * Waits until a write is durable on a peer, on a number of peers, or on all of them; with `"all"` as the operation,
   * until every write of this node up to the call is. Await this before exiting if your writes must be on another node.
   * It sends nothing by itself: without automatic sync, ticks do. A write that is replaced by another is delivered with
   * its successor, and the result says so. A peer without a log counts as in {@link ClientOptions.ackPolicy}. A refused
   * write is still waited for: {@link outbox} lists the refusal. A pending wait keeps the process alive, as a pending
   * write does.
   *
   * Errors, by kind:
   * - `aborted`: the signal was aborted.
   * - `closed_while_waiting`: the client was closed.
   * - `identity_renewed`: the node took a new identity (see the `identity` event).
   * - `operation_not_found` (code `not_found`): this node has not made the write, or it was replaced before the client
   *   was opened.
   * - `outside_prefixes`: the peer does not take the key (see {@link ClientOptions.prefixes}).
   * - `too_few_peers`: `count` peers took the key, and too few take it now.
   */
  waitFor(operation: string, options?: WaitOptions): Promise<Result<Delivered>>;
  /**
   * Turns automatic sync on: writes are sent as they commit, and overdue deliveries are retried by themselves. Ok if it
   * is on already. An opening with {@link ClientOptions.syncIntervalMs} above 0 turns it on.
   */
  startSync(): Promise<Result<void>>;
  /** Turns automatic sync off: writes wait for {@link tick} again. Ok if it is off already. */
  stopSync(): Promise<Result<void>>;

  /**
   * Starts listening for peers. Needs `enableTransport` (kind `transport_disabled`). Ok if the transport runs already.
   * Does not keep the process alive: a program that only serves peers needs a watch, a timer or a server. A port in use
   * is a `transport_error` of kind `address_in_use`.
   */
  startTransport(): Promise<Result<void>>;
  /** Ends all connections and stops listening. Ok in any state. */
  stopTransport(): Promise<Result<void>>;
  /** True while the transport listens, with or without peers. */
  transportRunning(): boolean;
  /**
   * Connects to a peer. Resolves when the peer has answered, as the expected node; from then on the connection is made
   * again whenever it is lost. A first call that fails is not repeated: repeat it while `error().retryable`. Ok if it
   * is connected already and gives a sign of life; a connection without one within five seconds is ended, and the peer
   * is called anew. Needs only `enableTransport`, not {@link startTransport}. A failure leaves local data untouched; it
   * is a `transport_error`, for instance of kind `connection_refused`, `timed_out` or `wrong_node`.
   */
  connect(peer: Peer | { nodeId: string; host: string; port: number }): Promise<Result<void>>;
  /**
   * Ends the connection that {@link connect} made to this address, and does not reconnect; nor does the peer. Ok if
   * there is none, and without effect on a connection that the peer made: {@link stopTransport} ends those.
   */
  disconnect(peer: Peer | { nodeId: string; host: string; port: number }): Promise<Result<void>>;
  /**
   * Returns the peers that are configured, connected or discovered, each with its state; an empty list if there are
   * none.
   */
  peers(): Promise<Result<Peer[]>>;
  /**
   * Compares all data of this node with a connected peer, now, by ranges of keys, and reports the differences.
   * - Entries that may travel are exchanged at once, both ways, and are durable on both sides (where they keep a log)
   *   when this resolves. So a second call reports only `heldBack` and `refused`.
   * - It first waits until everything on its way to the peer has arrived. Writes on either side while it runs may count
   *   as different.
   * - It sends some kilobytes, however much data there is, unless much differs.
   * - Only keys that the connection carries are compared (see {@link ClientOptions.prefixes}).
   *
   * `inSync` of {@link peers} and {@link syncStateInfo} needs no call: it gives the same answer from the fingerprints
   * that nodes exchange. Not related to the function {@link verify}, which looks for damage in the files of a log.
   *
   * Errors, by kind:
   * - `peer_not_found` (code `not_found`): the peer was never met.
   * - `peer_not_connected` (code `transport_error`): the peer is not connected.
   * - `connection_lost` (code `transport_error`): the peer went away meanwhile.
   * - `peer_too_old` (code `sync_error`): the peer's version cannot compare.
   * - `outside_prefixes` (code `invalid_state`): no key is within the prefixes of both sides.
   * - `aborted`: the signal was aborted.
   * - `closed_while_waiting`: the client was closed.
   */
  verify(peer: string | Peer | { nodeId: string }, options?: VerifyOptions): Promise<Result<Comparison>>;

  /** Announces this node and listens for others. Not in this version: it always fails with `discovery_error`. */
  startDiscovery(): Promise<Result<void>>;
  /** Stops announcing and listening for others. Ok in any state. */
  stopDiscovery(): Promise<Result<void>>;
  /** True while discovery runs. */
  discoveryRunning(): boolean;

  /**
   * Returns the description of this node: names, version, system, capabilities, uptime. Made at the first call after
   * an opening, and kept.
   */
  nodeInfo(): Promise<Result<NodeInfo>>;
  /** Returns a new description of this node; later calls of {@link nodeInfo} return this one. */
  refreshNodeInfo(): Promise<Result<NodeInfo>>;

  /**
   * Returns the report of the last opening: its findings and repairs. Without a log the outcome is `"none"`.
   */
  recovery(): Promise<Result<Recovery>>;
  /** Returns statistics of the client: its present content, and its work since it was opened. */
  stats(): Promise<Result<Stats>>;

  /** Alias of {@link syncStateInfo}. */
  sync_state_info(): Promise<Result<SyncResult>>;
  /** Alias of {@link startTransport}. */
  start_transport(): Promise<Result<void>>;
  /** Alias of {@link stopTransport}. */
  stop_transport(): Promise<Result<void>>;
  /** Alias of {@link transportRunning}. */
  transport_running(): boolean;
  /** Alias of {@link startDiscovery}. */
  start_discovery(): Promise<Result<void>>;
  /** Alias of {@link stopDiscovery}. */
  stop_discovery(): Promise<Result<void>>;
  /** Alias of {@link discoveryRunning}. */
  discovery_running(): boolean;
  /** Alias of {@link nodeInfo}. */
  node_info(): Promise<Result<NodeInfo>>;
  /** Alias of {@link refreshNodeInfo}. */
  refresh_node_info(): Promise<Result<NodeInfo>>;

  /**
   * Closes the client, as {@link close} does. Called at the end of a block by `await using client = …`, where Node.js
   * (24 or newer) or the compiler knows it; call {@link close} otherwise.
   */
  [Symbol.asyncDispose](): Promise<void>;
}
