//! Functions that write the parts of a head.

use super::headers::{Field, Headers};
use super::name::Name;

pub(super) const CRLF: &[u8] = b"\r\n";

/// What stands between a name and its value.
const COLON: &[u8] = b": ";

/// Appends a field line; the value must be valid. `name` includes its colon and a space, so that
/// they are appended as one constant.
#[inline]
pub(super) fn field(out: &mut Vec<u8>, name: &'static str, value: &[u8]) {
    debug_assert!(name.ends_with(": "));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(value);
    out.extend_from_slice(CRLF);
}

/// Appends a field line whose value is a number; `name` as in [`field`].
#[inline]
pub(super) fn number(out: &mut Vec<u8>, name: &'static str, value: u64) {
    field(out, name, itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the first bytes of a head as they are, and then received field lines: names and values
/// unchanged, with one space between them. What is adjacent and looks like that already is appended
/// together.
pub(super) fn copy<'f>(
    out: &mut Vec<u8>,
    head: &[u8],
    first: usize,
    fields: impl IntoIterator<Item = &'f Field>,
) {
    let mut run = 0..first;
    for field in fields {
        let (start, end) = (field.name.start(), field.value.end() + CRLF.len());
        let is_plain = head.get(field.name.end()..field.value.start()) == Some(COLON)
            && head.get(field.value.end()..end) == Some(CRLF);
        if is_plain && run.end == start {
            run.end = end;
            continue;
        }
        out.extend_from_slice(&head[run]);
        run = if is_plain { start..end } else { end..end };
        if !is_plain {
            out.extend_from_slice(field.name.of(head));
            out.extend_from_slice(COLON);
            out.extend_from_slice(field.value.of(head));
            out.extend_from_slice(CRLF);
        }
    }
    out.extend_from_slice(&head[run]);
}

/// Appends one line with the values of all received fields of that name, and then the parts of
/// `own` as one more element: a list field to which every hop adds an element. The name as in
/// [`field`].
#[inline]
pub(super) fn append(
    out: &mut Vec<u8>,
    head: &[u8],
    headers: &Headers,
    (id, name): (Name, &'static str),
    own: &[&[u8]],
) {
    debug_assert!(name.ends_with(": "));
    out.extend_from_slice(name.as_bytes());
    for value in headers.values(head, id).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    for part in own {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(CRLF);
}
