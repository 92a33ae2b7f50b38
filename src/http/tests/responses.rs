//! Which responses are accepted, and how they are parsed.

use super::*;

#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, error: HeadError) {
    let bytes = bytes.as_ref();
    assert_eq!(response(bytes).map(|p| p.head), Err(error), "{}", bytes.escape_ascii());
}

#[track_caller]
fn accepted(bytes: impl AsRef<[u8]>) -> ResponseHead {
    let bytes = bytes.as_ref();
    response(bytes).unwrap_or_else(|error| panic!("{error:?}: {}", bytes.escape_ascii())).head
}

fn ok(lines: &str) -> String {
    head("HTTP/1.1 200 OK", lines)
}

#[test]
fn status_lines() {
    for (line, status, reason) in [
        ("HTTP/1.1 200 OK", 200, "OK"),
        ("HTTP/1.1 200 ", 200, ""),
        ("HTTP/1.1 200", 200, ""),
        ("HTTP/1.0 404 Not  Found ", 404, "Not  Found "),
        ("HTTP/1.1 999 \u{e9}\t!", 999, "\u{e9}\t!"),
        ("HTTP/1.1 100 ", 100, ""),
        ("HTTP/1.2 200 OK", 200, "OK"),
    ] {
        let parsed = response(head(line, "Content-Length: 0")).unwrap();
        assert_eq!((parsed.head.status, parsed.text(parsed.head.reason)), (status, reason));
    }
    for line in [
        "garbage garbage",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1 20",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 20x OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1\t200 OK",
        "HTTP/1.1 200\tOK",
        "HTTP/1.1 200OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.10 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\u{1}K",
        "HTTP/1.1 200 O\u{7f}K",
        "HTTP/1.1 200 O\rK",
        "200 OK",
    ] {
        refused(head(line, ""), HeadError::BadStatusLine);
    }
    for line in ["HTTP/2.0 200 OK", "HTTP/0.9 200 OK"] {
        refused(head(line, ""), HeadError::UnsupportedVersion);
    }
    refused(head("HTTP/x.1 200 OK", ""), HeadError::BadVersion);
    for line in ["http/1.1 200 OK", "HTCPCP10 200 OK", "HTCPCP/1.0 200 OK"] {
        refused(head(line, ""), HeadError::BadStatusLine);
    }
}

#[test]
fn malformed_fields_are_refused() {
    for lines in [
        "X-A: b\0c",
        "X-A: b\rX-E: c",
        "NoColonHere",
        "X-A: b\n c",
        " X-A: b",
        "X A: b",
        ": b",
        " : b",
        "X(A) : b",
        "X\u{c} : b",
        "X-A : b\0c",
        "X-A : b\rX-E: c",
        "X-A : b\nNoColonHere",
        "X-A : b\n c",
    ] {
        refused(ok(&format!("{lines}\nContent-Length: 4")), malformed(lines));
    }
    refused(ok(&"X: y\n".repeat(101)), HeadError::TooManyHeaders);
    refused(ok(&"X : y\n".repeat(101)), HeadError::TooManyHeaders);
}

#[test]
fn space_before_a_colon_is_accepted_and_changes_nothing() {
    let lines = "X-A: b\nContent-Length \t:\t4 \nX-B : c: d\nX-C:";
    let spaced = response(ok(lines)).unwrap();
    let told: Vec<_> = spaced
        .headers
        .fields()
        .iter()
        .map(|field| (spaced.text(field.name), spaced.text(field.value)))
        .collect();
    let fields = [("X-A", "b"), ("Content-Length", "4"), ("X-B", "c: d"), ("X-C", "")];
    assert_eq!(told, fields);
    assert_eq!(spaced.head.framing, Framing::Length(4));
    let both = "Transfer-Encoding : chunked\nContent-Length: 4";
    refused(ok(both), HeadError::LengthAndCoding);
}

