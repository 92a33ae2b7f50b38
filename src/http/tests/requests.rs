//! Which requests are accepted, and how they are parsed.

use super::*;

#[test]
fn a_plain_request_is_parsed() {
    let get = accepted("\r\nGET /a?b HTTP/1.1\r\nhOsT:\ta:80 \r\nX-A: \t b c \t \r\nX-B:\r\n\r\n");
    assert_eq!(get.head.method, Method::Get);
    assert_eq!(get.text(get.head.method_name), "GET");
    assert!(matches!(get.head.target, Target::Origin(_)));
    assert_eq!(get.text(get.head.target.path_and_query()), "/a?b");
    assert_eq!(get.head.version, Version::Http11);
    assert_eq!(get.text(get.head.authority), "a:80");
    assert_eq!(get.head.framing, Framing::None);
    assert!(get.head.keep_alive);
    assert!(!get.head.upgrade && !get.head.expect_continue && !get.head.ends_here());
    assert_eq!(get.head.max_forwards, None);
    let fields: Vec<_> =
        get.headers.fields().iter().map(|f| (f.id, get.text(f.name), get.text(f.value))).collect();
    let expected =
        [(Name::Host, "hOsT", "a:80"), (Name::Other, "X-A", "b c"), (Name::Other, "X-B", "")];
    assert_eq!(fields, expected);
}

