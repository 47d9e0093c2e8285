//! See `armour` in the library.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| hikyaku_fuzz::armour::envelope(input));
