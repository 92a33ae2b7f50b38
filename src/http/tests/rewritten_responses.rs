//! What is forwarded of a response to the client, and the replies made here.

use super::*;

const HOP: ResponseHop<'static> =
    ResponseHop { body: BodyOut::None, close: false, keep_alive_10: false, date: DATE };
const GET: Asked<'static> = Asked { method: Method::Get, protocols: b"websocket" };

/// Rewrites a response to `asked`, framed as received.
#[track_caller]
fn rewrite(asked: Asked<'_>, bytes: impl AsRef<[u8]>, hop: &ResponseHop<'_>) -> String {
    let parsed = response_to(asked, bytes).unwrap();
    let body = match parsed.head.framing {
        Framing::Length(length) if hop.body == BodyOut::None => BodyOut::Length(length),
        Framing::Chunked if hop.body == BodyOut::None => BodyOut::Chunked,
        Framing::UntilClose if hop.body == BodyOut::None => BodyOut::UntilClose,
        _ => hop.body,
    };
    let mut out = b"before".to_vec();
    let hop = ResponseHop { body, ..*hop };
    rewrite_response(&mut out, &parsed.bytes, &parsed.headers, &parsed.head, &hop);
    let out = out.strip_prefix(b"before").expect("output is appended").to_vec();
    let text: String = out.iter().map(|byte| char::from(*byte)).collect();
    let body = match body {
        BodyOut::Chunked => b"1\r\nx\r\n0\r\n\r\n".to_vec(),
        BodyOut::Length(length) => vec![b'x'; usize::try_from(length).unwrap()],
        BodyOut::UntilClose => b"to the end".to_vec(),
        BodyOut::None => Vec::new(),
    };
    let method = if asked.method == Method::Head { "HEAD" } else { "GET" };
    let whole = [out.as_slice(), &body].concat();
    let dates = whole_response(&whole, method).values("date").len();
    assert_eq!(dates, usize::from(parsed.head.status >= 200), "{text}");
    text
}

/// `bytes`, parsed by the grammar as exactly one response.
#[track_caller]
fn whole_response(bytes: &[u8], method: &str) -> strict::Response {
    let methods = [method.as_bytes().to_vec()];
    let ending = Some(strict::Ending::Finished);
    let reader = strict::Reader { methods: &methods, ending, is_http10: false };
    let mut seen = strict::responses(bytes, reader);
    assert!(seen.faults.is_empty(), "{:?}: {}", seen.faults, bytes.escape_ascii());
    assert_eq!((seen.surplus, seen.finals.len() + seen.interims.len()), (Vec::new(), 1));
    assert!(seen.finals.iter().all(|response| response.is_whole));
    seen.finals.pop().or(seen.interims.pop()).unwrap()
}

fn get(line: &str, lines: &str) -> String {
    rewrite(GET, head(line, lines), &HOP)
}

#[test]
fn the_status_line_is_rewritten_and_the_reason_kept() {
    for (line, rewritten) in [
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.0 200 OK", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.7 200 OK", "HTTP/1.1 200 OK\r\n"),
        ("HTTP/1.1 200 ", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.1 200", "HTTP/1.1 200 \r\n"),
        ("HTTP/1.1 299 Not  so\tbad", "HTTP/1.1 299 Not  so\tbad\r\n"),
    ] {
        assert!(get(line, "Content-Length: 0").starts_with(rewritten));
    }
}

#[test]
fn fields_keep_their_order_without_those_of_the_backends_connection() {
    let lines = "Server: x\nConnection: keep-alive, x-bar\nKeep-Alive: timeout=77\n\
                 Set-Cookie: a=1\nProxy-Connection: close\nX-Bar: 1\nSet-Cookie: b=2\nTE: x\n\
                 Upgrade: h2c\ncontent-LENGTH: 04\nHTTP2-Settings: x\nDate: then\nVia: 1.1 x\n\
                 Proxy-Authenticate: Basic\nProxy-Authentication-Info: x";
    assert_eq!(
        get("HTTP/1.1 200 OK", lines),
        "HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nDate: then\r\n\
         Via: 1.1 x\r\nContent-Length: 4\r\n\r\n"
    );
}

