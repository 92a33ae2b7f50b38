//! What holds for any bytes, as one function of bytes per property: it returns, or it panics.
//!
//! Who makes the bytes is not known here. `tests/bounded.rs` does on any toolchain, as a part of
//! all tests; libFuzzer does for as long as one likes, in `fuzz/`. What is right is said by the
//! crate `strict` and by the RFCs, never by the code that is judged.

pub mod cases;
pub mod chunks;
pub mod exchange;
mod fields;
pub mod framing;
pub mod request_head;
pub mod response_head;

/// A property, and the name of its target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 5] = [
    ("chunks", chunks::check),
    ("exchange", exchange::check),
    ("framing", framing::check),
    ("request_head", request_head::check),
    ("response_head", response_head::check),
];

/// Splits off the byte by which an input chooses among a few ways to be read. It is a letter, for
/// inputs that people write.
fn choice(data: &[u8], ways: u8) -> Option<(u8, &[u8])> {
    let (first, rest) = data.split_first()?;
    Some((first.wrapping_sub(b'a') % ways, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    #[test]
    fn each_target_has_its_fuzzer_and_begins_with_cases() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
        let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).expect("a manifest");
        for (name, check) in TARGETS {
            let source = fuzz.join("fuzz_targets").join(name).with_extension("rs");
            let source = fs::read_to_string(source).expect(name);
            assert!(source.contains(&format!("properties::{name}::check(data)")), "{name}");
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
            assert!(cases::of(name).len() > 10, "{name}");
            check(b"");
        }
    }
}
