//! A body is framed as RFC 9112 §6.3 says, and a head that leaves that in doubt is refused.

use strict::{Faults, Field, Length, values};
use tidegate::http::{
    Asked, Framing, HeadError, HeadSearch, Headers, Method, parse_request, parse_response,
};

use crate::choice;
use crate::fields::{Head, closed_up};

const LIMIT: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;

/// The longest body that is accepted.
const LONGEST: u64 = i64::MAX as u64;

/// First lines, and what they say.
const REQUESTS: [(&str, bool); 3] =
    [("GET / HTTP/1.1", false), ("POST / HTTP/1.1", false), ("POST / HTTP/1.0", true)];

/// First lines, what they say, and what they answer.
const RESPONSES: [(&str, bool, u16, Method); 7] = [
    ("HTTP/1.1 200 OK", false, 200, Method::Get),
    ("HTTP/1.1 200 OK", false, 200, Method::Head),
    ("HTTP/1.0 200 OK", true, 200, Method::Get),
    ("HTTP/1.1 204 No Content", false, 204, Method::Get),
    ("HTTP/1.1 304 Not Modified", false, 304, Method::Get),
    ("HTTP/1.1 103 Early Hints", false, 103, Method::Get),
    ("HTTP/1.1 999 Odd", false, 999, Method::Post),
];

/// Checks it for `data`: a letter for the first line, then field lines.
///
/// # Panics
/// If it does not hold.
pub fn check(data: &[u8]) {
    let Some((choice, lines)) = choice(data, 10) else { return };
    let index = usize::from(choice);
    match index.checked_sub(REQUESTS.len()) {
        None => request(REQUESTS[index], lines),
        Some(index) => response(RESPONSES[index], lines),
    }
}

fn request((line, is_http10): (&str, bool), lines: &[u8]) {
    let bytes = [line.as_bytes(), b"\r\nHost: a\r\n", lines, b"\r\n\r\n"].concat();
    let Ok(Some(found)) = HeadSearch::request().find(&bytes, LIMIT) else { return };
    let bytes = &bytes[found.skip..found.end];
    let head = Head::read(bytes);
    let parsed = parse_request(bytes, &mut Headers::new(MAX_FIELDS));
    compare(of_request(is_http10, &head), parsed.map(|parsed| parsed.framing));
}

fn response(line: (&str, bool, u16, Method), lines: &[u8]) {
    let (line, is_http10, status, method) = line;
    let bytes = [line.as_bytes(), b"\r\n", lines, b"\r\n\r\n"].concat();
    let Ok(Some(found)) = HeadSearch::response().find(&bytes, LIMIT) else { return };
    let bytes = &bytes[..found.end];
    let closed = closed_up(bytes);
    let head = Head::read(&closed);
    let asked = Asked { method, protocols: b"" };
    let parsed = parse_response(bytes, &mut Headers::new(MAX_FIELDS), asked);
    compare(of_response(is_http10, status, method, &head), parsed.map(|parsed| parsed.framing));
}

/// `expected` is none if the head must be refused.
fn compare(expected: Option<Framing>, parsed: Result<Framing, HeadError>) {
    match parsed {
        Err(HeadError::TooManyHeaders) => {}
        Err(error) => assert_eq!(expected, None, "{error:?}"),
        Ok(framing) => assert_eq!(expected, Some(framing)),
    }
}

/// The steps of RFC 9112 §6.3 that are about requests.
fn of_request(is_http10: bool, head: &Head<'_>) -> Option<Framing> {
    let mut faults = head.faults.clone();
    let framing = strict::Framing::of(&head.fields, &mut faults);
    if !faults.is_empty() || values(&head.fields, "host").len() != 1 {
        return None;
    }
    if !framing.codings.is_empty() {
        let is_known = framing.codings == [b"chunked"];
        return (is_known && !is_http10).then_some(Framing::Chunked);
    }
    match framing.length {
        Length::Absent => Some(Framing::None),
        Length::Is(length) if length <= LONGEST => Some(Framing::Length(length)),
        Length::Is(_) | Length::Invalid => None,
    }
}

/// The steps of RFC 9112 §6.3 that are about responses. What a head says that can't have a body is
/// not believed, a length that is repeated is one length.
fn of_response(is_http10: bool, status: u16, method: Method, head: &Head<'_>) -> Option<Framing> {
    if !head.faults.is_empty() {
        return None;
    }
    if status < 200 || status == 204 {
        return Some(Framing::None);
    }
    let mut faults = Faults::new();
    let framing = strict::Framing::of(&once(&head.fields)?, &mut faults);
    if !faults.is_empty() {
        return None;
    }
    let framing = match (framing.codings.as_slice(), framing.length) {
        ([], Length::Absent) => Framing::UntilClose,
        ([], Length::Is(length)) if length <= LONGEST => Framing::Length(length),
        ([coding], Length::Absent) if coding == b"chunked" && !is_http10 => Framing::Chunked,
        _ => return None,
    };
    let has_body = method != Method::Head && status != 304;
    Some(if has_body { framing } else { Framing::None })
}

/// The fields with one `Content-Length` for all that give the same number; none if they differ.
fn once(fields: &[Field]) -> Option<Vec<Field>> {
    let (lengths, mut others): (Vec<Field>, Vec<Field>) =
        fields.iter().cloned().partition(|field| field.name == b"content-length");
    let elements: Vec<&[u8]> =
        lengths.iter().flat_map(|field| field.value.split(|byte| *byte == b',')).collect();
    let number = |text: &&[u8]| {
        let digits = str::from_utf8(text.trim_ascii()).ok()?;
        // Rust takes a sign, the grammar doesn't.
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u64>().ok().filter(|_| is_plain)
    };
    if let [first, rest @ ..] = elements.as_slice() {
        if rest.iter().any(|other| number(other) != number(first)) {
            return None;
        }
        others.push(Field { name: b"content-length".to_vec(), value: first.trim_ascii().to_vec() });
    }
    Some(others)
}
