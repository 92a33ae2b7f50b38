//! What is forwarded of a request to the backend.

use super::*;

const HOP: RequestHop<'static> = RequestHop {
    peer: Some(b"192.0.2.7"),
    pseudonym: "tidegate",
    is_trusted: false,
    default_host: "backend:8081",
    close: false,
};

#[track_caller]
fn rewrite(bytes: impl AsRef<[u8]>, hop: &RequestHop<'_>) -> String {
    let parsed = request(bytes).unwrap();
    let mut out = Vec::new();
    rewrite_request(&mut out, &parsed.bytes, &parsed.headers, &parsed.head, hop);
    let text: String = out.iter().map(|byte| char::from(*byte)).collect();
    // With a body as it announces, it is valid by the grammar.
    let body = match parsed.head.framing {
        Framing::Chunked => b"0\r\n\r\n".to_vec(),
        Framing::Length(length) => vec![b'x'; usize::try_from(length).unwrap()],
        Framing::None | Framing::UntilClose => Vec::new(),
    };
    let whole = [out.as_slice(), &body].concat();
    let (sent, end) = strict::request(&whole, 0);
    assert_eq!((sent.faults, end), (strict::Faults::new(), Some(whole.len())), "{text}");
    // Another proxy of this kind parses the same.
    let again = request(&out).unwrap();
    assert_eq!(again.head.framing, parsed.head.framing);
    assert_eq!(again.head.upgrade, parsed.head.upgrade);
    text
}

/// The fields of a rewritten head, without those that every request gets here.
#[track_caller]
fn passed(lines: &str) -> Vec<String> {
    let text = rewrite(with(lines), &HOP);
    let ours = ["GET ", "Host: a", "X-Forwarded-", "Via: "];
    let lines = text.split_terminator("\r\n").filter(|line| !line.is_empty());
    lines.filter(|line| !ours.iter().any(|own| line.starts_with(own))).map(str::to_owned).collect()
}

#[test]
fn a_plain_request_gets_host_first_and_the_added_fields_last() {
    let bytes =
        "GET /x?y HTTP/1.1\r\nAccept: */*\r\nX-A: \t b c \t \r\nhOsT:\ta:80\r\nx-a:\r\n\r\n";
    assert_eq!(
        rewrite(bytes, &HOP),
        "GET /x?y HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nX-A: b c\r\nx-a: \r\n\
         X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a:80\r\n\
         Via: 1.1 tidegate\r\n\r\n"
    );
}

#[test]
fn output_is_appended() {
    let parsed = request(with("")).unwrap();
    let mut out = b"before".to_vec();
    rewrite_request(&mut out, &parsed.bytes, &parsed.headers, &parsed.head, &HOP);
    assert!(out.starts_with(b"beforeGET / HTTP/1.1\r\n"));
}

#[test]
fn http_1_0_becomes_1_1_with_a_default_host() {
    let text =
        rewrite("GET / HTTP/1.0\r\nExpect: 100-continue\r\nX-Forwarded-Host: x\r\n\r\n", &HOP);
    assert_eq!(
        text,
        "GET / HTTP/1.1\r\nHost: backend:8081\r\nX-Forwarded-For: 192.0.2.7\r\n\
         X-Forwarded-Proto: http\r\nVia: 1.0 tidegate\r\n\r\n"
    );
    let no_default = RequestHop { default_host: "", ..HOP };
    assert!(rewrite("GET / HTTP/1.0\r\n\r\n", &no_default).contains("\r\nHost: \r\n"));
    assert!(
        rewrite("GET / HTTP/1.1\r\nHost:\r\n\r\n", &HOP).contains("\r\nHost: backend:8081\r\n")
    );
    assert!(rewrite("GET / HTTP/1.0\r\nHost: b\r\n\r\n", &HOP).contains("\r\nHost: b\r\n"));
}

#[test]
fn absolute_targets_become_origin_form_and_replace_the_host() {
    for (method, target, line) in [
        ("GET", "http://b.example/x?y", "GET /x?y HTTP/1.1\r\nHost: b.example\r\n"),
        ("GET", "http://b.example", "GET / HTTP/1.1\r\nHost: b.example\r\n"),
        ("GET", "http://b.example?q", "GET /?q HTTP/1.1\r\nHost: b.example\r\n"),
        ("GET", "HTTP://b:80//x", "GET //x HTTP/1.1\r\nHost: b:80\r\n"),
        ("OPTIONS", "http://b.example", "OPTIONS * HTTP/1.1\r\nHost: b.example\r\n"),
        ("OPTIONS", "http://b.example/", "OPTIONS / HTTP/1.1\r\nHost: b.example\r\n"),
        ("OPTIONS", "http://b.example?q", "OPTIONS /?q HTTP/1.1\r\nHost: b.example\r\n"),
        ("OPTIONS", "*", "OPTIONS * HTTP/1.1\r\nHost: a\r\n"),
    ] {
        let text = rewrite(head(&format!("{method} {target} HTTP/1.1"), "Host: a"), &HOP);
        assert!(text.starts_with(line), "{text}");
    }
    let text = rewrite(head("GET http://b/ HTTP/1.1", "Host: a"), &HOP);
    assert!(text.contains("X-Forwarded-Host: b\r\n") && !text.contains("Host: a\r\n"));
}

