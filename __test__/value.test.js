import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Key, Value } from '@softadastra/sdk';

test('text reads as text and as its UTF-8 bytes', () => {
  const value = Value.fromString('grüß 🌍');
  assert.equal(value.toString(), 'grüß 🌍');
  assert.equal(`${value}`, 'grüß 🌍');
  assert.deepEqual(Buffer.from(value.bytes()), Buffer.from('grüß 🌍'));
  assert.deepEqual(value.toBuffer(), Buffer.from('grüß 🌍'));
  assert.equal(value.size(), 11);
  assert.equal(JSON.stringify({ value }), '{"value":"grüß 🌍"}');
});

test('bytes are copied in and out, and never change', () => {
  const given = new Uint8Array([0, 255, 128]);
  const value = Value.fromBytes(given);
  given.fill(7);
  value.bytes().fill(8);
  value.toBuffer().fill(9);
  assert.deepEqual([...value.bytes()], [0, 255, 128]);
  assert.equal(value.size(), 3);
});

test('bytes that are text read as that text, a byte order mark included', () => {
  assert.equal(Value.fromBytes(Buffer.from('\ufeffä')).toString(), '\ufeffä');
  assert.equal(Value.fromBytes(new Uint8Array([0xff])).toString(), '\ufffd');
});

test('a view of a larger buffer is only what it shows', () => {
  const value = Value.fromBytes(Buffer.from('abcdef').subarray(2, 4));
  assert.equal(value.toString(), 'cd');
  assert.equal(value.size(), 2);
});

test('values are equal when their bytes are', () => {
  const text = Value.fromString('ä');
  const bytes = Value.fromBytes(Buffer.from('ä'));
  assert.ok(text.equals(bytes) && bytes.equals(text) && text.equals('ä') && bytes.equals('ä'));
  assert.ok(text.equals(Buffer.from('ä')) && text.equals(new Value(text)));
  assert.ok(!text.equals('b') && !bytes.equals('b') && !text.equals(undefined) && !text.equals({}));
});

test('an empty value is a value', () => {
  for (const value of [Value.fromString(''), Value.fromBytes(new Uint8Array(0))]) {
    assert.ok(value.empty() && value.isValid());
    assert.equal(value.toString(), '');
  }
});

test('a value of something else is invalid, reads as empty, and equals nothing', () => {
  for (const wrong of [undefined, null, 4, {}, ['a'], Symbol('s'), new ArrayBuffer(2), () => 'a']) {
    const value = Value.fromString(wrong);
    assert.ok(!value.isValid() && !Value.fromBytes(wrong).isValid() && !new Value(wrong).isValid());
    assert.equal(value.toString(), '');
    assert.equal(value.size(), 0);
    assert.equal(value.bytes().length, 0);
    assert.ok(!value.equals(value));
  }
  assert.ok(!Value.fromBytes('text').isValid());
  assert.ok(!Value.fromString(new Uint8Array(1)).isValid());
});

test('values and keys show what they hold', () => {
  assert.equal(inspect(Value.fromString('a')), "Value('a')");
  assert.equal(inspect(new Key('a')), "Key('a')");
});

test('a key knows whether it can be used', () => {
  assert.ok(new Key('a').isValid() && new Key('\0').isValid() && new Key('é'.repeat(512)).isValid());
  for (const wrong of ['', 'é'.repeat(513), '\ud800', undefined, 4, {}, null]) {
    assert.ok(!new Key(wrong).isValid());
  }
  assert.ok(new Key('').empty() && new Key(undefined).empty());
  assert.equal(`${new Key(new Key('a'))}`, 'a');
  assert.ok(new Key('a').equals('a') && new Key('a').equals(new Key('a')) && !new Key('a').equals(4));
  assert.equal(JSON.stringify(new Key('a')), '"a"');
});
