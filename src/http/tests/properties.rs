//! What holds for any input: cuts change nothing, and what is accepted is forwarded in a form that
//! the judge reads the same way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// One of the alternatives that `list` separates by bars.
fn one_of(list: &'static str) -> impl Strategy<Value = &'static str> {
    prop::sample::select(list.split('|').collect::<Vec<_>>())
}

/// A field as a malicious or careless client may write it.
fn doubtful_field() -> impl Strategy<Value = String> {
    let name = one_of(
        "Host|Connection|Upgrade|Content-Length|Transfer-Encoding|Expect|X-A|Via|TE|Trailer|Cookie\
         |X-Forwarded-For|Max-Forwards|X A|content-length | X|",
    );
    let value = one_of(
        "a|5|0|05|+5|5, 5|chunked|CHUNKED|gzip|chunked, chunked|close|keep-alive|upgrade|websocket\
         |h2c, foo|x-a|content-length|host, transfer-encoding|100-continue|| |a b|\u{e9}|\0|a\rb",
    );
    let end = one_of("\r\n|\r\n|\r\n|\r\n| \r\n|\n|\r|\r\n ");
    (name, one_of(":|: |:\t| : "), value, end).prop_map(|(n, s, v, e)| format!("{n}{s}{v}{e}"))
}

fn doubtful_line() -> impl Strategy<Value = String> {
    let target = one_of("/|/a?b|*|http://b/x|http://b|http://u@b/|/#|b|/\u{e9}|");
    let method = one_of("GET|POST|HEAD|OPTIONS|G T|FROB");
    let version = one_of("HTTP/1.1|HTTP/1.1|HTTP/1.0|HTTP/1.2");
    (method, target, version).prop_map(|(m, t, v)| format!("{m} {t} {v}\r\n"))
}

fn any_request() -> impl Strategy<Value = String> {
    let start = one_of("GET / HTTP/1.1|POST /?x HTTP/1.1|OPTIONS http://b HTTP/1.1|GET / HTTP/1.0");
    let sound_line = start.prop_map(|start| format!("{start}\r\nHost: a\r\n"));
    let sound_field = one_of(
        "Connection: x-a, close|Connection: upgrade|Upgrade: websocket, h2c|Content-Length: 3\
         |Transfer-Encoding: chunked|Expect: 100-continue|X-A: b|X-B:\t\u{e9} |Via: 1.0 x\
         |Connection: host, transfer-encoding, content-length, upgrade|Max-Forwards: 3",
    )
    .prop_map(|field| format!("{field}\r\n"));
    let line = prop_oneof![3 => sound_line, 1 => doubtful_line()];
    let fields = vec(prop_oneof![6 => sound_field, 1 => doubtful_field()], 0..6);
    (line, fields).prop_map(|(line, fields)| format!("{line}{}\r\n", fields.concat()))
}

/// The body a framing asks for, as the judge must find it in what follows the head.
fn body_for(framing: Framing) -> (&'static [u8], &'static [u8]) {
    match framing {
        Framing::None | Framing::UntilClose | Framing::Length(0) => (b"", b""),
        Framing::Length(_) => (b"abcdefgh", b"abcdefgh"),
        Framing::Chunked => (b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
    }
}

/// Chunk extensions of every kind, as a regular expression.
const EXTENSION: &str = "(|;|;[a-z]{1,9}|[ \t]{1,3};x=\"[ -~]{0,9}\")";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_accepted_is_valid_before_and_after_and_means_the_same(text in any_request()) {
        let bytes = text.as_bytes();
        let mut found = HeadSearch::request();
        let Ok(Some(end)) = found.find(bytes, LIMIT) else { return Ok(()) };
        let bytes = &bytes[end.skip..end.end];
        let mut headers = Headers::new(100);
        let Ok(parsed) = parse_request(bytes, &mut headers) else { return Ok(()) };
        let (body, content) = body_for(parsed.framing);

        let received = judge::request(&[bytes, body].concat()).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&received.body, &content[..received.body.len()]);

        let hop = RequestHop { peer: "::1", default_host: "", close: false };
        let mut out = Vec::new();
        rewrite_request(&mut out, bytes, &headers, &parsed, &hop);
        let sent = judge::request(&[out.as_slice(), body].concat()).map_err(TestCaseError::fail)?;
        prop_assert_eq!(&sent.body, &received.body);
        prop_assert_eq!(&sent.start[0], &received.start[0]);
        for name in ["te", "keep-alive", "proxy-connection", "http2-settings"] {
            prop_assert!(sent.all(name).is_empty());
        }
        prop_assert!(sent.all("connection") == ["upgrade"] || sent.all("connection").is_empty());

        // A second pass changes nothing but what every hop adds.
        let again = parse_request(&out, &mut headers).map_err(|e| TestCaseError::fail(e.label()))?;
        prop_assert_eq!(again.framing, parsed.framing);
        let mut twice = Vec::new();
        rewrite_request(&mut twice, &out, &headers, &again, &hop);
        let whole = [twice.as_slice(), body].concat();
        let resent = judge::request(&whole).map_err(TestCaseError::fail)?;
        let lasting = |message: &judge::Message| {
            let per_hop = ["via", "x-forwarded-for", "max-forwards"];
            let mut fields = message.fields.clone();
            fields.retain(|(name, _)| !per_hop.contains(&name.as_str()));
            fields
        };
        prop_assert_eq!(lasting(&resent), lasting(&sent));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..200), cut in 0_usize..200) {
        let mut headers = Headers::new(10);
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\n".as_slice(), &bytes, b"\r\n\r\n"].concat();
        let _ = parse_request(&head, &mut headers);
        let _ = parse_request(&bytes, &mut headers);
        let asked = Asked { method: Method::Get, protocols: b"x" };
        let _ = parse_response(&bytes, &mut headers, asked);
        let status = [b"HTTP/1.1 200 ".as_slice(), &bytes].concat();
        let _ = parse_response(&status, &mut headers, asked);
        let _ = rewrite_trailers(&mut Vec::new(), &bytes, &mut headers, &bytes);
        let _ = HeadSearch::request().find(&bytes, cut);
    }

    #[test]
    fn a_chunked_body_is_the_same_however_it_is_cut(
        chunks in vec((vec(any::<u8>(), 1..40), 0_usize..4, EXTENSION), 0..9),
        trailers in "(|X-T: [a-z]{0,9}\r\n|X-T: v\r\nHost: evil\r\nX-U:\r\n)",
        mut cuts in vec(0_usize..1000, 0..12),
    ) {
        let mut stream = Vec::new();
        let mut content = Vec::new();
        for (data, zeros, extension) in &chunks {
            let size = format!("{}{:x}{extension}\r\n", "0".repeat(*zeros), data.len());
            stream.extend_from_slice(size.as_bytes());
            stream.extend_from_slice(data);
            stream.extend_from_slice(b"\r\n");
            content.extend_from_slice(data);
        }
        stream.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        let whole = forward(&[&stream])?;

        cuts.retain(|cut| *cut < stream.len());
        cuts.sort_unstable();
        cuts.push(stream.len());
        let mut from = 0;
        let mut pieces: Vec<&[u8]> = Vec::new();
        for cut in cuts {
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        prop_assert_eq!(&forward(&pieces)?, &whole);

        let (body, kept) = judge::chunked(&whole, &mut 0).map_err(TestCaseError::fail)?;
        prop_assert_eq!(body, content);
        prop_assert_eq!(kept.iter().any(|(name, _)| name == "x-t"), !trailers.is_empty());
        prop_assert!(kept.iter().all(|(name, _)| name != "host"));
        let has_extension = whole.contains(&b';');
        prop_assert!(!has_extension || chunks.iter().any(|(data, ..)| data.contains(&b';')));
    }

    #[test]
    fn any_bytes_get_the_same_verdict_however_they_are_cut(
        text in "[05a\r\n;x ]{0,4}(5\r\nhello\r\n|\r\n|0\r\n|X: y\r\n|\n|5;a\r\n){0,6}",
        cut in 0_usize..60,
    ) {
        let bytes = text.as_bytes();
        let cut = cut.min(bytes.len());
        let whole = forward(&[bytes]);
        prop_assert_eq!(forward(&[&bytes[..cut], &bytes[cut..]]).is_ok(), whole.is_ok());
        if let Ok(out) = whole {
            judge::chunked(&out, &mut 0).map_err(TestCaseError::fail)?;
        }
    }
}

/// What a proxy that keeps the body chunked sends on, given whole bodies in any pieces.
fn forward(pieces: &[&[u8]]) -> Result<Vec<u8>, TestCaseError> {
    let fail = |label: &'static str| TestCaseError::fail(label);
    let (mut chunks, mut out, mut trailer) = (Chunks::new(1000), Vec::new(), Vec::new());
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let (length, part) = chunks.next(rest).map_err(|error| fail(error.label()))?;
            match part {
                Part::Framing | Part::Data => out.extend_from_slice(&rest[..length]),
                Part::Trailer => trailer.extend_from_slice(&rest[..length]),
                Part::Discard => {}
                Part::End => break,
            }
            rest = &rest[length..];
        }
    }
    chunks.end_of_stream().map_err(|error| fail(error.label()))?;
    if !trailer.is_empty() {
        rewrite_trailers(&mut out, &trailer, &mut Headers::new(100), b"")
            .map_err(|error| fail(error.label()))?;
    }
    Ok(out)
}