#[test]
fn only_known_idempotent_methods_may_be_repeated() {
    for (name, method, idempotent) in [
        ("GET", Method::Get, true),
        ("HEAD", Method::Head, true),
        ("POST", Method::Post, false),
        ("PUT", Method::Put, true),
        ("DELETE", Method::Delete, true),
        ("OPTIONS", Method::Options, true),
        ("PATCH", Method::Patch, false),
        ("FROB", Method::Other, false),
        ("get", Method::Other, false),
        ("M-SEARCH", Method::Other, false),
        ("!#$%&'*+-.^_`|~9", Method::Other, false),
    ] {
        let parsed = accepted(head(&format!("{name} / HTTP/1.1"), "Host: a"));
        assert_eq!(parsed.head.method, method, "{name}");
        assert_eq!(parsed.head.method.is_idempotent(), idempotent, "{name}");
        assert_eq!(parsed.text(parsed.head.method_name), name);
    }
    assert!(Method::Trace.is_idempotent() && !Method::Connect.is_idempotent());
    for line in ["TRACE / HTTP/1.1", "CONNECT a:80 HTTP/1.1", "CONNECT a: HTTP/1.1"] {
        refused(head(line, "Host: a"), HeadError::MethodNotAllowed);
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    for line in [
        "GET",
        "GET ",
        "GET /",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        " / HTTP/1.1",
        "G(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "G\0T / HTTP/1.1",
        "\"GET\" / HTTP/1.1",
        "GET:/ / HTTP/1.1",
    ] {
        refused(head(line, "Host: a"), HeadError::BadRequestLine);
    }
    refused(b"\x80\x01\x02\xfe\x00\xfe\x00\r\n\r\n", HeadError::BadRequestLine);
}

#[test]
fn only_http_1_is_supported_and_later_minor_versions_are_read_as_1_1() {
    for number in ["1.1", "1.2", "1.9"] {
        let parsed = accepted(head(&format!("GET / HTTP/{number}"), "Host: a"));
        assert_eq!(parsed.head.version, Version::Http11);
        assert_eq!(parsed.text(parsed.head.version_number), number);
        refused(head(&format!("GET / HTTP/{number}"), ""), HeadError::MissingHost);
    }
    for version in ["HTTP/9.9", "HTTP/0.9", "HTTP/2.0", "HTTP/3.1"] {
        refused(head(&format!("GET / {version}"), "Host: a"), HeadError::UnsupportedVersion);
    }
    for version in [
        "http/1.1",
        "Http/1.1",
        "HTTP/1.10",
        "HTTP/1.",
        "HTTP/11",
        "HTTP/1,1",
        "HTTP/+1.1",
        "HTTP/01.1",
        "HTTP /1.1",
        "HTTP/1.1 ",
        "HTTP/1.1\t",
        " HTTP/1.1",
        "ICE/1.0",
        "HTTPS/1.1",
        "HTTP/x.y",
        "b HTTP/1.1",
        "",
    ] {
        refused(head(&format!("GET / {version}"), "Host: a"), HeadError::BadVersion);
    }
    refused(head("GET  / HTTP/1.1", "Host: a"), HeadError::BadVersion);
    refused("GET / HTTP/1.1\r \r\nHost: a\r\n\r\n", HeadError::BadVersion);
}

#[test]
fn targets_are_taken_verbatim_or_refused() {
    for target in [
        "/",
        "//",
        "/a%2Fb/../c//d/./e?x=%41&&y=/../",
        "/?",
        "/a?b?c",
        "/%",
        "/%zz",
        "/\"<>\\^`{|}",
        "/caf\u{e9}",
        "/*",
        "/http://x",
        "/@:",
    ] {
        let parsed = accepted(head(&format!("GET {target} HTTP/1.1"), "Host: a"));
        assert_eq!(parsed.text(parsed.head.target.path_and_query()), target);
        assert!(matches!(parsed.head.target, Target::Origin(_)));
    }
    for target in [
        "",
        "a",
        "admin/a",
        "?a",
        "*",
        "*/",
        "/#",
        "/a#b",
        "/a\0b",
        "/a\u{1}b",
        "/a\u{7f}b",
        "/a\tb",
        "/a\rb",
        "a:80",
        "http:/a/",
        "http:a",
        "http//a",
        "http:///",
        "http://",
        "http://?x",
        "http://:80/",
        "http://u@a/",
        "http://u:pw@a/",
        "http://@a/",
        "http://a:8x/",
        "http://a:65536/",
        "http://[::1/",
        "http://::1/",
        "http://a\\/",
        "http://a#",
        "https://a/",
        "ftp://a/",
        "ws://a/",
        "xttp://a/",
        "httpx//a/",
    ] {
        refused(head(&format!("GET {target} HTTP/1.1"), "Host: a"), HeadError::BadTarget);
    }
}

#[test]
fn absolute_targets_have_an_authority_of_their_own() {
    for (target, authority, path) in [
        ("http://b.example/x?y", "b.example", "/x?y"),
        ("HTTP://b.example/x", "b.example", "/x"),
        ("http://b.example", "b.example", ""),
        ("http://b.example:8080?q", "b.example:8080", "?q"),
        ("http://[::1]:80/", "[::1]:80", "/"),
        ("http://b/http://c@d/", "b", "/http://c@d/"),
    ] {
        let parsed = accepted(head(&format!("GET {target} HTTP/1.1"), "Host: a"));
        assert!(matches!(parsed.head.target, Target::Absolute { .. }), "{target}");
        assert_eq!(parsed.text(parsed.head.authority), authority);
        assert_eq!(parsed.text(parsed.head.target.path_and_query()), path);
    }
    refused(head("GET http://b/ HTTP/1.1", ""), HeadError::MissingHost);
    refused(head("GET http://b/ HTTP/1.1", "Host: a b"), HeadError::BadHost);
    refused(head("GET http://b/ HTTP/1.0", "Host: a b"), HeadError::BadHost);
    for (version, lines) in
        [("1.0", ""), ("1.0", "Host:"), ("1.0", "Host: a"), ("1.1", "Host:"), ("1.1", "Host: a")]
    {
        let parsed = accepted(head(&format!("GET http://b/ HTTP/{version}"), lines));
        assert_eq!(parsed.text(parsed.head.authority), "b");
    }
}

#[test]
fn the_asterisk_is_for_options() {
    let parsed = accepted(head("OPTIONS * HTTP/1.1", "Host: a"));
    assert!(matches!(parsed.head.target, Target::Asterisk(_)));
    for method in ["GET", "HEAD", "POST", "options", "PATCH"] {
        refused(head(&format!("{method} * HTTP/1.1"), "Host: a"), HeadError::BadTarget);
    }
}

#[test]
fn there_is_exactly_one_valid_host() {
    refused(head("GET / HTTP/1.1", ""), HeadError::MissingHost);
    refused(head("GET / HTTP/1.1", "X-Host: a\nHosts: a\nHos: a"), HeadError::MissingHost);
    refused(with("Host: a"), HeadError::DuplicateHost);
    refused(with("X: y\nhost: b"), HeadError::DuplicateHost);
    refused(head("GET / HTTP/1.0", "Host: a\nHost: a"), HeadError::DuplicateHost);
    refused(head("GET / HTTP/1.1", "Host:\nHost:"), HeadError::DuplicateHost);
    for host in ["a b", "u@a", "a:8x", "a, b", "a/", "http://a", "[::1", ":80", "\u{e9}", "a:-1"] {
        refused(head("GET / HTTP/1.1", &format!("Host: {host}")), HeadError::BadHost);
        refused(head("GET / HTTP/1.0", &format!("Host: {host}")), HeadError::BadHost);
        refused(head("GET http://b/ HTTP/1.1", &format!("Host: {host}")), HeadError::BadHost);
    }
    for (line, lines) in
        [("GET / HTTP/1.0", ""), ("GET / HTTP/1.1", "Host:"), ("GET / HTTP/1.0", "Host: ")]
    {
        assert!(accepted(head(line, lines)).head.authority.is_empty());
    }
}

#[test]
fn malformed_fields_are_refused() {
    for lines in [
        "X-A : b",
        "X-A\t: b",
        " X-A: b",
        "\tX-A: b",
        "X-A: b\n c",
        "X-A: b\n\tc",
        " ",
        "NoColonHere",
        "Content-Length 5",
        ": b",
        "X(A): b",
        "X A: b",
        "X\0A: b",
        "X\u{e9}: b",
        "\"X\": b",
        "X@: b",
        "X-A: b\0c",
        "X-A: b\u{1}c",
        "X-A: b\u{b}c",
        "X-A: b\u{c}c",
        "X-A: b\u{1b}c",
        "X-A: b\u{7f}c",
        "X-A: b\rX-Sm: c",
        "X-A:\r b",
        "\rX-A: b",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding: chunked\0",
        "Transfer-Encoding:\n chunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\u{ff}: chunked",
    ] {
        refused(with(lines), malformed(lines));
        refused(with(&format!("X-1: a\n{lines}\nX-2: b")), malformed(lines));
    }
    for lines in ["X-A: b\r", "X-A:\r", "\r"] {
        refused(with(lines), HeadError::BareCarriageReturn);
    }
    refused("GET / HTTP/1.1\r\n X-Sm: y\r\nHost: a\r\n\r\n", HeadError::FoldedField);
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\n\rZGET /e: HTTP/1.1\r\nHost: b\r\n\r\n",
        HeadError::BadField,
    );
    let mut opaque = with("X-A: caf").into_bytes();
    opaque.splice(opaque.len() - 4..opaque.len() - 4, [0xe9, 0x80, 0xff]);
    let parsed = accepted(&opaque);
    assert_eq!(parsed.headers.fields()[1].value.of(&parsed.bytes), b"caf\xe9\x80\xff");
}

