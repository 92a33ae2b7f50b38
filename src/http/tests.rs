//! The module's specification: tables of byte strings and verdicts. Every head is parsed whole,
//! byte by byte and cut at every place, and everything written is checked by the crate `strict`.
//! What holds for any bytes is in the crate `properties`.

mod arriving;
mod bodies;
mod framing;
mod heads;
mod requests;
mod responses;
mod rewritten_requests;
mod rewritten_responses;
mod trailers;

use super::*;

const LIMIT: usize = 16 * 1024;
const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// Searches for a head in one piece, in two pieces cut anywhere, and byte by byte; the verdict
/// must not depend on it.
fn search(start: &HeadSearch, bytes: &[u8], limit: usize) -> Result<Option<HeadEnd>, HeadError> {
    let whole = start.clone().find(bytes, limit);
    for cut in 0..bytes.len() {
        let mut search = start.clone();
        let early = search.find(&bytes[..cut], limit);
        let verdict = if early == Ok(None) { search.find(bytes, limit) } else { early };
        assert_eq!(verdict, whole, "cut at {cut}: {}", bytes.escape_ascii());
    }
    let mut search = start.clone();
    let mut verdict = Ok(None);
    for end in 0..=bytes.len() {
        verdict = search.find(&bytes[..end], limit);
        if verdict != Ok(None) {
            break;
        }
    }
    assert_eq!(verdict, whole, "byte by byte: {}", bytes.escape_ascii());
    whole
}

/// A parsed head, with the bytes that its spans point into.
#[derive(Debug)]
struct Parsed<H> {
    bytes: Vec<u8>,
    head: H,
    headers: Headers,
}

impl<H> Parsed<H> {
    fn text(&self, span: Span) -> &str {
        str::from_utf8(span.of(&self.bytes)).unwrap()
    }
}

fn request(bytes: impl AsRef<[u8]>) -> Result<Parsed<RequestHead>, HeadError> {
    let bytes = bytes.as_ref();
    let end = search(&HeadSearch::request(), bytes, LIMIT)?.expect("the test gives a whole head");
    let bytes = bytes[end.skip..end.end].to_vec();
    let mut headers = Headers::new(100);
    parse_request(&bytes, &mut headers).map(|head| Parsed { bytes, head, headers })
}

/// A request that must be refused for this reason.
#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, error: HeadError) {
    let bytes = bytes.as_ref();
    assert_eq!(request(bytes).map(|p| p.head), Err(error), "{}", bytes.escape_ascii());
}

/// The error for malformed field lines: a line that begins with a blank continues another.
fn malformed(lines: &str) -> HeadError {
    let continues = |line: &str| line.starts_with([' ', '\t']);
    let is_folded = lines.split('\n').any(continues);
    if is_folded { HeadError::FoldedField } else { HeadError::BadField }
}

/// A request that must be accepted.
#[track_caller]
fn accepted(bytes: impl AsRef<[u8]>) -> Parsed<RequestHead> {
    let bytes = bytes.as_ref();
    request(bytes).unwrap_or_else(|error| panic!("{error:?}: {}", bytes.escape_ascii()))
}

/// A response to `GET`.
fn response(bytes: impl AsRef<[u8]>) -> Result<Parsed<ResponseHead>, HeadError> {
    response_to(Asked { method: Method::Get, protocols: b"" }, bytes)
}

fn response_to(
    asked: Asked<'_>,
    bytes: impl AsRef<[u8]>,
) -> Result<Parsed<ResponseHead>, HeadError> {
    let bytes = bytes.as_ref();
    let end = search(&HeadSearch::response(), bytes, LIMIT)?.expect("the test gives a whole head");
    let bytes = bytes[..end.end].to_vec();
    let mut headers = Headers::new(100);
    parse_response(&bytes, &mut headers, asked).map(|head| Parsed { bytes, head, headers })
}

/// A `GET` with these lines after its `Host`, each without its end.
fn with(lines: &str) -> String {
    head("GET / HTTP/1.1", &format!("Host: a\n{lines}"))
}

/// A head of a start line and field lines that are separated by `\n`.
fn head(start: &str, lines: &str) -> String {
    let fields: String = lines.split_terminator('\n').flat_map(|line| [line, "\r\n"]).collect();
    format!("{start}\r\n{fields}\r\n")
}
