//! Every harness of `csm_studio::fuzzing`: a binary for each, called as the harness is.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| csm_studio::fuzzing::run(env!("CARGO_BIN_NAME"), input));
