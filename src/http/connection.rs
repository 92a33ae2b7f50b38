//! What a head says about the connection that it came on: the `Connection` field with the fields
//! that it names (RFC 9110 §7.6.1), and authentication that applies to the connection.

use super::error::HeadError;
use super::headers::Headers;
use super::list::{Names, elements, is_blank};
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
    /// [`HeadError::TooManyHeaders`] for more names than a head may have fields.
    pub(super) fn read(head: &[u8], headers: &mut Headers) -> Result<Options, HeadError> {
        let mut options = Options::default();
        if !headers.has(Name::Connection) {
            return Ok(options);
        }
        let mut names = Vec::new();
        for option in headers.values(head, Name::Connection).flat_map(elements) {
            if option.eq_ignore_ascii_case(b"close") {
                options.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                options.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                options.upgrade = true;
            } else if !option.is_empty() {
                if names.len() == headers.limit() {
                    return Err(HeadError::TooManyHeaders);
                }
                names.push(option);
            }
        }
        if !names.is_empty() {
            let names = Names::new(names);
            for field in headers.fields_mut() {
                field.named = names.contains(field.name.of(head));
            }
        }
        Ok(options)
    }
}

/// Schemes that authenticate a connection and not each request (RFC 4559 §6). RFC 9110 §11.1 has no
/// such scheme, but servers use them.
const CONNECTION_SCHEMES: [&[u8]; 3] = [b"negotiate", b"ntlm", b"nego2"];

/// Whether the credentials or challenges in a field are of a scheme that authenticates the
/// connection, so that no other client may use it. `id` is [`Name::Authorization`] or
/// [`Name::WwwAuthenticate`].
#[must_use]
pub fn authenticates_connection(head: &[u8], headers: &Headers, id: Name) -> bool {
    let is_known = |challenge: &[u8]| {
        let scheme = challenge.split(|byte| is_blank(*byte)).next().unwrap_or_default();
        CONNECTION_SCHEMES.into_iter().any(|known| scheme.eq_ignore_ascii_case(known))
    };
    headers.has(id) && headers.values(head, id).flat_map(elements).any(is_known)
}

/// The hops that `X-Forwarded-For` lists, in their order; some may be empty.
#[must_use]
pub fn forwarded_for<'a>(
    head: &'a [u8],
    headers: &'a Headers,
) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    headers.values(head, Name::XForwardedFor).flat_map(elements)
}

/// Appends the names in the `Connection` fields of a head, separated by commas, for
/// [`rewrite_trailers`](super::rewrite_trailers), which is called long after the head is dropped.
/// Options that name no field of a trailer section are left out, so mostly this appends nothing.
pub fn connection_named(head: &[u8], headers: &Headers, out: &mut Vec<u8>) {
    if !headers.has(Name::Connection) {
        return;
    }
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
