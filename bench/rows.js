// What is measured: the rows of the table, who takes part in each, and what we want to reach.

const store = (name, shapes = [undefined]) => ({ name, module: `store/${name}`, shapes });
const node = (name, shapes = [undefined]) => ({ name, module: `sync/${name}`, shapes });

const LMDB_SHAPES = ['wave', 'lanes', 'wave-split', 'lanes-split'];
const inFlight = [
  store('softadastra', ['wave', 'lanes']),
  store('lmdb', LMDB_SHAPES),
  store('classic-level', ['batch']),
  store('better-sqlite3', ['transaction']),
  store('append-file', ['group']),
];
/** Records a frame of the raw socket: our own default batch, and one as large as a frame of 1 MiB holds. */
const FRAME_RECORDS = ['1024', '8192'];

/** Which contender is the product. */
export const PRODUCT = 'softadastra';

/**
 * `better` says which way is good; `against` names the peers that the product is held to, with the ratio to reach
 * (above 1 always means that the product does better). Rows of bytes have a `limit` for the product's own figure.
 * `settings.quick` replaces counts in a quick run.
 */
export const rows = [
  {
    name: 'put-awaited',
    title: 'awaited durable puts, one after another',
    unit: 'puts/s',
    better: 'higher',
    measurement: 'awaited-puts',
    settings: { count: 5_000, order: 'shuffled' },
    quick: { count: 500 },
    synced: true,
    contenders: ['softadastra', 'better-sqlite3', 'lmdb', 'classic-level', 'append-file'].map((name) =>
      store(name),
    ),
    against: [{ name: 'better-sqlite3', ratio: 1 }],
  },
  {
    name: 'put-in-flight',
    title: 'durable puts, 1,000 in flight',
    unit: 'puts/s',
    better: 'higher',
    measurement: 'puts-in-flight',
    settings: { count: 300_000, synced: true, order: 'shuffled' },
    quick: { count: 20_000 },
    synced: true,
    contenders: inFlight,
    against: [{ name: 'lmdb', ratio: 4 }],
  },
  {
    name: 'put-in-flight-ascending',
    title: 'durable puts, 1,000 in flight, keys ascending',
    unit: 'puts/s',
    better: 'higher',
    measurement: 'puts-in-flight',
    settings: { count: 300_000, synced: true, order: 'ascending' },
    quick: { count: 20_000 },
    synced: true,
    contenders: inFlight,
    against: [], // the tree’s best case, for comparison,
  },
  {
    name: 'get-random',
    title: 'awaited gets, 1M keys, random',
    unit: 'gets/s',
    better: 'higher',
    prepare: 'fill',
    measurement: 'random-gets',
    settings: { count: 1_000_000, gets: 1_000_000 },
    quick: { count: 100_000, gets: 100_000 },
    synced: true,
    contenders: ['softadastra', 'lmdb', 'classic-level', 'better-sqlite3'].map((name) => store(name)),
    against: [{ name: 'lmdb', ratio: 1.5 }],
  },
  {
    name: 'put-unsynced',
    title: 'puts without sync, 1,000 in flight',
    unit: 'puts/s',
    better: 'higher',
    measurement: 'puts-in-flight',
    settings: { count: 300_000, synced: false, order: 'shuffled' },
    quick: { count: 20_000 },
    synced: false,
    contenders: inFlight,
    against: [{ name: 'lmdb', ratio: 3 }],
  },
  {
    name: 'put-unsynced-ascending',
    title: 'puts without sync, 1,000 in flight, keys ascending',
    unit: 'puts/s',
    better: 'higher',
    measurement: 'puts-in-flight',
    settings: { count: 300_000, synced: false, order: 'ascending' },
    quick: { count: 20_000 },
    synced: false,
    contenders: inFlight,
    against: [], // the tree’s best case, for comparison,
  },
  {
    name: 'catch-up',
    title: 'catch-up of 100k keys, durable on both sides',
    unit: 'ms',
    better: 'lower',
    measurement: 'catch-up',
    settings: { count: 100_000 },
    quick: { count: 10_000 },
    contenders: [node('softadastra'), node('yjs'), node('framed-socket', FRAME_RECORDS)],
    against: [
      { name: 'yjs', ratio: 1 },
      { name: 'framed-socket', ratio: 1 },
    ],
  },
  {
    name: 'one-write',
    title: 'one write to durable and visible on the peer, p50',
    unit: 'µs',
    better: 'lower',
    measurement: 'one-write',
    settings: { count: 500 },
    quick: { count: 100 },
    contenders: [node('softadastra'), node('redis', ['wait', 'notify']), node('yjs'), node('framed-socket')],
    against: [{ name: 'redis', ratio: 1 }],
  },
  {
    name: 'mesh-bytes',
    title: 'three nodes in full mesh, one writes 10k: bytes, in copies per node',
    unit: '×',
    better: 'lower',
    measurement: 'mesh',
    settings: { count: 10_000 },
    quick: { count: 1_000 },
    contenders: [node('softadastra'), node('yjs')],
    against: [],
    limit: 1.3,
  },
  {
    name: 'overwritten-bytes',
    title: 'catch-up after 10k keys were overwritten 20 times: bytes, in copies of the state',
    unit: '×',
    better: 'lower',
    measurement: 'overwritten',
    settings: { count: 10_000 },
    quick: { count: 1_000 },
    contenders: [node('softadastra'), node('yjs')],
    against: [],
    limit: 1.15,
  },
];