#[test]
fn names_that_other_programs_merge_with_framing_are_removed() {
    let lines = "Content_Length: 9\nTransfer_Encoding: x\nKeep_Alive: 5\nX_A: b\nContent-Length: 4";
    let passed = "HTTP/1.1 200 OK\r\nX_A: b\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                  Content-Length: 4\r\n\r\n";
    assert_eq!(get("HTTP/1.1 200 OK", lines), passed);
}

#[test]
fn named_fields_are_removed_but_never_framing_or_date() {
    let lines = "Connection: date, content-length, x\nContent-Length: 4\nX: y\nDate: then";
    let text = get("HTTP/1.1 200 OK", lines);
    assert_eq!(text, "HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 4\r\n\r\n");
}

#[test]
fn a_date_is_added_to_final_responses_without_one() {
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    assert!(get("HTTP/1.1 200 OK", "Content-Length: 0").contains(date));
    assert!(get("HTTP/1.1 304 ", "").contains(date));
    assert_eq!(
        get("HTTP/1.1 103 Early Hints", "Link: x"),
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    );
}

#[test]
fn framing_describes_the_body_that_the_client_gets() {
    let framed = |lines: &str, body: BodyOut| {
        rewrite(GET, head("HTTP/1.1 200 OK", lines), &ResponseHop { body, ..HOP })
            .replace("HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "")
    };
    let (chunked, length) = ("Transfer-Encoding: chunked", "Content-Length: 4");
    assert_eq!(framed("", BodyOut::Chunked), "Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(framed(chunked, BodyOut::Chunked), "Transfer-Encoding: chunked\r\n\r\n");
    assert_eq!(framed(chunked, BodyOut::UntilClose), "Connection: close\r\n\r\n");
    assert_eq!(framed(length, BodyOut::Length(4)), "Content-Length: 4\r\n\r\n");
    assert_eq!(
        framed("Content-Length: 4\nContent-Length: 4", BodyOut::Length(4)),
        "Content-Length: 4\r\n\r\n"
    );
    let trailer = format!("Trailer: X-T\n{chunked}");
    assert!(get("HTTP/1.1 200 OK", &trailer).contains("Trailer: X-T\r\n"));
    let named = get("HTTP/1.1 200 OK", &format!("Connection: trailer\n{trailer}"));
    assert!(!named.contains("Trailer"));
    assert!(!framed(&trailer, BodyOut::UntilClose).contains("Trailer"));
}

#[test]
fn responses_without_a_body_describe_one_only_where_they_may() {
    let to_head = Asked { method: Method::Head, ..GET };
    let answer = |asked, status: &str, lines: &str| {
        rewrite(asked, head(&format!("HTTP/1.1 {status} "), lines), &HOP)
    };
    for lines in ["Content-Length: 5", "Content-Length: 5\nContent-Length: 5"] {
        assert_eq!(answer(to_head, "200", lines).matches("Content-Length: 5\r\n").count(), 1);
        assert_eq!(answer(GET, "304", lines).matches("Content-Length: 5\r\n").count(), 1);
    }
    assert!(!answer(to_head, "200", "Transfer-Encoding: chunked").contains("Encoding"));
    for status in ["103", "204"] {
        for lines in ["Content-Length: 5", "Transfer-Encoding: chunked", "Content-Length: x"] {
            assert!(!answer(GET, status, lines).contains("ength"), "{status} {lines}");
            assert!(!answer(GET, status, lines).contains("oding"), "{status} {lines}");
        }
    }
}

#[test]
fn the_client_is_told_whether_its_connection_ends() {
    let say = |close, keep_alive_10, line: &str| {
        let hop = ResponseHop { close, keep_alive_10, ..HOP };
        let text = rewrite(GET, head(line, "Content-Length: 0\nConnection: x"), &hop);
        text.split("\r\n").find(|line| line.starts_with("Connection")).map(str::to_owned)
    };
    let ok = "HTTP/1.1 200 OK";
    assert_eq!(say(false, false, ok), None);
    assert_eq!(say(true, false, ok).as_deref(), Some("Connection: close"));
    assert_eq!(say(true, true, ok).as_deref(), Some("Connection: close"));
    assert_eq!(say(false, true, ok).as_deref(), Some("Connection: keep-alive"));
    assert_eq!(say(true, false, "HTTP/1.1 103 E"), None, "it is not over yet");
    assert_eq!(say(false, true, "HTTP/1.1 103 E"), None);
}

#[test]
fn a_change_of_protocol_is_forwarded() {
    let lines = "Upgrade: WebSocket\nConnection: Upgrade, x\nX: y\nSec-WebSocket-Accept: z\n\
                 Content-Length: 0";
    for close in [false, true] {
        let hop = ResponseHop { close, ..HOP };
        assert_eq!(
            rewrite(GET, head("HTTP/1.1 101 Switching Protocols", lines), &hop),
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: z\r\n\
             Connection: upgrade\r\nUpgrade: WebSocket\r\n\r\n"
        );
    }
}

#[test]
fn a_426_keeps_the_protocols_that_it_requires() {
    let lines = "Upgrade: websocket\nConnection: upgrade\nContent-Length: 0";
    let answer = |close| rewrite(GET, head("HTTP/1.1 426 ", lines), &ResponseHop { close, ..HOP });
    assert!(answer(false).ends_with("\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"));
    assert!(answer(true).ends_with("\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n"));
    let without = head("HTTP/1.1 426 ", "Content-Length: 0");
    assert!(!rewrite(GET, without, &HOP).contains("Connection"));
}

const OPTIONS: ReplyOptions<'static> =
    ReplyOptions { close: true, date: DATE, head_only: false, allow: false, retry_after: None };

#[test]
fn a_reply_is_a_whole_response() {
    let mut out = Vec::new();
    reply(&mut out, 503, "no backend can be reached", &OPTIONS);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 51\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n\
         503 Service Unavailable: no backend can be reached\n"
    );
}

#[test]
fn every_reply_satisfies_the_grammar() {
    for status in (200..600).filter(|status| ![204, 304].contains(status)) {
        let mut out = Vec::new();
        reply(&mut out, status, "why", &OPTIONS);
        let message = whole_response(&out, "GET");
        let line = format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status));
        assert!(out.starts_with(line.as_bytes()));
        assert_eq!(message.values("connection"), [b"close"]);
        assert_eq!(message.values("allow"), [b""; 0]);
        assert_eq!(message.values("retry-after"), [b""; 0]);
        let mut described = Vec::new();
        reply(&mut described, status, "why", &ReplyOptions { head_only: true, ..OPTIONS });
        assert_eq!(out.strip_suffix(message.body.as_slice()), Some(described.as_slice()));
    }
    let mut out = Vec::new();
    reply(&mut out, 405, "why", &ReplyOptions { allow: true, close: false, ..OPTIONS });
    let message = whole_response(&out, "GET");
    assert_eq!(message.values("allow"), [ALLOW.as_bytes()]);
    assert_eq!(message.values("connection"), [b""; 0]);
    for method in ALLOW.split(", ") {
        assert!(request(head(&format!("{method} / HTTP/1.1"), "Host: a")).is_ok());
    }
    let mut out = Vec::new();
    reply(&mut out, 503, "why", &ReplyOptions { retry_after: Some(12), ..OPTIONS });
    assert_eq!(whole_response(&out, "GET").values("retry-after"), [b"12"]);
}
