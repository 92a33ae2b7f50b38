//! Functions that write the parts of a head.

use super::headers::{Field, Headers};
use super::name::Name;

pub(super) const CRLF: &[u8] = b"\r\n";

/// Appends a field line; the value must be valid.
pub(super) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(CRLF);
}

/// Appends a field line whose value is a number.
pub(super) fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    field(out, name, itoa::Buffer::new().format(value).as_bytes());
}

/// Appends a received field line: name and value unchanged, with one space between them.
pub(super) fn copy(out: &mut Vec<u8>, head: &[u8], received: &Field) {
    out.extend_from_slice(received.name.of(head));
    out.extend_from_slice(b": ");
    out.extend_from_slice(received.value.of(head));
    out.extend_from_slice(CRLF);
}

/// Appends one line with the values of all received fields of that name, and then the parts of
/// `own` as one more element: a list field to which every hop adds an element.
pub(super) fn append(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    (id, name): (Name, &str),
    own: &[&[u8]],
) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    for value in headers.values(head, id).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    for part in own {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(CRLF);
}
