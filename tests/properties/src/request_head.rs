//! A request head that is accepted is valid, and goes on valid, with all that it had to say.

use strict::{Request, request, requests, values};
use tidegate::http::{
    ArrivingHead, Framing, HeadEnd, HeadError, HeadSearch, Headers, RequestHead, RequestHop,
    Version, parse_request, rewrite_request,
};

use crate::choice;
use crate::fields::{Head, others};

const LIMIT: usize = 16 * 1024;
const MAX_FIELDS: usize = 100;

/// Fields that each hop writes anew.
const OURS: [&str; 7] = [
    "host",
    "content-length",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "connection",
];

/// Checks it for `data`: a letter for the connection, then what a client sends.
///
/// # Panics
/// If it does not hold.
pub fn check(data: &[u8]) {
    let Some((choice, stream)) = choice(data, 2) else { return };
    arrives(stream);
    let Ok(Some(found)) = search(stream) else { return };
    let bytes = &stream[found.skip..found.end];
    let mut headers = Headers::new(MAX_FIELDS);
    let Ok(parsed) = parse_request(bytes, &mut headers) else { return };
    let hop = RequestHop {
        peer: Some(b"::1"),
        pseudonym: "tidegate",
        is_trusted: choice == 1,
        default_host: "b:1",
        close: choice == 1,
    };
    let mut out = Vec::new();
    rewrite_request(&mut out, bytes, &headers, &parsed, &hop);

    let received = Head::read(bytes);
    assert!(received.faults.is_empty(), "{:?}", received.faults);
    let [sent] = requests(&out).try_into().unwrap_or_else(|_| panic!("{}", out.escape_ascii()));
    assert!(sent.has_head && sent.faults.is_empty(), "{:?}", sent.faults);
    judge_line(&received, &parsed, &sent);
    judge_fields(&received, &parsed, &sent, &hop);

    passes_again(&out, &parsed, &sent, &hop);
}

/// A second pass changes nothing but what every hop adds.
fn passes_again(head: &[u8], before: &RequestHead, sent: &Request, hop: &RequestHop<'_>) {
    // With what a hop adds there may be more fields than a head may have.
    let mut headers = Headers::new(MAX_FIELDS + OURS.len());
    let parsed = parse_request(head, &mut headers);
    let parsed = parsed.unwrap_or_else(|error| panic!("{error:?}: {}", head.escape_ascii()));
    assert_eq!((parsed.framing, parsed.method), (before.framing, before.method));
    let mut out = Vec::new();
    rewrite_request(&mut out, head, &headers, &parsed, hop);
    let (again, _) = request(&out, 0);
    // The host that the first hop made up is one that the second was told.
    let per_hop = ["via", "x-forwarded-for", "x-forwarded-host", "max-forwards"];
    let is_per_hop = |name: &[u8]| per_hop.iter().any(|own| name == own.as_bytes());
    assert_eq!(others(&again.fields, is_per_hop), others(&sent.fields, is_per_hop));
}

/// Looks for the end of a head; the verdict is the same however the stream was cut.
fn search(stream: &[u8]) -> Result<Option<HeadEnd>, HeadError> {
    let whole = HeadSearch::request().find(stream, LIMIT);
    for size in [1, 2, 3, 64] {
        let mut search = HeadSearch::request();
        let ends = (size..stream.len()).step_by(size).chain([stream.len()]);
        let mut verdicts = ends.map(|end| search.find(&stream[..end], LIMIT));
        let verdict = verdicts.find(|verdict| *verdict != Ok(None)).unwrap_or(Ok(None));
        assert_eq!(verdict, whole, "in pieces of {size}");
    }
    whole
}

/// What arrives is accepted or refused alike, and named alike, however the stream was cut; and what
/// is valid when it is whole was never refused before.
fn arrives(stream: &[u8]) {
    let mut headers = Headers::new(MAX_FIELDS);
    let mut whole = ArrivingHead::default();
    let Ok(skipped) = whole.skip_empty_lines(stream) else { return };
    let bytes = &stream[skipped..];
    if !ArrivingHead::is_begun(bytes) {
        return;
    }
    let verdict = whole.parse(bytes, LIMIT, &mut headers);
    for size in [1, 2, 3, 64] {
        let mut head = ArrivingHead::default();
        let ends = (size..bytes.len()).step_by(size).chain([bytes.len()]);
        let mut verdicts = ends
            .filter(|end| ArrivingHead::is_begun(&bytes[..*end]))
            .map(|end| (head.parse(&bytes[..end], LIMIT, &mut headers), end));
        let last = verdicts.find(|(verdict, end)| *verdict != Ok(None) || *end == bytes.len());
        let (cut, end) = last.unwrap_or((Ok(None), bytes.len()));
        assert_eq!(cut, verdict, "in pieces of {size}: {}", bytes.escape_ascii());
        assert_eq!(head.of(&bytes[..end]).is_empty(), whole.of(bytes).is_empty());
        if cut.is_err() {
            assert_eq!(head.of(&bytes[..end]), whole.of(bytes), "in pieces of {size}");
        }
    }
    let Ok(found) = HeadSearch::request().find(bytes, LIMIT) else {
        return assert!(verdict.is_err());
    };
    if let Some(found) = found {
        match parse_request(&bytes[..found.end], &mut headers) {
            Ok(request) => assert_eq!(verdict, Ok(Some((found.end, request)))),
            Err(_) => assert!(verdict.is_err()),
        }
    }
}