#[test]
fn fields_of_the_clients_connection_are_removed() {
    for line in [
        "Connection: close",
        "Connection: keep-alive",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "Proxy-Authorization: Basic x",
        "Proxy-Authenticate: Basic",
        "TE: trailers",
        "Upgrade: websocket",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        "Trailer: X-T",
        "Connection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMA",
        "Connection: Upgrade\nUpgrade: TLS/1.0",
        "Connection: Upgrade\nUpgrade: TLS/1.2, HTTP/2.0, tls",
    ] {
        assert_eq!(passed(line), [""; 0], "{line}");
    }
}

#[test]
fn named_fields_are_removed_except_those_written_here() {
    let lines = "Connection: x-foo ,\tX-BAR,,close\nConnection: cookie\nX-Foo: 1\nx-bar: 2\n\
                 X-Foo: 3\nX-Foot: 4\nCookie: c\nX-Fo: 5";
    assert_eq!(passed(lines), ["X-Foot: 4", "X-Fo: 5"]);
    let lines = "Connection: host, content-length, x-forwarded-for, x-forwarded-host, via, \
                 x-forwarded-proto, date, max-forwards\nContent-Length: 3\n\
                 X-Forwarded-For: 1.2.3.4\nVia: 1.1 x";
    let text = rewrite(with(lines), &HOP);
    for kept in [
        "Host: a",
        "Content-Length: 3",
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Host: a",
        "X-Forwarded-Proto: http",
        "Via: 1.1 x, 1.1 tidegate",
    ] {
        assert!(text.contains(&format!("\r\n{kept}\r\n")), "{kept}: {text}");
    }
    let chunked = passed("Connection: transfer-encoding\nTransfer-Encoding: chunked");
    assert_eq!(chunked, ["Transfer-Encoding: chunked"]);
}

#[test]
fn names_that_other_programs_merge_with_these_are_removed() {
    for line in [
        "Content_Length: 31",
        "CONTENT_LENGTH: 31",
        "Content.Length: 31",
        "Transfer_Encoding: chunked",
        "Keep_Alive: timeout=5",
        "Max_Forwards: 0",
        "Http2_Settings: AAMA",
        "Proxy_Connection: close",
        "Proxy_Authorization: Basic x",
        "X_Forwarded_For: 6.6.6.6",
        "X-Forwarded_Host: evil",
        "x_forwarded-proto: https",
        "X~Forwarded~Proto: https",
    ] {
        assert_eq!(passed(line), [""; 0], "{line}");
    }
    let others = ["X_Request_Id: 1", "Content_Type: a/b", "_: x", "Content_Lengths: 3", "H_st: x"];
    assert_eq!(passed(&others.join("\n")), others);
}

#[test]
fn of_a_client_without_an_address_none_is_told() {
    let lines = "X-Forwarded-For: 6.6.6.6\nX-A: b\nX-Forwarded-For: a, b\n\
                 X-Forwarded-Proto: https\nConnection: x-forwarded-for";
    let stranger = RequestHop { peer: None, ..HOP };
    let text = rewrite(with(lines), &stranger);
    let told = "X-A: b\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
                Via: 1.1 tidegate\r\n\r\n";
    assert!(text.ends_with(told) && !text.contains("X-Forwarded-For"), "{text}");
    let text = rewrite(with(lines), &RequestHop { is_trusted: true, ..stranger });
    let told = "X-Forwarded-For: 6.6.6.6\r\nX-A: b\r\nX-Forwarded-For: a, b\r\n\
                X-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\nVia: 1.1 tidegate\r\n\r\n";
    assert!(text.ends_with(told), "{text}");
}

#[test]
fn the_host_is_written_alike_however_it_was_received() {
    let plain = rewrite(head("GET /a HTTP/1.1", "Host: b:80\nX-A: c"), &HOP);
    assert!(plain.starts_with("GET /a HTTP/1.1\r\nHost: b:80\r\nX-A: c\r\nX-For"), "{plain}");
    for lines in ["host: b:80\nX-A: c", "Host:b:80\nX-A: c", "Host:  b:80\nX-A: c"] {
        assert_eq!(rewrite(head("GET /a HTTP/1.1", lines), &HOP), plain, "{lines}");
    }
    for lines in ["Host: b:80 \nX-A: c", "Host: b:80\t\nX-A: c", "X-A: c\nHost: b:80"] {
        assert_eq!(rewrite(head("GET /a HTTP/1.1", lines), &HOP), plain, "{lines}");
    }
    let absolute = rewrite(head("GET http://b:80/a HTTP/1.1", "Host: b:80\nX-A: c"), &HOP);
    assert_eq!(absolute, plain);
    let only = rewrite(head("GET /a HTTP/1.1", "Host: b:80"), &HOP);
    assert_eq!(only, plain.replace("X-A: c\r\n", ""));
}

