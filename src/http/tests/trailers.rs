//! What is forwarded of a trailer section.

use super::*;

fn rewrite(raw: &str, named: &str) -> Result<String, HeadError> {
    let mut out = b"0\r\n".to_vec();
    rewrite_trailers(&mut out, raw.as_bytes(), &mut Headers::new(20), named.as_bytes())?;
    let mut faults = strict::Faults::new();
    let read = strict::chunked::read(&out, 0, &mut faults);
    assert_eq!((read.end, faults), (Some(out.len()), strict::Faults::new()));
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn harmless_fields_pass_in_order() {
    let raw = "X-T:  v\r\nETag: \"x\"\r\nServer-Timing: a\r\nX-T: w \r\n\r\n";
    let passed = "0\r\nX-T: v\r\nETag: \"x\"\r\nServer-Timing: a\r\nX-T: w\r\n\r\n";
    assert_eq!(rewrite(raw, "").as_deref(), Ok(passed));
    assert_eq!(rewrite("\r\n", "").as_deref(), Ok("0\r\n\r\n"));
}

#[test]
fn fields_that_frame_route_or_steer_are_dropped() {
    for name in [
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "X-Forwarded-For",
        "X-FORWARDED-HOST",
        "X-Forwarded-Proto",
        "Forwarded",
        "Via",
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Max-Forwards",
        "Date",
        "Authorization",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "WWW-Authenticate",
        "Cookie",
        "SET-cookie",
        "Content-Encoding",
        "Content-Type",
        "Content-Range",
        "Cache-Control",
        "Range",
        "If-Match",
        "Location",
        "Vary",
        "Age",
        "Content_Length",
        "X_Forwarded_For",
        "X-Forwarded_Host",
        "Set_Cookie",
        "content_type",
        "If.Match",
    ] {
        let raw = format!("X-A: 1\r\n{name}: 100\r\nX-B: 2\r\n\r\n");
        assert_eq!(rewrite(&raw, "").as_deref(), Ok("0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"), "{name}");
    }
}

#[test]
fn fields_named_by_the_heads_connection_are_dropped() {
    let parsed = request(with("Connection: close, x-t,, te\nConnection: X-U, keep-alive")).unwrap();
    let mut named = Vec::new();
    connection_named(&parsed.bytes, &parsed.headers, &mut named);
    assert_eq!(named, b"x-t,X-U");
    let raw = "X-T: 1\r\nx-u: 2\r\nX: 3\r\n\r\n";
    assert_eq!(rewrite(raw, "x-t,X-U").as_deref(), Ok("0\r\nX: 3\r\n\r\n"));
    let parsed = request(with("Connection: Close, Upgrade\nX: y")).unwrap();
    named.clear();
    connection_named(&parsed.bytes, &parsed.headers, &mut named);
    assert_eq!(named, b"");
}

#[test]
fn malformed_sections_are_refused_and_nothing_is_written() {
    for raw in
        ["X : y\r\n\r\n", " X: y\r\n\r\n", "X\r\n\r\n", "X: a\0b\r\n\r\n", "X: y\r\n z\r\n\r\n"]
    {
        let mut out = Vec::new();
        let verdict = rewrite_trailers(&mut out, raw.as_bytes(), &mut Headers::new(20), b"");
        assert_eq!(verdict, Err(malformed(raw)), "{raw:?}");
        assert!(out.is_empty());
    }
    assert_eq!(rewrite("X: y\r\n", ""), Err(HeadError::BadField), "not whole");
    assert_eq!(rewrite("X: y\r\n\r\nZ: a\r\n\r\n", ""), Err(HeadError::BadField), "ends early");
    let many = |count: usize| format!("{}\r\n", "X: y\r\n".repeat(count));
    assert!(rewrite(&many(20), "").is_ok());
    assert_eq!(rewrite(&many(21), ""), Err(HeadError::TooManyHeaders));
    let long = format!("X: {}\r\n\r\n", "y".repeat(LONGEST_HEAD));
    assert_eq!(rewrite(&long, ""), Err(HeadError::HeadTooLarge));
}

#[test]
fn all_names_that_fit_are_looked_up_for_all_trailers_that_fit() {
    // Comparing each name with each trailer would take a hundred million comparisons.
    const MANY: usize = 7000;
    let name = |n: usize| format!("x{n:x}");
    let named: String = (0..2 * MANY).map(|n| name(2 * n) + ",").collect();
    let raw: String = (0..MANY).map(|n| name(n) + ":\r\n").collect();
    let passed: String = (0..MANY).map(|n| name(n) + ": \r\n").skip(1).step_by(2).collect();
    let mut out = Vec::new();
    let raw = raw + "\r\n";
    rewrite_trailers(&mut out, raw.as_bytes(), &mut Headers::new(MANY), named.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), passed + "\r\n");
}