/// The method goes on as it is, the target in origin-form (RFC 9112 §3.2).
fn judge_line(received: &Head<'_>, parsed: &RequestHead, sent: &Request) {
    let words: Vec<&[u8]> = received.line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { panic!("{words:?}") };
    // Later minor versions are read as the last one known (RFC 9110 §2.5).
    let Some([minor]) = version.strip_prefix(b"HTTP/1.") else { panic!("{version:?}") };
    assert_eq!(parsed.version == Version::Http10, *minor == b'0');
    assert!(minor.is_ascii_digit());
    assert_eq!(sent.method, *method);
    let (mut path, mut host) = (target.to_vec(), values(&received.fields, "host").concat());
    if let Some(rest) = target.get(7..).filter(|_| target[0] != b'/' && target[0] != b'*') {
        assert!(target[..7].eq_ignore_ascii_case(b"http://"));
        let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
        (host, path) = (rest[..end].to_vec(), rest[end..].to_vec());
        if path.is_empty() && *method == b"OPTIONS" {
            path = b"*".to_vec();
        } else if !path.starts_with(b"/") {
            path.insert(0, b'/');
        }
    }
    if host.is_empty() {
        host = b"b:1".to_vec();
    }
    assert_eq!((&sent.target, sent.values("host")), (&path, vec![host.as_slice()]));
}

/// Every end-to-end field goes on as it is and in its place, and only what a hop has to say is
/// added.
fn judge_fields(received: &Head<'_>, parsed: &RequestHead, sent: &Request, hop: &RequestHop<'_>) {
    let is_ours = |name: &[u8]| {
        let stays_behind = match name {
            b"forwarded" => !hop.is_trusted,
            b"expect" => parsed.version == Version::Http10,
            b"trailer" => parsed.framing != Framing::Chunked,
            b"max-forwards" => parsed.max_forwards.is_some(),
            _ => false,
        };
        stays_behind || OURS.iter().any(|ours| name == ours.as_bytes())
    };
    let added = |name: &[u8]| {
        OURS.iter().chain(&["transfer-encoding", "upgrade"]).any(|ours| name == ours.as_bytes())
            || name == b"max-forwards" && parsed.max_forwards.is_some()
    };
    assert_eq!(others(&sent.fields, added), received.end_to_end(is_ours));
    let ending = |name, end: &[u8]| {
        let lines = sent.values(name);
        assert!(lines.len() == 1 && lines[0].ends_with(end), "{name}: {lines:?}");
        for value in values(&received.fields, name) {
            assert!(strict_contains(lines[0], value), "{name} lost a value");
        }
    };
    // What the client spoke, as it said it (RFC 9110 §7.6.3).
    let minor = &received.line[received.line.len() - 1..];
    ending("via", &[b"1.", minor, b" tidegate"].concat());
    if hop.is_trusted {
        ending("x-forwarded-for", b"::1");
    } else {
        assert_eq!(sent.values("x-forwarded-for"), [b"::1"]);
    }
    let told = |name| values(&received.fields, name);
    match told("x-forwarded-proto") {
        told if hop.is_trusted && !told.is_empty() => {
            assert_eq!(sent.values("x-forwarded-proto"), told);
        }
        _ => assert_eq!(sent.values("x-forwarded-proto"), [b"http"]),
    }
    if hop.is_trusted && !told("x-forwarded-host").is_empty() {
        assert_eq!(sent.values("x-forwarded-host"), told("x-forwarded-host"));
    } else {
        assert!(sent.values("x-forwarded-host").len() <= 1);
    }
    match parsed.framing {
        Framing::Length(length) => {
            assert_eq!(sent.values("content-length"), [length.to_string().as_bytes()]);
        }
        Framing::Chunked => assert_eq!(sent.values("transfer-encoding"), [b"chunked"]),
        Framing::None => {
            assert!(sent.values("content-length").is_empty());
            assert!(sent.values("transfer-encoding").is_empty());
        }
        Framing::UntilClose => panic!("a request can't end with its connection"),
    }
    assert_eq!(parsed.upgrade, !sent.values("upgrade").is_empty());
}

fn strict_contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}
