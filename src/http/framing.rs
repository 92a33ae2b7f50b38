//! How long a body is. Two parsers that disagree about it make request smuggling possible.

use super::Version;
use super::error::HeadError;
use super::headers::Headers;
use super::list::{elements, is_token};
use super::method::Method;
use super::name::Name;

/// What delimits a message's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, and no field describes one.
    None,
    /// A body of so many bytes, possibly none.
    Length(u64),
    /// A body in chunks; see [`Chunks`](super::Chunks).
    Chunked,
    /// A response body that ends with the connection.
    UntilClose,
}

/// Longest body accepted, in bytes, so that sums of lengths don't overflow.
pub(super) const LONGEST_BODY: u64 = i64::MAX as u64;

/// Framing of a request body: the numbered steps of RFC 9112 §6.3, strictly interpreted.
pub(super) fn of_request(
    version: Version,
    head: &[u8],
    headers: &Headers,
) -> Result<Framing, HeadError> {
    // Steps 1 and 2 concern responses.
    // Step 3: both fields are treated as an attempt at smuggling.
    // Step 4: chunked must be the final coding, and is the only one supported.
    if let Some(framing) = coded(version, head, headers)? {
        return Ok(framing);
    }
    // Step 5: an invalid length is an error, and so is a repeated one.
    // Step 6: a valid length delimits the body.
    // Step 7: neither field, no body. (Step 8 concerns responses.)
    match length(head, headers)? {
        None => Ok(Framing::None),
        Some(Repeated(length, 1)) => Ok(Framing::Length(length)),
        Some(_) => Err(HeadError::DuplicateLength),
    }
}

/// Framing of a response body, and the length that its head describes, which an answer to `HEAD`
/// has without a body: the numbered steps of RFC 9112 §6.3.
pub(super) fn of_response(
    version: Version,
    status: u16,
    request: Method,
    head: &[u8],
    headers: &Headers,
) -> Result<(Framing, Option<u64>), HeadError> {
    // Step 1, first half: what can't have a body can't have a length either (RFC 9110 §8.6), so
    // these fields are removed without being parsed.
    if matches!(status, 100..=199 | 204) {
        return Ok((Framing::None, None));
    }
    // Step 2 is about CONNECT, which is refused here.
    // Steps 3 and 4: as in requests; an unknown coding could only be forwarded unchecked.
    let coded = coded(version, head, headers)?;
    // Steps 5 and 6: the same length twice from a backend is one length.
    let length = length(head, headers)?.map(|Repeated(length, _)| length);
    // Step 1, second half: no body, whatever the fields describe.
    if request == Method::Head || status == 304 {
        return Ok((Framing::None, length));
    }
    // Step 7 concerns requests. Step 8: neither field, so the end of the connection is the end.
    let framing = coded.or(length.map(Framing::Length)).unwrap_or(Framing::UntilClose);
    Ok((framing, length))
}

/// The framing that `Transfer-Encoding` gives, if there is one: `chunked`, exactly once, alone.
fn coded(version: Version, head: &[u8], headers: &Headers) -> Result<Option<Framing>, HeadError> {
    if !headers.has(Name::TransferEncoding) {
        return Ok(None);
    }
    if headers.has(Name::ContentLength) {
        return Err(HeadError::LengthAndCoding);
    }
    if version == Version::Http10 {
        return Err(HeadError::CodingInHttp10);
    }
    let mut chunked_is_last = false;
    let mut others = 0;
    for coding in headers.values(head, Name::TransferEncoding).flat_map(elements) {
        if chunked_is_last || !is_token(coding) {
            return Err(HeadError::BadCoding);
        }
        chunked_is_last = coding.eq_ignore_ascii_case(b"chunked");
        others += u32::from(!chunked_is_last);
    }
    if others > 0 { Err(HeadError::UnknownCoding) } else { Ok(Some(Framing::Chunked)) }
}

/// A length and how often it occurs.
struct Repeated(u64, u32);

/// The length that all elements of all `Content-Length` fields agree upon.
fn length(head: &[u8], headers: &Headers) -> Result<Option<Repeated>, HeadError> {
    let mut agreed = None;
    for value in headers.values(head, Name::ContentLength) {
        for element in elements(value) {
            let length = decimal(element).filter(|length| *length <= LONGEST_BODY);
            let length = length.ok_or(HeadError::BadLength)?;
            agreed = match agreed {
                None => Some(Repeated(length, 1)),
                Some(Repeated(same, times)) if same == length => Some(Repeated(same, times + 1)),
                Some(_) => return Err(HeadError::BadLength),
            };
        }
    }
    Ok(agreed)
}

/// `1*DIGIT` as a number, unless it is larger than one can be.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