#[test]
fn framing_follows_the_fields() {
    for (lines, framing, length) in [
        ("", Framing::UntilClose, None),
        ("Content-Length: 0", Framing::Length(0), Some(0)),
        ("Content-Length: 5", Framing::Length(5), Some(5)),
        ("Content-Length: 5\nContent-Length: 5", Framing::Length(5), Some(5)),
        ("Content-Length: 5, 05", Framing::Length(5), Some(5)),
        ("Transfer-Encoding: Chunked", Framing::Chunked, None),
    ] {
        let head = accepted(ok(lines));
        assert_eq!((head.framing, head.length), (framing, length), "{lines}");
    }
    for value in ["+5", "abc", "-1", "", "5,", "5, 6", "6, 5", "5 6", "9223372036854775808"] {
        refused(ok(&format!("Content-Length: {value}")), HeadError::BadLength);
    }
    refused(ok("Content-Length: 5\nContent-Length: 6"), HeadError::BadLength);
    refused(ok("Content-Length: 5\nTransfer-Encoding: chunked"), HeadError::LengthAndCoding);
    refused(ok("Transfer-Encoding: gzip"), HeadError::UnknownCoding);
    refused(ok("Transfer-Encoding: gzip, chunked"), HeadError::UnknownCoding);
    refused(ok("Transfer-Encoding: chunked, chunked"), HeadError::BadCoding);
    refused(ok("Transfer-Encoding:"), HeadError::BadCoding);
    refused(head("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), HeadError::CodingInHttp10);
}

#[test]
fn some_responses_have_no_body_whatever_they_say() {
    for status in ["100", "103", "199", "204"] {
        for lines in ["", "Content-Length: 5", "Content-Length: x", "Transfer-Encoding: chunked"] {
            let head = accepted(head(&format!("HTTP/1.1 {status} "), lines));
            assert_eq!((head.framing, head.length), (Framing::None, None), "{status} {lines}");
            assert!(!head.upgrade);
        }
    }
    let to_head = Asked { method: Method::Head, protocols: b"" };
    for (line, asked) in [
        ("HTTP/1.1 304 Not Modified", Asked { method: Method::Get, protocols: b"" }),
        ("HTTP/1.1 200 OK", to_head),
    ] {
        let of =
            |lines| response_to(asked, head(line, lines)).map(|p| (p.head.framing, p.head.length));
        assert_eq!(of(""), Ok((Framing::None, None)));
        assert_eq!(of("Content-Length: 5"), Ok((Framing::None, Some(5))));
        assert_eq!(of("Transfer-Encoding: chunked"), Ok((Framing::None, None)));
        assert_eq!(of("Content-Length: x"), Err(HeadError::BadLength), "it would be forwarded");
        let both = "Content-Length: 5\nTransfer-Encoding: chunked";
        assert_eq!(of(both), Err(HeadError::LengthAndCoding));
    }
    assert_eq!(accepted(head("HTTP/1.1 205 ", "")).framing, Framing::UntilClose);
}

#[test]
fn a_backend_connection_is_kept_only_when_all_agree() {
    for (line, lines, keep) in [
        ("HTTP/1.1 200 OK", "Content-Length: 4", true),
        ("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", true),
        ("HTTP/1.1 200 OK", "Content-Length: 4\nConnection: close", false),
        ("HTTP/1.1 200 OK", "Content-Length: 4\nConnection: x, Close", false),
        ("HTTP/1.1 200 OK", "", false),
        ("HTTP/1.0 200 OK", "Content-Length: 4", false),
        ("HTTP/1.0 200 OK", "Content-Length: 4\nConnection: keep-alive", true),
        ("HTTP/1.0 200 OK", "Connection: keep-alive", false),
        ("HTTP/1.1 204 ", "", true),
        ("HTTP/1.1 204 ", "Content-Length: 0", true),
        ("HTTP/1.1 204 ", "Content-Length: 5", false),
        ("HTTP/1.1 204 ", "Content-Length: 0\nContent-Length: 5", false),
        ("HTTP/1.1 204 ", "Transfer-Encoding: chunked", false),
        ("HTTP/1.1 304 ", "", true),
    ] {
        assert_eq!(accepted(head(line, lines)).keep_alive, keep, "{line} {lines}");
    }
}

#[test]
fn protocols_are_switched_only_to_what_was_offered() {
    let switch = |version: &str, offered: &str, lines: &str| {
        let asked = Asked { method: Method::Get, protocols: offered.as_bytes() };
        response_to(asked, head(&format!("HTTP/{version} 101 "), lines)).map(|p| p.head)
    };
    for (offered, lines) in [
        ("websocket", "Connection: upgrade\nUpgrade: websocket"),
        ("websocket", "Connection: upgrade\nUpgrade: WebSocket"),
        ("a, b/2", "Connection: upgrade\nUpgrade: b/2"),
        ("a, b/2", "Connection: upgrade\nUpgrade: b/2, a"),
    ] {
        let head = switch("1.1", offered, lines).unwrap();
        assert!(head.upgrade);
        assert_eq!(head.framing, Framing::None);
    }
    for (version, offered, lines) in [
        ("1.1", "", "Connection: upgrade\nUpgrade: websocket"),
        ("1.1", "", ""),
        ("1.1", "websocket", ""),
        ("1.1", "websocket", "Upgrade:"),
        ("1.1", "websocket", "Upgrade: ,"),
        ("1.1", "websocket", "Upgrade: h2c"),
        ("1.1", "websocket", "Upgrade: websocket, h2c"),
        ("1.1", "websocket", "Upgrade: websocket\nUpgrade: h2c"),
        ("1.1", "websocket", "Upgrade: websocke"),
        ("1.0", "websocket", "Upgrade: websocket"),
    ] {
        assert_eq!(switch(version, offered, lines), Err(HeadError::UnaskedUpgrade), "{lines}");
    }
    assert!(!accepted(ok("Upgrade: websocket")).upgrade);
}
