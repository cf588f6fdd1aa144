// better-sqlite3: SQLite, called synchronously on the thread of JavaScript.

import { join } from 'node:path';
import Database from 'better-sqlite3';

/** What a resolved put means. */
export const durability = {
  synced: 'journal_mode=WAL, synchronous=FULL: the write-ahead log is synced at every commit',
  unsynced: 'journal_mode=WAL, synchronous=OFF: written to the page cache',
};

/**
 * @param {string} directory an existing directory
 * @param {{ synced: boolean }} settings whether a resolved put is on disk
 */
export async function open(directory, { synced }) {
  const database = new Database(join(directory, 'store.sqlite'));
  database.pragma('journal_mode = WAL');
  database.pragma(`synchronous = ${synced ? 'FULL' : 'OFF'}`);
  database.exec(
    'CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID',
  );
  const insert = database.prepare('INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)');
  const select = database.prepare('SELECT value FROM entries WHERE key = ?').pluck();
  const insertRange = database.transaction((keys, values, from, to) => {
    for (let at = from; at < to; at++) insert.run(keys[at], values[at]);
  });
  return {
    put: (key, value) => insert.run(key, value),
    check: () => {}, // a failed put throws
    async putAll(keys, values, width) {
      for (let from = 0; from < keys.length; from += width) {
        await insertRange(keys, values, from, Math.min(from + width, keys.length));
      }
    },
    get: (key) => select.get(key),
    text: (value) => value,
    count: async () => database.prepare('SELECT count(*) FROM entries').pluck().get(),
    async scan(visit) {
      const select = database.prepare('SELECT key, value FROM entries ORDER BY key').raw();
      for (const [key, value] of select.iterate()) visit(key, value);
    },
    close: async () => database.close(),
  };
}
