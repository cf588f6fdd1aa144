// Runs the benchmarks, which are a package of their own; parameters are handed on.
import { build } from './build.js';
import { install } from './install.js';
import { run } from './run.js';

build();
install('bench');
process.exitCode = run(process.execPath, 'bench/run.js', ...process.argv.slice(2));
