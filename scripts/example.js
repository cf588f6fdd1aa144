// Runs one of the examples, building the addon first if need be: `node scripts/example.js 01-local-store`.
import { build } from './build.js';
import { run } from './run.js';

build();
process.exitCode = run(process.execPath, `examples/${process.argv[2]}.js`);
