// Checked by the compiler, never run: the classes for a module that requires the package.
import sdk = require('@softadastra/sdk');

async function main(): Promise<number> {
  const client: sdk.Client = new sdk.Client(sdk.ClientOptions.local('node-a'));
  const opened: sdk.Result<void> = await client.open();
  if (opened.isErr()) throw opened.error();
  const value: sdk.Value = (await client.get('a')).unwrap();
  const other = await import('@softadastra/sdk');
  const same: sdk.Value = other.Value.fromString('a');
  return value.size() + same.size();
}

main satisfies () => Promise<number>;
