import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { ErrorCode, Result, SoftadastraError } from '@softadastra/sdk';

const notFound = new SoftadastraError(ErrorCode.NotFound, 'key not found', { context: 'a' });

test('an ok result gives its value', () => {
  const result = Result.ok(5);
  assert.ok(result.isOk() && !result.isErr());
  assert.equal(result.value(), 5);
  assert.equal(result.unwrap(), 5);
  assert.equal(result.valueOr(6), 5);
  assert.equal(result.map((n) => n + 1).value(), 6);
  assert.equal(inspect(result), 'Result.ok(5)');
  assert.equal(Result.ok().value(), undefined);
});

test('an error result gives its error', () => {
  const result = Result.err(notFound);
  assert.ok(result.isErr() && !result.isOk());
  assert.equal(result.error(), notFound);
  assert.equal(result.error(), result.error());
  assert.equal(result.valueOr(6), 6);
  assert.equal(
    result.map(() => assert.fail('called')),
    result,
  );
  assert.equal(inspect(result), 'Result.err(not_found: key not found)');
});

test('value() on an error throws, and says which error is there', () => {
  assert.throws(
    () => Result.err(notFound).value(),
    (thrown) => {
      assert.ok(thrown instanceof SoftadastraError);
      assert.equal(thrown.code, 'invalid_state');
      assert.match(thrown.message, /key not found/);
      assert.equal(thrown.cause, notFound);
      return true;
    },
  );
  assert.throws(() => Result.err(notFound).unwrap(), notFound);
});

test('error() on an ok result throws', () => {
  assert.throws(() => Result.ok(1).error(), { name: 'SoftadastraError', code: 'invalid_state' });
});

test('whatever is made an error is a SoftadastraError', () => {
  for (const given of [undefined, null, 'oh no', new Error('oh no'), 5, {}]) {
    assert.ok(Result.err(given).error() instanceof SoftadastraError);
    assert.equal(Result.err(given).error().code, 'unknown');
  }
  assert.equal(Result.err(new Error('oh no')).error().message, 'oh no');
});

test('map with something that is no function is an error, and what a function throws is its own', () => {
  assert.equal(Result.ok(1).map('x').error().code, 'invalid_argument');
  assert.throws(
    () =>
      Result.ok(1).map(() => {
        throw new RangeError('mine');
      }),
    RangeError,
  );
});

test('an error carries code, kind, context and cause, and is an Error', () => {
  const cause = new Error('below');
  const error = new SoftadastraError('io_error', 'above', {
    kind: 'disk_full',
    context: 'data/x.wal',
    cause,
    retryable: true,
    localStateValid: false,
  });
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'SoftadastraError');
  assert.equal(error.message, 'above');
  assert.equal(error.codeString(), 'io_error');
  assert.deepEqual(
    [error.code, error.kind, error.context, error.cause, error.retryable, error.localStateValid],
    ['io_error', 'disk_full', 'data/x.wal', cause, true, false],
  );
  assert.ok(error.hasContext());
  assert.match(error.stack, /result\.test\.js/);
});

test('an error made of nonsense is still an error', () => {
  const error = new SoftadastraError('no_such_code', undefined, null);
  assert.deepEqual(
    [error.code, error.kind, error.message, error.context, error.retryable, error.localStateValid],
    ['unknown', 'unknown', '', undefined, false, true],
  );
  assert.ok(!error.hasContext() && !('cause' in error));
});

test('there are thirteen codes', () => {
  assert.deepEqual(Object.values(ErrorCode), [
    'none',
    'unknown',
    'invalid_argument',
    'invalid_state',
    'not_found',
    'already_exists',
    'io_error',
    'store_error',
    'sync_error',
    'transport_error',
    'discovery_error',
    'metadata_error',
    'internal_error',
  ]);
  assert.ok(Object.isFrozen(ErrorCode));
});
