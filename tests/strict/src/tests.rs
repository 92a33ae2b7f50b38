use super::*;

fn faults_of_request(bytes: &[u8]) -> Faults {
    requests(bytes).into_iter().flat_map(|request| request.faults).collect()
}

fn to_get(methods: &[Vec<u8>], ending: Option<Ending>) -> Reader<'_> {
    Reader { methods, ending, is_http10: false }
}

fn read(bytes: &[u8]) -> Responses {
    responses(bytes, to_get(&[b"GET".to_vec()], Some(Ending::Finished)))
}

#[test]
fn requests_are_separated() {
    let bytes = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\
        PUT /b HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n\
        a;x=\"y\"\r\n0123456789\r\n1\r\n!\r\n00\r\nX-T: \tv \r\n\r\n\
        GET /c HTTP/1.1\r\nHost: a\r\n\r\nHEAD /d HT";
    let requests = requests(bytes);
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.faults.is_empty()), "{requests:#?}");
    let bodies: Vec<&[u8]> = requests.iter().map(|request| request.body.as_slice()).collect();
    assert_eq!(bodies, [&b"hi"[..], b"0123456789!", b"", b""]);
    assert_eq!(values(&requests[1].trailers, "x-t"), [b"v"]);
    assert_eq!(requests.iter().filter(|request| request.is_whole).count(), 3);
    assert!(!requests[3].has_head);
}

#[test]
fn a_request_is_complete_with_its_last_byte_and_valid_up_to_it() {
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    ] {
        for end in 1..=bytes.len() {
            let requests = requests(&bytes[..end]);
            assert!(requests[0].faults.is_empty(), "{end} {requests:?}");
            assert_eq!((requests.len(), requests[0].is_whole), (1, end == bytes.len()));
        }
    }
}

#[test]
fn a_bad_request_head_has_a_fault() {
    let head = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n").into_bytes();
    for line in [
        "GET / HTTP/1.0",
        "GET / HTTP/1.2",
        "GET / http/1.1",
        "GET  / HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /",
        "",
    ] {
        assert!(!faults_of_request(&head(line, "Host: a\r\n")).is_empty(), "{line}");
    }
    for fields in [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nX-A : b\r\n",
        "Host: a\r\nX(A): b\r\n",
        "Host: a\r\n: b\r\n",
        "Host: a\r\nNoColon\r\n",
        "Host: a\r\n X-A: b\r\n",
        "Host: a\r\n\tb\r\n",
        "Host: a\r\nX-A: b\nX-B: c\r\n",
        "Host: a\r\nX-A: b\rX-B: c\r\n",
        "Host: a\r\nX-A: b\0\r\n",
        "Host: a\r\nX-A: b\u{1}\r\n",
        "Host: a\r\nX-A: b\u{7f}\r\n",
        "Host: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
        "Host: a\r\nContent-Length: 0, 0\r\n",
        "Host: a\r\nContent-Length: +0\r\n",
        "Host: a\r\nContent-Length:\r\n",
        "Host: a\r\nContent-Length: 99999999999999999999\r\n",
        "Host: a\r\nTransfer-Encoding: gzip\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, gzip\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: ,chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    ] {
        let bytes = head("GET / HTTP/1.1", fields);
        assert!(!faults_of_request(&bytes).is_empty(), "{fields}");
    }
    assert!(!faults_of_request(b"GET / HTTP/1.1\nHost: a\n\n").is_empty());
    assert_eq!(faults_of_request(&head("GET /\u{e9} HTTP/1.1", "Host:\r\nX: \u{e9}\r\n")), [""; 0]);
}

#[test]
fn a_bad_chunk_has_a_fault_and_ends_the_parsing() {
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "3\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        ";x\r\nhello\r\n0\r\n\r\n",
        "5;\u{7f}\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\r\nhello\r\n0\r\nX-A : b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: b\nX-B: c\r\n\r\n",
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(!faults_of_request(format!("{head}{body}").as_bytes()).is_empty(), "{body:?}");
    }
}

#[test]
fn responses_are_separated_and_what_follows_them_is_surplus() {
    let bytes =
        b"HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\
        HTTP/1.1 304 \r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        1\r\n!\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n";
    let methods = [b"HEAD".to_vec(), b"GET".to_vec(), b"GET".to_vec()];
    let seen = responses(bytes, to_get(&methods, None));
    assert_eq!(seen.faults, [""; 0]);
    assert_eq!((seen.finals.len(), seen.interims.len()), (3, 1));
    assert!(seen.finals.iter().all(|response| response.is_whole));
    assert_eq!(seen.finals[2].body, b"!");
    assert_eq!(seen.surplus, b"HTTP/1.1 200 OK\r\n");
}

#[test]
fn where_a_response_ends_depends_on_its_framing() {
    let cases: [(&str, Extent, Option<Ending>, bool); 7] = [
        ("Content-Length: 2\r\n\r\nok", Extent::Length, None, true),
        ("Content-Length: 3\r\n\r\nok", Extent::Length, Some(Ending::Finished), false),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Extent::Chunked, None, true),
        ("Transfer-Encoding: chunked\r\n\r\n0\r\n", Extent::Chunked, Some(Ending::Finished), false),
        ("\r\nok", Extent::UntilClose, Some(Ending::Finished), true),
        ("\r\nok", Extent::UntilClose, Some(Ending::Reset), false),
        ("\r\nok", Extent::UntilClose, None, false),
    ];
    for (rest, extent, ending, is_whole) in cases {
        let bytes = format!("HTTP/1.1 200 OK\r\n{rest}");
        let methods = [b"GET".to_vec()];
        let seen = responses(bytes.as_bytes(), to_get(&methods, ending));
        let first = &seen.finals[0];
        assert_eq!((first.extent, first.is_whole), (extent, is_whole), "{rest} {ending:?}");
    }
    let tunnel = read(b"HTTP/1.1 101 Switching\r\n\r\n\0\x01");
    assert_eq!((tunnel.finals[0].extent, tunnel.faults.len()), (Extent::Tunnel, 0));
}

#[test]
fn a_bad_response_has_a_fault() {
    for bytes in [
        "garbage garbage",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 200 O\u{7f}K\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 103 Early\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
    ] {
        assert!(!read(bytes.as_bytes()).faults.is_empty(), "{bytes:?}");
    }
    let methods = [b"GET".to_vec()];
    let reader = Reader { is_http10: true, ..to_get(&methods, None) };
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(responses(chunked, reader).faults.len(), 1);
}
