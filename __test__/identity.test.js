import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { test } from 'node:test';
import { ClientOptions } from '@softadastra/sdk';
import { loggedOptions, openClient, openListening, peerFor } from './support/clients.js';
import { ok, refused } from './support/results.js';
import { until } from './support/until.js';

/** Options of a node with a copy of all files, lease included: no opening can tell the two apart. */
function copied(options) {
  const walPath = `${options.walPath}-twin`;
  copyFileSync(options.walPath, walPath);
  copyFileSync(`${options.walPath}.lease`, `${walPath}.lease`);
  return Object.assign(new ClientOptions(options), { walPath });
}

const heard = (client) => {
  const events = [];
  ok(client.on('identity', (event) => events.push(event)));
  return events;
};

const reads = (client, key, text) =>
  until(async () => (await client.get(key)).map(String).valueOr(undefined) === text, `${key} is ${text}`);

test('two open copies of one folder are both told, take identities of their own, and converge', async (t) => {
  const changes = { enableTransport: true, syncIntervalMs: 1 };
  const options = Object.assign(loggedOptions(t, 'node-a'), changes);
  const first = await openClient(t, options);
  ok(await first.put('shared', 'before'));
  ok(await first.close());
  const twin = Object.assign(copied(options), { nodeId: 'node-b' });
  const [a, b] = [await openClient(t, options), await openClient(t, twin)];
  for (const client of [a, b]) ok(await client.startTransport());
  const [ofA, ofB] = [heard(a), heard(b)];
  ok(await a.put('a', 'of a'));
  ok(await b.put('b', 'of b'));
  const error = refused(await a.connect(peerFor(b)), 'transport_error');
  assert.equal(error.kind, 'identity');
  assert.match(error.message, /copy/);
  await reads(a, 'b', 'of b');
  await reads(b, 'a', 'of a');
  assert.deepEqual(ofA, [{ kind: 'shared', nodeId: 'node-b' }]);
  assert.deepEqual(ofB, [{ kind: 'shared', nodeId: 'node-a' }]);
  assert.deepEqual(ok(await a.recovery()).renewed, { kind: 'shared', nodeId: 'node-b' });
  ok(await a.put('shared', 'after'));
  await reads(b, 'shared', 'after');
  for (const client of [a, b]) ok(await client.close());
  // The new identities survive an opening.
  const again = [await openClient(t, options), await openClient(t, twin)];
  for (const client of again) ok(await client.startTransport());
  ok(await again[0].connect(peerFor(again[1])));
  for (const client of again) assert.equal(ok(await client.recovery()).copyNoticed, false);
});

test('files that went back in time are noticed by a peer, get back what they lost, and keep what came since', async (t) => {
  const changes = { enableTransport: true, syncIntervalMs: 1 };
  const options = Object.assign(loggedOptions(t, 'node-a'), changes);
  const peer = await openListening(t, 'node-b', { syncIntervalMs: 1 });
  const first = await openClient(t, options);
  ok(await first.put('kept', 'old'));
  ok(await first.close());
  const earlier = copied(options);
  const lost = await openClient(t, options);
  ok(await lost.connect(peerFor(peer)));
  ok(await lost.put('kept', 'new'));
  ok(await lost.put('lost', 'only there'));
  await reads(peer, 'lost', 'only there');
  ok(await lost.close());

  const restored = await openClient(t, earlier);
  const events = heard(restored);
  assert.equal(ok(await restored.get('kept')).toString(), 'old');
  ok(await restored.put('since', 'then'));
  ok(await restored.connect(peerFor(peer)));
  await reads(restored, 'lost', 'only there');
  await reads(restored, 'kept', 'new');
  await reads(peer, 'since', 'then');
  await until(() => events.length === 1, 'the event');
  assert.deepEqual(events, [{ kind: 'went_back', nodeId: 'node-b' }]);
});
