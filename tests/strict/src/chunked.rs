//! A chunked body (RFC 9112 §7.1).

use super::{Faults, Field, fields, is_text, line, shown};

/// A body so far.
#[derive(Debug, Default)]
pub struct Chunked {
    /// The data.
    pub body: Vec<u8>,
    /// The lines after the last chunk.
    pub trailers: Vec<Field>,
    /// Where the next message starts; `None` if this one is incomplete.
    pub end: Option<usize>,
}

/// Parses the body that starts at `at`, up to its first fault.
pub fn read(bytes: &[u8], at: usize, faults: &mut Faults) -> Chunked {
    let mut chunked = Chunked::default();
    let mut at = at;
    loop {
        let Some((text, data)) = line(bytes, at) else {
            if bytes[at..].contains(&b'\n') {
                faults.push(format!("a chunk line without CR: {}", shown(&bytes[at..])));
            }
            return chunked;
        };
        let Some(size) = size(text) else {
            faults.push(format!("a malformed chunk line: {}", shown(text)));
            return chunked;
        };
        if size == 0 {
            chunked.end = trailers(bytes, data, &mut chunked.trailers, faults);
            return chunked;
        }
        let rest = &bytes[data..];
        chunked.body.extend(&rest[..size.min(rest.len())]);
        let line_end = rest.get(size..).unwrap_or_default();
        if !b"\r\n".starts_with(&line_end[..line_end.len().min(2)]) {
            faults.push("no CR LF after the data of a chunk".to_owned());
            return chunked;
        }
        if line_end.len() < 2 {
            return chunked;
        }
        at = data + size + 2;
    }
}

/// `chunk-size [ chunk-ext ]`; of the extension, only invalid bytes are checked.
fn size(line: &[u8]) -> Option<usize> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let is_extension = extension.is_empty()
        || extension.iter().find(|byte| !blank(byte)) == Some(&b';')
            && extension.iter().all(|byte| is_text(*byte));
    let digits = str::from_utf8(digits).ok()?;
    usize::from_str_radix(digits, 16).ok().filter(|_| is_extension)
}

fn trailers(
    bytes: &[u8],
    at: usize,
    trailers: &mut Vec<Field>,
    faults: &mut Faults,
) -> Option<usize> {
    let mut at = at;
    loop {
        let (text, next) = line(bytes, at)?;
        if text.is_empty() {
            return Some(next);
        }
        if text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            faults.push(format!("bare CR, bare LF or NUL in trailer {}", shown(text)));
        }
        trailers.extend(fields(&[text], faults));
        at = next;
    }
}
