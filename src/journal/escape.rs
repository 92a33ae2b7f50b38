//! How text is written into a cell: escaped if it is not plain, and so that a spreadsheet does not
//! take it for a formula.
//!
//! Text that begins like a formula, or with the mark itself, gets the mark in front; a reader
//! removes one mark. So what is read is what was written. Text of logs without marks is read as it
//! is unless it begins with one.

use std::borrow::Cow;

/// Spreadsheets show a cell that begins with it as text.
pub(super) const MARK: u8 = b'\'';

/// Whether text needs the mark.
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

/// Text that is not plain as a cell: in quotes (RFC 4180 §2), with its bytes outside printable
/// ASCII percent-encoded (RFC 3986 §2.1), so that line ends and broken UTF-8 do not get into the
/// log, and with the mark if it needs one.
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

/// Whether text is a cell as it is.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    let rest_is_plain = match text.last_chunk() {
        // It overlaps the word before.
        Some(last) => is_plain_word(*last),
        None => rest.iter().all(|byte| PLAIN[usize::from(*byte)]),
    };
    rest_is_plain && words.iter().all(|word| is_plain_word(*word)) && !needs_mark(text)
}

/// Bytes that are written as they are.
pub(super) static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b'!';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'"' && byte != b',';
        byte += 1;
    }
    plain
};

/// Whether eight bytes are such bytes, tested all at once: the high bit of the first byte in `odd`
/// that is not plain is set.
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
    fn a_byte_is_plain_or_not_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let is_plain_byte = byte.is_ascii_graphic() && !matches!(byte, b'"' | b',');
            for (length, at) in (1..30).flat_map(|length| (0..length).map(move |at| (length, at))) {
                let mut text = vec![b'x'; length];
                text[at] = byte;
                let expected = is_plain_byte && !(at == 0 && needs_mark(&text));
                assert_eq!(is_plain(&text), expected, "{byte:#x} at {at} of {length}");
            }
        }
    }

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
