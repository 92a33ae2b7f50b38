//! Text in a cell that a spreadsheet must not take for a formula.
//!
//! What begins a formula, or with the mark itself, gets the mark in front; a reader takes one away
//! again. So what is read is what was written, and text of logs that know no marks is the same to
//! us unless it begins with one.

use std::borrow::Cow;

/// Spreadsheets show a cell that begins with it as text.
pub(super) const MARK: u8 = b'\'';

/// Whether text as it stands in its cell needs the mark.
pub(super) fn needs_mark(text: &[u8]) -> bool {
    matches!(text.first(), Some(&(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r' | MARK)))
}

/// Text for a cell of a CSV.
#[must_use]
pub fn marked(text: &str) -> Cow<'_, str> {
    if needs_mark(text.as_bytes()) { format!("'{text}").into() } else { text.into() }
}

/// The text of a cell.
pub(super) fn unmarked(cell: &[u8]) -> &[u8] {
    cell.strip_prefix(&[MARK]).unwrap_or(cell)
}

/// How text stands in a cell if it is not plain: in quotes (RFC 4180 §2), with its bytes outside
/// printable ASCII percent-encoded (RFC 3986 §2.1), so that line ends and broken UTF-8 do not get
/// into the log, and with the mark if it needs one.
#[cold]
pub(super) fn escape(text: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut cell = vec![b'"'];
    // What is encoded begins no formula.
    if text.first().is_some_and(u8::is_ascii_graphic) && needs_mark(text) {
        cell.push(MARK);
    }
    for &byte in text {
        match byte {
            b'"' => cell.extend(b"\"\""),
            b' '..=b'~' => cell.push(byte),
            _ => cell.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    cell.push(b'"');
    cell
}

/// Whether text stands in its cell as it is.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    let rest_is_plain = match text.last_chunk() {
        // It overlaps the word before.
        Some(last) => is_plain_word(*last),
        None => rest.iter().all(|byte| PLAIN[usize::from(*byte)]),
    };
    rest_is_plain && words.iter().all(|word| is_plain_word(*word)) && !needs_mark(text)
}

/// Bytes that stand in a cell as they are.
pub(super) static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b',';
        byte += 1;
    }
    plain
};

/// Whether eight bytes are such bytes, found out for all at once: the high bit of a byte is set in
/// `odd` if it is the first that is not.
#[inline]
fn is_plain_word(word: [u8; 8]) -> bool {
    const fn all(byte: u8) -> u64 {
        u64::from_le_bytes([byte; 8])
    }
    let word = u64::from_le_bytes(word);
    let below = |byte: u8, word: u64| word.wrapping_sub(all(byte)) & !word;
    let is = |byte: u8| below(1, word ^ all(byte));
    let above = word.wrapping_add(all(0x7f - b'~')) | word;
    let odd = below(b'!', word) | above | is(b'"') | is(b',');
    odd & all(0x80) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_begins_a_formula_is_marked() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'", "'=1", "-"] {
            assert_eq!(marked(text), format!("'{text}"));
        }
        for text in ["", "a=1", " =1", "/", "(1)", "\u{ff1d}1", "é", "%3D"] {
            assert_eq!(marked(text), text);
        }
    }

    proptest! {
        #[test]
        fn marked_text_is_no_formula_and_is_read_back(text in "[='+@\t\r -]{0,3}.*") {
            let cell = marked(&text);
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert_eq!(unmarked(cell.as_bytes()), text.as_bytes());
        }
    }
}
