//! Which fields of a head go on, by the letter of RFC 9110.

use strict::{Faults, Field, fields, head, is_token, values};

/// Fields of one connection only (RFC 9110 §7.6.1), credentials for this hop among them (§11.7).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Other names with a hyphen that mean something to a proxy.
const OTHERS: [&str; 5] =
    ["content-length", "max-forwards", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// Whether a name is none of those above, and is one of them to a program that folds whatever is
/// no letter or digit, as CGI does (RFC 3875 §4.1.18).
fn is_alias(name: &[u8]) -> bool {
    let fold = |byte: &u8| if byte.is_ascii_alphanumeric() { *byte } else { b'-' };
    let folded: Vec<u8> = name.iter().map(fold).collect();
    let is_known = HOP_BY_HOP.iter().chain(&OTHERS).any(|known| folded == known.as_bytes());
    is_known && folded != name
}

/// The head of a response without the blanks between a field's name and its colon, which a proxy
/// removes (RFC 9112 §5.1).
pub(crate) fn closed_up(head: &[u8]) -> Vec<u8> {
    let mut closed = Vec::with_capacity(head.len());
    for (place, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let (name, rest) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
        let end = name.iter().rposition(|byte| !b" \t".contains(byte)).map_or(0, |last| last + 1);
        let is_field = place > 0 && is_token(&name[..end]);
        closed.extend_from_slice(if is_field { &name[..end] } else { name });
        closed.extend_from_slice(rest);
    }
    closed
}

/// A head as the grammar reads it.
pub(crate) struct Head<'a> {
    pub(crate) line: &'a [u8],
    pub(crate) fields: Vec<Field>,
    pub(crate) faults: Faults,
}

impl<'a> Head<'a> {
    /// Reads a head that ends with an empty line.
    pub(crate) fn read(bytes: &'a [u8]) -> Self {
        let mut faults = Faults::new();
        let Some((lines, end)) = head(bytes, 0, &mut faults) else {
            panic!("no whole head: {}", bytes.escape_ascii())
        };
        assert_eq!(end, bytes.len(), "an empty line before the end");
        let fields = fields(&lines[1..], &mut faults);
        Self { line: lines[0], fields, faults }
    }

    /// The elements of all lines of that name, which is a list: in lower case, none empty.
    pub(crate) fn list(&self, name: &str) -> Vec<Vec<u8>> {
        let elements = values(&self.fields, name).join(&b',').to_ascii_lowercase();
        let elements = elements.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        elements.filter(|element| !element.is_empty()).map(<[u8]>::to_vec).collect()
    }

    /// The fields that must go on as they are, without those that `is_ours` to write.
    pub(crate) fn end_to_end(&self, is_ours: impl Fn(&[u8]) -> bool) -> Vec<Field> {
        let named = self.list("connection");
        let goes_on = |field: &&Field| {
            let is_hop = HOP_BY_HOP.iter().any(|name| field.name == name.as_bytes());
            !is_hop
                && !is_alias(&field.name)
                && !is_ours(&field.name)
                && !named.contains(&field.name)
        };
        self.fields.iter().filter(goes_on).cloned().collect()
    }
}

/// The fields without those that `is_ours` to write, to be compared with
/// [`Head::end_to_end`].
pub(crate) fn others(fields: &[Field], is_ours: impl Fn(&[u8]) -> bool) -> Vec<Field> {
    fields.iter().filter(|field| !is_ours(&field.name)).cloned().collect()
}
