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
