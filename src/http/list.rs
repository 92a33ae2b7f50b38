//! Tokens, optional whitespace and comma-separated lists (RFC 9110 §5.6).

use std::cmp::Ordering;

/// Bytes a token may consist of (RFC 9110 §5.6.2).
const TOKEN_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'!';
    while byte < 0x7f {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+')
            || matches!(byte, b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// Whether `text` is a token: at least one byte, and only those a token may have.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| TOKEN_BYTES[usize::from(*byte)])
}

/// Whether `byte` may stand in a field value or a reason phrase (RFC 9110 §5.5).
pub(super) fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Spaces and tabs, the only whitespace there is around values and list elements.
pub(super) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `text` without the spaces and tabs around it.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text
        && is_blank(*first)
    {
        text = rest;
    }
    while let [rest @ .., last] = text
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

/// The elements of a comma-separated list, trimmed. Empty ones are included: most fields ignore
/// them (RFC 9110 §5.6.1.2), but framing must not.
pub(super) fn elements(list: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(trim)
}

/// Names that are looked up regardless of case. They are sorted, so that looking up each of many
/// fields among many names does not cost the product of both.
#[derive(Debug)]
pub(super) struct Names<'a>(Vec<&'a [u8]>);

impl<'a> Names<'a> {
    /// Allocates nothing if there is no name.
    pub(super) fn new(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable_by(|a, b| compare(a, b));
        Self(names)
    }

    pub(super) fn contains(&self, name: &[u8]) -> bool {
        self.0.binary_search_by(|other| compare(other, name)).is_ok()
    }
}

/// An order in which names that differ only in case are equal. Lengths are compared first, because
/// they tell most names apart.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| {
        a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_no_others_are() {
        let names = Names::new(elements(b"x-b, ,A,x-b,X-Long, [" as &[u8]));
        for name in ["X-B", "x-b", "a", "A", "x-LONG", "["] {
            assert!(names.contains(name.as_bytes()), "{name}");
        }
        // `[` and `{` differ in the bit in which upper and lower case differ.
        for name in ["x-a", "x-bb", "b", "x-lonG1", "x", "{"] {
            assert!(!names.contains(name.as_bytes()), "{name}");
        }
        assert!(!Names::new([]).contains(b""));
    }

    #[test]
    fn tokens() {
        for text in ["a", "X-A", "!#$%&'*+-.^_`|~09AZaz"] {
            assert!(is_token(text.as_bytes()), "{text}");
        }
        for text in ["", " a", "a b", "a:", "a,b", "\"a\"", "a/b", "a;q=1", "é", "a\0", "(a)"] {
            assert!(!is_token(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn lists_are_split_at_commas_and_trimmed() {
        let split = |list: &'static str| -> Vec<&str> {
            elements(list.as_bytes()).map(|e| str::from_utf8(e).unwrap()).collect()
        };
        assert_eq!(split("a"), ["a"]);
        assert_eq!(split(" a\t, b c ,,\t"), ["a", "b c", "", ""]);
        assert_eq!(split(""), [""]);
        assert_eq!(split("\u{b}a"), ["\u{b}a"]);
    }
}
