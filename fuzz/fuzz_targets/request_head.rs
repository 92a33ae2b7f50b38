//! See `properties::request_head`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::request_head::check(data));
