//! Filters the trailer section of a chunked body. A careless backend may merge trailers into the
//! head that it has already acted upon, so no field that frames, routes, authenticates or otherwise
//! controls a message is forwarded (RFC 9110 §6.5.1).

use super::LONGEST_HEAD;
use super::error::HeadError;
use super::headers::Headers;
use super::list::{Names, elements};
use super::name::{Name, merges};
use super::wire::{self, CRLF};

/// Names that don't belong in a trailer section, in addition to those of every [`Name`].
const FORBIDDEN: [&[u8]; 20] = [
    b"age",
    b"cache-control",
    b"content-encoding",
    b"content-location",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expires",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"location",
    b"pragma",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"vary",
    b"warning",
];

/// Appends what may be forwarded of a trailer section, and the empty line that ends it. `raw` is
/// all that was [`Part::Trailer`](super::Part::Trailer), empty line included; `named` is what
/// [`connection_named`](super::connection_named) wrote for the head.
///
/// # Errors
/// A malformed field, or too many fields; then nothing is appended.
pub fn rewrite_trailers(
    out: &mut Vec<u8>,
    raw: &[u8],
    headers: &mut Headers,
    named: &[u8],
) -> Result<(), HeadError> {
    if raw.len() > LONGEST_HEAD {
        return Err(HeadError::HeadTooLarge);
    }
    headers.parse(raw, 0)?;
    let named = Names::new(elements(named).filter(|name| !name.is_empty()));
    let passed = headers.fields().iter().filter(|field| {
        let name = field.name.of(raw);
        field.id == Name::Other
            && !named.contains(name)
            && !FORBIDDEN.into_iter().any(|other| merges(name, other))
    });
    wire::copy(out, raw, 0, passed);
    out.extend_from_slice(CRLF);
    Ok(())
}
