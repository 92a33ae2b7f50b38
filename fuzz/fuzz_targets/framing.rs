//! See `properties::framing`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::framing::check(data));
