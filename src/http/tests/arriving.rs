//! Heads that are refused before they are complete, and heads that are not.

use super::*;

fn parse(head: &mut ArrivingHead, bytes: &[u8]) -> Result<bool, HeadError> {
    head.parse(bytes, LIMIT, &mut Headers::new(3)).map(|found| found.is_some())
}

/// After how many bytes of `bytes` it is refused, and for what.
fn refused(bytes: &[u8]) -> Option<(usize, HeadError)> {
    let mut head = ArrivingHead::default();
    (1..=bytes.len()).find_map(|end| {
        let verdict = parse(&mut head, &bytes[..end]);
        verdict.err().map(|error| {
            assert_eq!(head.of(&bytes[..end]).len(), end);
            (end, error)
        })
    })
}

#[test]
fn what_can_begin_no_request_is_refused_at_its_first_wrong_byte() {
    for (bytes, at) in [
        (&b"\x16\x03\x01\x02\0\x01"[..], 1),
        (b"\0", 1),
        (b" GET / HTTP/1.1\r\n", 1),
        (b"\x80", 1),
        (b"GE\0T / HTTP/1.1", 3),
        (b"GET\r\n", 4),
        (b"\rG", 1),
        (b"GET\t/ HTTP/1.1\r\n", 4),
    ] {
        assert_eq!(
            refused(bytes),
            Some((at, HeadError::BadRequestLine)),
            "{}",
            bytes.escape_ascii()
        );
    }
    assert_eq!(refused(b"\n"), Some((1, HeadError::BareLineFeed)));
    assert_eq!(refused(b"G\n"), Some((2, HeadError::BareLineFeed)));
}

#[test]
fn a_line_is_checked_as_soon_as_it_is_complete() {
    for (line, error) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", HeadError::BadRequestLine),
        ("EHLO mail.example.org\r\n", HeadError::BadRequestLine),
        ("GET /\r\n", HeadError::BadRequestLine),
        ("PRI * HTTP/2.0\r\n", HeadError::UnsupportedVersion),
        ("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", HeadError::BadVersion),
        ("TRACE / HTTP/1.1\r\n", HeadError::MethodNotAllowed),
        ("GET x HTTP/1.1\r\n", HeadError::BadTarget),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n", HeadError::FoldedField),
        ("GET / HTTP/1.1\r\nHost a\r\n", HeadError::BadField),
        ("GET / HTTP/1.1\r\nA: \0\r\n", HeadError::BadField),
        ("GET / HTTP/1.1\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\n", HeadError::TooManyHeaders),
    ] {
        let at = match error {
            // Neither method is invalid before its end.
            HeadError::BadRequestLine if !line.contains(' ') => line.len() - 1,
            _ => line.len(),
        };
        assert_eq!(refused(line.as_bytes()), Some((at, error)), "{line}");
    }
}

#[test]
fn the_first_fault_counts_however_the_bytes_are_cut() {
    for (bytes, error) in [
        ("G\0T / HTTP/1.1\r\nHost: a\n\r\n", HeadError::BadRequestLine),
        ("GET / HTTP/9.9\r\nHost: a\n\r\n", HeadError::UnsupportedVersion),
        ("GET / HTTP/1.1\r\nA b\r\nC: d\n\r\n", HeadError::BadField),
        ("GET / HTTP/1.1\r\nA: b\nC d\r\n\r\n", HeadError::BareLineFeed),
        ("GET / HTTP/1.1\r\nA b\r\n\r\n", HeadError::BadField),
        ("GET / HTTP/1.1\r\nA: b\r\n\r\n", HeadError::MissingHost),
    ] {
        let mut whole = ArrivingHead::default();
        assert_eq!(parse(&mut whole, bytes.as_bytes()), Err(error), "{bytes}");
        let (at, cut) = refused(bytes.as_bytes()).expect("a refusal");
        assert_eq!((at, cut), (whole.of(bytes.as_bytes()).len(), error), "{bytes}");
    }
}

#[test]
fn a_valid_head_is_never_refused() {
    let head = b"M-SEARCH http://a:1/b?c HTTP/1.0\r\nA:\r\nb-c: \td\x80 \r\nHost: a:1\r\n\r\n";
    let mut arriving = ArrivingHead::default();
    for end in 1..head.len() {
        assert_eq!(parse(&mut arriving, &head[..end]), Ok(false));
    }
    assert_eq!(parse(&mut arriving, head), Ok(true));
}

#[test]
fn empty_lines_are_accepted_up_to_the_limit() {
    let lines = b"\r\n".repeat(MAX_EMPTY_LINES + 1);
    let most = &lines[2..];
    let mut head = ArrivingHead::default();
    assert_eq!(head.skip_empty_lines(most), Ok(most.len()));
    assert_eq!(head.skip_empty_lines(b"\r"), Ok(0));
    assert_eq!(head.skip_empty_lines(b"\r\nGET"), Err(HeadError::TooManyEmptyLines));
    assert_eq!(ArrivingHead::default().skip_empty_lines(&lines), Err(HeadError::TooManyEmptyLines));
    let mut head = ArrivingHead::default();
    assert_eq!(head.skip_empty_lines(b"\r\n\r\nGET / \r\n"), Ok(4));
    assert!(!ArrivingHead::is_begun(b"\r") && ArrivingHead::is_begun(b"\rx"));
}