#[test]
fn the_forwarded_fields_are_written() {
    let lines = "X-Forwarded-For: 6.6.6.6\nX-A: b\nx-forwarded-for:\nX-Forwarded-For: a, b\n\
                 X-Forwarded-Proto: https\nX-Forwarded-Host: evil\nVia: 1.0 one\n\
                 Forwarded: for=6.6.6.6;proto=https\nvia: 1.1 two, 1.1 three";
    let text = rewrite(with(lines), &HOP);
    let told = "X-A: b\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
                X-Forwarded-Host: a\r\nVia: 1.0 one, 1.1 two, 1.1 three, 1.1 tidegate\r\n\r\n";
    assert!(text.ends_with(told), "{text}");
    assert_eq!(text.matches("orwarded-").count(), 3);
    let later = rewrite(head("GET / HTTP/1.7", "Host: a"), &HOP);
    assert!(later.starts_with("GET / HTTP/1.1\r\n") && later.contains("Via: 1.7 tidegate\r\n"));
}

#[test]
fn the_forwarded_fields_of_a_trusted_proxy_are_kept() {
    let trusted = RequestHop { is_trusted: true, ..HOP };
    let lines = "X-Forwarded-For: 6.6.6.6\nX-Forwarded-Proto: https\nX-A: b\nx-forwarded-for:\n\
                 X-Forwarded-Host: b.example\nX-Forwarded-For: a, b\nForwarded: for=6.6.6.6\n\
                 Connection: x-forwarded-proto";
    assert_eq!(
        rewrite(with(lines), &trusted),
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-A: b\r\n\
         X-Forwarded-Host: b.example\r\nForwarded: for=6.6.6.6\r\n\
         X-Forwarded-For: 6.6.6.6, a, b, 192.0.2.7\r\nVia: 1.1 tidegate\r\n\r\n"
    );
    // What it did not send is still written.
    assert_eq!(rewrite(with("X-A: b"), &trusted), rewrite(with("X-A: b"), &HOP));
}

#[test]
fn the_framing_is_written_anew() {
    assert_eq!(passed("content-length:\t0005"), ["Content-Length: 5"]);
    assert_eq!(passed("Content-Length: 0"), ["Content-Length: 0"]);
    let lines = "Trailer: X-T\nTRANSFER-encoding:  CHUNKED";
    assert_eq!(passed(lines), ["Trailer: X-T", "Transfer-Encoding: chunked"]);
    let named = format!("{lines}\nConnection: trailer");
    assert_eq!(passed(&named), ["Transfer-Encoding: chunked"]);
}

#[test]
fn expectations_pass_from_http_1_1_only() {
    let expect = "Expect: 100-continue";
    assert_eq!(passed(expect), [expect]);
    assert!(
        !rewrite(head("POST / HTTP/1.0", &format!("Host: a\n{expect}")), &HOP).contains("Expect")
    );
    assert_eq!(passed(&format!("{expect}\nConnection: expect")), [""; 0]);
}

#[test]
fn max_forwards_is_counted_down_for_options_only() {
    let options = |value: &str| {
        let lines = format!("Host: a\nMax-Forwards: {value}");
        rewrite(head("OPTIONS * HTTP/1.1", &lines), &HOP)
    };
    assert!(options("5").contains("\r\nMax-Forwards: 4\r\n"));
    assert!(options("99999999999999999999").contains("\r\nMax-Forwards: 18446744073709551614\r\n"));
    assert_eq!(options("1").matches("Max-Forwards").count(), 1);
    assert_eq!(passed("Max-Forwards: 5"), ["Max-Forwards: 5"]);
}

#[test]
fn the_backend_is_asked_to_close_or_to_upgrade() {
    let close = RequestHop { close: true, ..HOP };
    let text = rewrite(with("Connection: keep-alive"), &close);
    assert!(text.ends_with("\r\nConnection: close\r\n\r\n"), "{text}");
    let offer = "Connection: keep-alive, Upgrade\nUpgrade: h2c, websocket\n\
                 Upgrade: TLS/1.0, foo/2, tls/1.3, TLS\nX-A: b";
    let offered = "\r\nConnection: upgrade\r\nUpgrade: websocket, foo/2\r\n\r\n";
    for hop in [&HOP, &close] {
        let text = rewrite(with(offer), hop);
        assert!(text.ends_with(offered), "{text}");
        assert_eq!(text.matches("Connection").count(), 1);
    }
    let from_1_0 = rewrite(head("GET / HTTP/1.0", &format!("Host: a\n{offer}")), &HOP);
    assert!(!from_1_0.contains("pgrade"), "{from_1_0}");
}

#[test]
fn opaque_bytes_and_the_order_of_lines_are_kept() {
    let lines = "X-A: 1\nX-B: z\u{e9}\nX-A: 2\nCookie: a\nCookie: b";
    assert_eq!(passed(lines), ["X-A: 1", "X-B: z\u{c3}\u{a9}", "X-A: 2", "Cookie: a", "Cookie: b"]);
}
