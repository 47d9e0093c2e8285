//! See `stateless` in the library.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| hikyaku_fuzz::stateless::run(input));
