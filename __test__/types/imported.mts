// Checked by the compiler, never run: the promises of the types to a module that imports the package.
import {
  type Change,
  Client,
  ClientOptions,
  type Comparison,
  type Conflict,
  type Delivered,
  type Entry,
  ErrorCode,
  Key,
  type NodeInfo,
  type OutboxEntry,
  Peer,
  type PutChange,
  type PutInfo,
  type RemoveChange,
  type RemoveInfo,
  Result,
  SoftadastraError,
  type SoftadastraFailure,
  type SyncResult,
  type TickResult,
  type Value,
} from '@softadastra/sdk';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Compiles only if both types are equal. */
declare function same<A, B>(...proof: Equal<A, B> extends true ? [] : ['the types differ']): void;

const options = ClientOptions.persistent('node-a', 'data/node-a.wal');
options.autoFlush = true;
options.ackPolicy = 2;
options.ackPolicy = 'all';
options.conflictPolicy = 'lastWriteWins';
// @ts-expect-error a misspelled option
options.autoflush = true;
options.ackPolicy = { count: 'all', memory: true };
// @ts-expect-error memory is yes or no
options.ackPolicy = { memory: 'yes' };
// @ts-expect-error not a policy
options.ackPolicy = 'most';
// @ts-expect-error a path is text
ClientOptions.persistent('node-a', 5);

const client = new Client(options);
new Client({ nodeId: 'plain' });
new Client({ ...ClientOptions.persistent('node-a', 'a.wal'), enableTransport: true });
// @ts-expect-error a misspelled option
new Client({ ...ClientOptions.persistent('node-a', 'a.wal'), enableTransports: true });
// @ts-expect-error options are needed
new Client();

same<Awaited<ReturnType<typeof client.open>>, Result<void>>();
same<Awaited<ReturnType<typeof client.put>>, Result<PutInfo>>();
same<Awaited<ReturnType<typeof client.get>>, Result<Value>>();
same<Awaited<ReturnType<typeof client.peers>>, Result<Peer[]>>();
same<Awaited<ReturnType<typeof client.conflicts>>, Result<Conflict[]>>();
same<Awaited<ReturnType<typeof client.resolve>>, Result<PutInfo>>();
same<Awaited<ReturnType<typeof client.tick>>, Result<TickResult>>();
same<Awaited<ReturnType<typeof client.syncStateInfo>>, Result<SyncResult>>();
same<Awaited<ReturnType<typeof client.nodeInfo>>, Result<NodeInfo>>();
same<typeof client.sync_state_info, typeof client.syncStateInfo>();
same<ReturnType<typeof client.contains>, boolean>();
same<ReturnType<typeof client.size>, number>();

const written = await client.put(new Key('a'), new Uint8Array(1));
same<ReturnType<typeof written.value>, PutInfo>();
same<PutInfo['operation'], string>();
same<RemoveInfo['operation'], string | undefined>();
same<Awaited<ReturnType<typeof client.outbox>>, Result<OutboxEntry[]>>();
same<OutboxEntry['state'], 'queued' | 'inFlight' | 'acknowledged' | 'failed'>();
same<Awaited<ReturnType<typeof client.waitFor>>, Result<Delivered>>();
same<SyncResult['peers'][number]['skewMs'], number | undefined>();
await client.waitFor('all', { peer: 'node-b', signal: AbortSignal.timeout(5) });
await client.waitFor(written.value().operation, { count: 'all' });
await client.outbox({ state: 'failed', after: 5, limit: 10 });
// @ts-expect-error no such state
await client.outbox({ state: 'lost' });
// @ts-expect-error how many is a number, or all
await client.waitFor('all', { count: 'most' });
same<PutInfo['status'], 'created' | 'updated' | 'unchanged'>();
// @ts-expect-error a number is not a value
await client.put('a', 5);
// @ts-expect-error a value is needed
await client.put('a');

const read = await client.get('a');
const length = read.map((value) => value.size());
same<typeof length, Result<number>>();
same<ReturnType<typeof length.unwrap>, number>();
const text = read.map(String).valueOr(undefined);
same<typeof text, string | undefined>();
const code = read.error().code;
same<typeof code, ErrorCode>();
if (code === ErrorCode.NotFound) same<typeof code, 'not_found'>();
// @ts-expect-error not a code
if (read.error().code === 'no_such_code') throw new SoftadastraError('unknown', 'x');

await client.batch([{ put: 'a', value: 'b' }, { remove: new Key('c') }]);
// @ts-expect-error neither of the two
await client.batch([{ del: 'a' }]);
await client.tick(true);
await client.tick({ prune: true });
// @ts-expect-error misspelled
await client.tick({ prun: true });
await client.connect(Peer.local('b', 4042));
same<Awaited<ReturnType<typeof client.verify>>, Result<Comparison>>();
await client.verify('b', { signal: AbortSignal.timeout(5) });
await client.verify(Peer.local('b', 4042));
// @ts-expect-error a peer is needed
await client.verify();
await client.connect({ nodeId: 'b', host: '127.0.0.1', port: 4042 });

for await (const entry of client.entries({ prefix: 'a', after: 'a/1', limit: 5 }))
  same<typeof entry, Entry>();
for await (const change of client.watch('a', { signal: AbortSignal.timeout(1) }))
  same<typeof change, Change>();
for await (const change of client.watch()) {
  if (change.kind === 'put') same<typeof change.value, Value>();
  else same<typeof change.value, undefined>();
}
const listened = client.on('change', ({ key, value }) => {
  same<typeof key, string>();
  same<typeof value, Value | undefined>();
});
same<typeof listened, Result<void>>();
// @ts-expect-error no such event
client.on('changes', () => {});
client.on('error', (error) => same<typeof error, SoftadastraError>());

same<Change, PutChange | RemoveChange>();

/** Returns the error of a write as that of a read. */
async function lengthOf(): Promise<Result<number>> {
  const put = await client.put('a', 'b');
  if (put.isErr()) return put;
  same<ReturnType<typeof put.value>, PutInfo>();
  // @ts-expect-error a result of a write that was made is none of a number
  if (put.value().version === 0) return put;
  if (put.isOk()) {
    same<typeof put.ok, true>();
    same<typeof put.content, PutInfo>();
    same<typeof put.failure, undefined>();
  }
  return Result.ok(put.value().version);
}
lengthOf satisfies () => Promise<Result<number>>;

const closed = await client.close();
if (closed.isErr()) {
  same<typeof closed.ok, false>();
  same<typeof closed.failure, SoftadastraFailure>();
  throw closed.error();
}
same<ReturnType<typeof closed.value>, void>();

// @ts-expect-error results come from calls and from ok() and err()
new Result();
const failed: Result<number> = Result.err(new SoftadastraError('io_error', 'x', { cause: new Error('y') }));
same<ReturnType<typeof failed.error>, SoftadastraError>();

await using closing = client;
closing satisfies AsyncDisposable;
