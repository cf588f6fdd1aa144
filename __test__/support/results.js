import assert from 'node:assert/strict';
import { Result, SoftadastraError } from '@softadastra/sdk';

/** The value of a result that must be ok. */
export function ok(result) {
  assert.ok(result instanceof Result, 'a Result');
  if (result.isErr()) assert.fail(`${result.error().code}: ${result.error().message}`);
  return result.value();
}

/** The error of a result that must be one, with this code and, if given, this message or pattern. */
export function refused(result, code, message) {
  assert.ok(result instanceof Result, 'a Result');
  assert.ok(result.isErr(), `expected ${code}, was ok`);
  const error = result.error();
  assert.ok(error instanceof SoftadastraError);
  assert.equal(error.codeString(), code, error.message);
  if (typeof message === 'string') assert.equal(error.message, message);
  if (message instanceof RegExp) assert.match(error.message, message);
  return error;
}
