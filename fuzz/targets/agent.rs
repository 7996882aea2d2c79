#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| eks_credentials::fuzzing::agent(input));
