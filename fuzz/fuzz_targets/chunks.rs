//! See `properties::chunks`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::chunks::check(data));
