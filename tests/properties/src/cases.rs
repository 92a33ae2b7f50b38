//! Inputs to begin with, and those that once broke a property: one a line, its bytes escaped as
//! `[u8]::escape_ascii` writes them.

use std::fs;
use std::path::Path;

/// The inputs of a target. Lines that begin with `#` say something about those below them.
///
/// # Panics
/// If there is no such file, or if it is no file of cases.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let path = folder.join(target).with_extension("txt");
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().filter(|line| !line.starts_with('#')).map(unescape).collect()
}

/// What `[u8]::escape_ascii` made a line of.
fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let (byte, length) = match (first, after) {
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'x', high, low, ..]) => (hex(*high) << 4 | hex(*low), 4),
            (b'\\', [itself, ..]) => (*itself, 2),
            (plain, _) => (*plain, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

fn hex(digit: u8) -> u8 {
    let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.unwrap_or_else(|| panic!("no digit: {}", char::from(digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_for_the_bytes_it_was_written_from() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&bytes.escape_ascii().to_string()), bytes);
    }
}
