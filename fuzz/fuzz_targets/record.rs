//! Bytes of a log frame's body: its records. Any bytes give a result or an error, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| softadastra::fuzzing::record(bytes));
