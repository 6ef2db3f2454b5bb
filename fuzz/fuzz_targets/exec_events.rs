//! Answers of a hostile server to a streaming command: the same events whatever the pieces, no panic, no hang.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fastvm_api::fuzzing::exec_events(bytes));
