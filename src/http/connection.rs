//! The `Connection` field: what it asks of this connection, and which fields end here because it
//! names them (RFC 9110 §7.6.1).

use super::error::HeadError;
use super::headers::Headers;
use super::list::elements;
use super::name::Name;

/// The connection options that mean something to a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Options {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

impl Options {
    /// Reads all `Connection` fields and marks the fields they name.
    ///
    /// # Errors
    /// [`HeadError::TooManyHeaders`] for more names than a head may have fields: every name is
    /// looked for among all fields, so their number needs the same bound.
    pub(super) fn read(head: &[u8], headers: &mut Headers) -> Result<Options, HeadError> {
        let mut options = Options::default();
        if !headers.has(Name::Connection) {
            return Ok(options);
        }
        let mut names = 0;
        for index in 0..headers.fields().len() {
            let field = headers.fields()[index];
            if field.id != Name::Connection {
                continue;
            }
            for option in elements(field.value.of(head)) {
                if option.eq_ignore_ascii_case(b"close") {
                    options.close = true;
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    options.keep_alive = true;
                } else if option.eq_ignore_ascii_case(b"upgrade") {
                    options.upgrade = true;
                } else if !option.is_empty() {
                    names += 1;
                    if names > headers.limit() {
                        return Err(HeadError::TooManyHeaders);
                    }
                    mark(head, headers, option);
                }
            }
        }
        Ok(options)
    }
}

fn mark(head: &[u8], headers: &mut Headers, name: &[u8]) {
    for field in headers.fields_mut() {
        field.named |= field.name.of(head).eq_ignore_ascii_case(name);
    }
}

/// Appends the names that the `Connection` fields of a head give, separated by commas, for
/// [`rewrite_trailers`](super::rewrite_trailers), which comes long after the head is gone. Options
/// that name no field of a trailer section are left out, so mostly this appends nothing.
pub fn connection_named(head: &[u8], headers: &Headers, out: &mut Vec<u8>) {
    for option in headers.values(head, Name::Connection).flat_map(elements) {
        let known = option.is_empty()
            || option.eq_ignore_ascii_case(b"close")
            || Name::classify(option) != Name::Other;
        if !known {
            if !out.is_empty() {
                out.push(b',');
            }
            out.extend_from_slice(option);
        }
    }
}
