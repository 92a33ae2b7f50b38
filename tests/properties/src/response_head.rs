//! A response head that is accepted is valid, and goes on valid, with all that it had to say.

use strict::{Reader, responses, values};
use tidegate::http::{
    Asked, BodyOut, Framing, HeadEnd, HeadError, HeadSearch, Headers, Method, ResponseHead,
    ResponseHop, Version, parse_response, rewrite_response,
};

use crate::choice;
use crate::fields::{Head, closed_up, others};

const LIMIT: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

/// What was asked, and whether by HTTP/1.0.
const ASKED: [(Asked<'_>, &str, bool); 4] = [
    (Asked { method: Method::Get, protocols: b"" }, "GET", false),
    (Asked { method: Method::Get, protocols: b"websocket, foo/2" }, "GET", false),
    (Asked { method: Method::Head, protocols: b"" }, "HEAD", false),
    (Asked { method: Method::Get, protocols: b"" }, "GET", true),
];

/// Checks it for `data`: a letter for what was asked, then what a backend sends.
///
/// # Panics
/// If it does not hold.
pub fn check(data: &[u8]) {
    let Some((choice, stream)) = choice(data, 4) else { return };
    let (asked, method, is_http10) = ASKED[usize::from(choice)];
    let Ok(Some(found)) = search(stream) else { return };
    assert_eq!(found.skip, 0);
    let bytes = &stream[..found.end];
    let mut headers = Headers::new(MAX_FIELDS);
    let Ok(parsed) = parse_response(bytes, &mut headers, asked) else { return };
    let closed = closed_up(bytes);
    let received = Head::read(&closed);
    assert!(received.faults.is_empty(), "{:?}", received.faults);
    judge_line(&received, &parsed);

    let body = match parsed.framing {
        Framing::None => BodyOut::None,
        Framing::Length(length) => BodyOut::Length(length),
        Framing::Chunked | Framing::UntilClose if is_http10 => BodyOut::UntilClose,
        Framing::Chunked | Framing::UntilClose => BodyOut::Chunked,
    };
    let hop = ResponseHop { body, close: stream.len() % 2 == 1, keep_alive_10: false, date: DATE };
    let mut out = Vec::new();
    rewrite_response(&mut out, bytes, &headers, &parsed, &hop);
    judge_sent(&out, &received, &parsed, (method, is_http10));
}

/// Looks for the end of a head; the verdict is the same however the stream was cut.
fn search(stream: &[u8]) -> Result<Option<HeadEnd>, HeadError> {
    let whole = HeadSearch::response().find(stream, LIMIT);
    for size in [1, 2, 3, 64] {
        let mut search = HeadSearch::response();
        let ends = (size..stream.len()).step_by(size).chain([stream.len()]);
        let mut verdicts = ends.map(|end| search.find(&stream[..end], LIMIT));
        let verdict = verdicts.find(|verdict| *verdict != Ok(None)).unwrap_or(Ok(None));
        assert_eq!(verdict, whole, "in pieces of {size}");
    }
    whole
}

/// `HTTP-version SP status-code [ SP reason-phrase ]`: the last space is often forgotten.
fn judge_line(received: &Head<'_>, parsed: &ResponseHead) {
    let rest = received.line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.split_first());
    let Some((minor, [b' ', rest @ ..])) = rest else { panic!("{}", received.line.escape_ascii()) };
    // Later minor versions are read as the last one known (RFC 9110 §2.5).
    assert_eq!(parsed.version == Version::Http10, *minor == b'0');
    assert!(minor.is_ascii_digit());
    let (digits, reason) = rest.split_at(3);
    assert_eq!(digits, parsed.status.to_string().as_bytes());
    assert!(reason.is_empty() || reason.starts_with(b" "));
}

fn judge_sent(
    out: &[u8],
    received: &Head<'_>,
    parsed: &ResponseHead,
    (method, is_http10): (&str, bool),
) {
    let methods = [method.as_bytes().to_vec()];
    let mut seen = responses(out, Reader { methods: &methods, ending: None, is_http10 });
    assert!(seen.faults.is_empty(), "{:?}: {}", seen.faults, out.escape_ascii());
    let is_interim = parsed.status < 200 && !parsed.upgrade;
    assert_eq!((seen.interims.len(), seen.finals.len()), if is_interim { (1, 0) } else { (0, 1) });
    let sent = seen.interims.pop().or(seen.finals.pop()).unwrap_or_default();
    assert_eq!(sent.status, Some(parsed.status));

    // The connection is ours to describe, and so is the framing.
    let is_chunked = sent.values("transfer-encoding") == [b"chunked"];
    let is_ours = |name: &[u8]| {
        name == b"content-length" || name == b"date" || name == b"trailer" && !is_chunked
    };
    let added = |name: &[u8]| {
        ["content-length", "date", "connection", "transfer-encoding", "upgrade"]
            .iter()
            .any(|ours| name == ours.as_bytes())
    };
    assert_eq!(others(&sent.fields, added), received.end_to_end(is_ours));
    let dates = values(&received.fields, "date");
    let made = vec![DATE; usize::from(dates.is_empty() && parsed.status >= 200)];
    assert_eq!(sent.values("date"), if dates.is_empty() { made } else { dates });
    let is_switch = matches!(parsed.status, 101 | 426);
    assert!(is_switch || sent.values("upgrade").is_empty());
}
