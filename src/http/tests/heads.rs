//! Where a head ends.

use super::*;

fn request_end(bytes: &[u8]) -> Result<Option<HeadEnd>, HeadError> {
    search(&HeadSearch::request(), bytes, LIMIT)
}

#[test]
fn a_head_ends_after_its_empty_line_and_not_before() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let found = Ok(Some(HeadEnd { skip: 0, end: head.len() }));
    assert_eq!(request_end(head), found);
    assert_eq!(request_end(&[head, b"body\r\n\r\n".as_slice()].concat()), found);
    assert_eq!(request_end(&[head, b"\n".as_slice()].concat()), found, "the next head's fault");
    for end in 0..head.len() {
        assert_eq!(request_end(&head[..end]), Ok(None));
    }
    assert_eq!(
        search(&HeadSearch::response(), b"HTTP/1.1 200 OK\r\n\r\nx\n", LIMIT),
        Ok(Some(HeadEnd { skip: 0, end: 19 }))
    );
}

#[test]
fn empty_lines_before_a_request_are_skipped_and_before_a_response_refused() {
    let bytes = b"\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    assert_eq!(request_end(bytes), Ok(Some(HeadEnd { skip: 4, end: bytes.len() })));
    assert_eq!(request_end(b"\r\n\r"), Ok(None));
    let refused = search(&HeadSearch::response(), b"\r\nHTTP/1.1 200 OK\r\n\r\n", LIMIT);
    assert_eq!(refused, Err(HeadError::BadStatusLine));
}

#[test]
fn what_can_begin_no_response_is_refused_before_the_end_of_a_line() {
    for bytes in [&b"\x15\x03\x01"[..], b"\0\0\x12\x04", b"SSH-2.0-x", b"hello", b"HTTX", b"\n"] {
        let verdict = search(&HeadSearch::response(), bytes, LIMIT);
        assert_eq!(verdict, Err(HeadError::BadStatusLine), "{bytes:?}");
    }
    for end in 0..=5 {
        assert_eq!(search(&HeadSearch::response(), &b"HTTP/"[..end], LIMIT), Ok(None));
    }
}

#[test]
fn a_bare_line_feed_is_refused_as_soon_as_it_is_seen() {
    for bytes in [
        "\n",
        "\r\n\n",
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        assert_eq!(request_end(bytes.as_bytes()), Err(HeadError::BareLineFeed), "{bytes:?}");
    }
    let response = b"HTTP/1.1 200 OK\nContent-Length: 4\n\n";
    let verdict = search(&HeadSearch::response(), response, LIMIT);
    assert_eq!(verdict, Err(HeadError::BareLineFeed));
}

#[test]
fn a_line_with_two_carriage_returns_at_its_end_is_refused_as_soon_as_it_is_seen() {
    for bytes in [
        "\r\r\n",
        "GET / HTTP/1.1\r\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
    ] {
        assert_eq!(request_end(bytes.as_bytes()), Err(HeadError::BareCarriageReturn), "{bytes:?}");
    }
}

#[test]
fn a_head_may_be_as_long_as_its_limit_and_no_longer() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let find = |limit| search(&HeadSearch::request(), head, limit);
    assert_eq!(find(head.len()), Ok(Some(HeadEnd { skip: 0, end: head.len() })));
    assert_eq!(find(head.len() - 1), Err(HeadError::HeadTooLarge));
    assert_eq!(find(16), Err(HeadError::HeadTooLarge), "the request line is whole");
    assert_eq!(find(15), Err(HeadError::UriTooLong));
    assert_eq!(find(0), Err(HeadError::UriTooLong));
    let long_line = [b"HTTP/".as_slice(), &[b'u'; 50]].concat();
    assert_eq!(search(&HeadSearch::request(), &long_line, 55), Err(HeadError::UriTooLong));
    assert_eq!(search(&HeadSearch::request(), &long_line, 56), Ok(None));
    assert_eq!(search(&HeadSearch::response(), &long_line, 55), Err(HeadError::HeadTooLarge));
    let preceded = [b"\r\n\r\n".as_slice(), head].concat();
    let verdict = search(&HeadSearch::request(), &preceded, head.len() + 3);
    assert_eq!(verdict, Err(HeadError::HeadTooLarge), "skipped lines count");
}

#[test]
fn heads_longer_than_spans_reach_are_refused() {
    let long = |bytes: usize, start: &str| {
        let start = format!("{start}\r\nHost: a\r\nX: ");
        let mut head = start.into_bytes();
        head.resize(bytes - 4, b'x');
        head.extend_from_slice(b"\r\n\r\n");
        head
    };
    let mut headers = Headers::new(100);
    let head = long(LONGEST_HEAD, "GET / HTTP/1.1");
    let parsed = parse_request(&head, &mut headers);
    assert!(parsed.is_ok());
    assert_eq!(headers.fields()[1].value.of(&head).len(), LONGEST_HEAD - 4 - 28);
    let parsed = parse_request(&long(LONGEST_HEAD + 1, "GET / HTTP/1.1"), &mut headers);
    assert_eq!(parsed, Err(HeadError::HeadTooLarge));
    let asked = Asked { method: Method::Get, protocols: b"" };
    let parsed = parse_response(&long(LONGEST_HEAD + 1, "HTTP/1.1 200 OK"), &mut headers, asked);
    assert_eq!(parsed, Err(HeadError::HeadTooLarge));
}