#[test]
fn a_head_may_have_as_many_fields_as_the_limit_and_no_more() {
    let many = |count: usize| with(&"X-A: b\n".repeat(count - 1));
    for count in [1, 23, 24, 25, 47, 48, 49, 72, 99, 100] {
        assert_eq!(accepted(many(count)).headers.fields().len(), count);
    }
    for count in [101, 119, 120, 121, 500] {
        refused(many(count), HeadError::TooManyHeaders);
    }
    let fields: Vec<_> = (0..99).map(|n| format!("X-{n}:{}v{n}", " ".repeat(n % 4))).collect();
    let parsed = accepted(with(&fields.join("\n")));
    for (n, field) in parsed.headers.fields()[1..].iter().enumerate() {
        assert_eq!(parsed.text(field.name), format!("X-{n}"));
        assert_eq!(parsed.text(field.value), format!("v{n}"));
    }
    let empty_values = accepted(with(&"X-A:  \n".repeat(60)));
    assert!(empty_values.headers.fields()[1..].iter().all(|field| field.value.is_empty()));
    refused(with(&format!("{}X A: b", "X-A:\n".repeat(60))), HeadError::BadField);
}

#[test]
fn connections_persist_as_the_version_and_the_options_say() {
    for (version, connection, keep) in [
        ("1.1", "", true),
        ("1.1", "Connection: keep-alive", true),
        ("1.1", "Connection: close", false),
        ("1.1", "Connection: x-foo, CLOSE", false),
        ("1.1", "Connection: x-foo\nConnection: ,close", false),
        ("1.1", "Connection: close, keep-alive", false),
        ("1.1", "Connection: closed", true),
        ("1.1", "Connection: \"close\"", true),
        ("1.1", "Proxy-Connection: close", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive", true),
        ("1.0", "Connection: Keep-Alive, x", true),
        ("1.0", "Connection: keep-alive, close", false),
        ("1.0", "Proxy-Connection: keep-alive", false),
        ("1.0", "Keep-Alive: timeout=5", false),
    ] {
        let parsed =
            accepted(head(&format!("GET / HTTP/{version}"), &format!("Host: a\n{connection}")));
        assert_eq!(parsed.head.keep_alive, keep, "{version} {connection}");
    }
    let many = |count: usize| with(&format!("Connection: {}", "a,".repeat(count)));
    assert!(request(many(100)).is_ok());
    refused(many(101), HeadError::TooManyHeaders);
}

#[test]
fn an_upgrade_needs_the_option_a_protocol_and_http_1_1() {
    let offers = |version: &str, lines: &str| {
        let parsed = accepted(head(&format!("GET / HTTP/{version}"), &format!("Host: a\n{lines}")));
        let mut offered = Vec::new();
        offered_protocols(&parsed.bytes, &parsed.headers, &parsed.head, &mut offered);
        assert_eq!(parsed.head.upgrade, !offered.is_empty());
        String::from_utf8(offered).unwrap()
    };
    let asked = "Connection: keep-alive, Upgrade\nUpgrade: ";
    assert_eq!(offers("1.1", &format!("{asked}websocket")), "websocket");
    assert_eq!(offers("1.1", &format!("{asked}H2C, WebSocket,foo/2")), "WebSocket, foo/2");
    assert_eq!(offers("1.1", &format!("{asked}a\nUpgrade: b")), "a, b");
    assert_eq!(offers("1.1", &format!("{asked}h2c")), "");
    assert_eq!(offers("1.1", &format!("{asked}h2c/1, ,a b,/,x/")), "");
    assert_eq!(offers("1.1", &format!("{asked}HTTP/2.0, http, TLS/1.0, tls")), "");
    assert_eq!(offers("1.1", "Connection: upgrade"), "");
    assert_eq!(offers("1.1", "Upgrade: websocket"), "");
    assert_eq!(offers("1.1", "Connection: upgrades\nUpgrade: websocket"), "");
    assert_eq!(offers("1.0", &format!("{asked}websocket")), "");
}

#[test]
fn a_continue_is_expected_by_http_1_1_only() {
    for (version, lines, expected) in [
        ("1.1", "Expect: 100-continue", true),
        ("1.1", "expect: 100-Continue", true),
        ("1.1", "Expect: x, 100-continue", true),
        ("1.1", "Expect: 100-continued", false),
        ("1.1", "", false),
        ("1.1", "Expect: 100-continue\nConnection: expect", false),
        ("1.0", "Expect: 100-continue", false),
    ] {
        let parsed =
            accepted(head(&format!("POST / HTTP/{version}"), &format!("Host: a\n{lines}")));
        assert_eq!(parsed.head.expect_continue, expected, "{version} {lines}");
    }
}

#[test]
fn max_forwards_counts_for_options() {
    let options = |lines: &str| request(head("OPTIONS / HTTP/1.1", &format!("Host: a\n{lines}")));
    for (value, forwards) in [
        ("0", 0),
        ("007", 7),
        ("18446744073709551615", u64::MAX),
        ("99999999999999999999", u64::MAX),
    ] {
        let parsed = options(&format!("Max-Forwards: {value}")).unwrap().head;
        assert_eq!(parsed.max_forwards, Some(forwards));
        assert_eq!(parsed.ends_here(), forwards == 0);
    }
    assert_eq!(options("").unwrap().head.max_forwards, None);
    for lines in
        ["Max-Forwards:", "Max-Forwards: x", "Max-Forwards: -1", "Max-Forwards: 1\nMax-Forwards: 1"]
    {
        assert_eq!(options(lines).map(|p| p.head), Err(HeadError::BadMaxForwards), "{lines}");
    }
    assert_eq!(accepted(with("Max-Forwards: x")).head.max_forwards, None);
}

#[test]
fn nothing_is_carried_over_from_one_head_to_the_next() {
    let mut headers = Headers::new(100);
    let first =
        with("Transfer-Encoding: chunked\nConnection: x, close\nX: y\nExpect: 100-continue");
    parse_request(first.as_bytes(), &mut headers).unwrap();
    let second = with("Content-Length: 5\nX: y");
    let parsed = parse_request(second.as_bytes(), &mut headers).unwrap();
    assert_eq!(parsed, accepted(&second).head);
    assert_eq!(headers.fields().len(), 3);
    assert!(headers.fields().iter().all(|field| !field.named));
    assert!(headers.has(Name::ContentLength) && !headers.has(Name::TransferEncoding));
}
