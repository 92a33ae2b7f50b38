//! Bodies on their way: framed as they came where the other side can read it, else anew.

use super::*;

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn post(framing: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n{body}")
}

#[test]
fn a_body_of_known_length_passes_both_ways() {
    let outcome = Scene::new()
        .client(post("Content-Length: 10\r\n", "0123456789"))
        .upstream("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nabcde")
        .play();
    let sent = forwarded("POST / HTTP/1.1", "", "Content-Length: 10\r\n", "0123456789");
    assert_eq!(outcome.upstreams, [sent]);
    assert_eq!(outcome.client, answered("201 Created", "", "Content-Length: 5\r\n", "abcde"));
}

#[test]
fn an_empty_body_is_a_body() {
    let outcome = Scene::new().client(post("Content-Length: 0\r\n", "")).upstream(OK).play();
    let sent = forwarded("POST / HTTP/1.1", "", "Content-Length: 0\r\n", "");
    assert_eq!(outcome.upstreams, [sent]);
    assert_eq!(outcome.client, OK_FORWARDED);
}

#[test]
fn chunks_pass_both_ways_without_extensions_and_with_trailers() {
    let body = "5;ext=\"a;b\"\r\nhello\r\n1 \t;x\r\n!\r\n0;last\r\nX-Sum: 6\r\n\r\n";
    let clean = "5\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 6\r\n\r\n";
    let outcome = Scene::new()
        .client(post(CHUNKED, body))
        .upstream(format!("HTTP/1.1 200 OK\r\n{CHUNKED}\r\n{body}"))
        .client(GET)
        .upstream(OK)
        .play();
    let sent = forwarded("POST / HTTP/1.1", "", CHUNKED, clean);
    assert_eq!(outcome.upstreams, [sent + GET_FORWARDED]);
    assert_eq!(outcome.client, answered("200 OK", "", CHUNKED, clean) + OK_FORWARDED);
}

#[test]
fn trailers_that_steer_and_those_named_by_connection_are_dropped() {
    let trailers = "0\r\nContent-Length: 3\r\nHost: b\r\nX-Hop: 1\r\nX-Sum: 6\r\n\r\n";
    let named = format!("Connection: X-Hop\r\n{CHUNKED}");
    let outcome = Scene::new()
        .client(post(&named, trailers))
        .upstream(format!("HTTP/1.1 200 OK\r\n{named}\r\n{trailers}"))
        .play();
    let kept = "0\r\nX-Sum: 6\r\n\r\n";
    assert_eq!(outcome.upstreams, [forwarded("POST / HTTP/1.1", "", CHUNKED, kept)]);
    assert_eq!(outcome.client, answered("200 OK", "", CHUNKED, kept));
}

#[test]
fn what_one_request_names_is_not_named_by_the_next() {
    let named = format!("Connection: X-Sum\r\n{CHUNKED}");
    let trailers = "0\r\nX-Sum: 6\r\n\r\n";
    let outcome = Scene::new()
        .client(post(&named, trailers))
        .upstream(OK)
        .client(post(CHUNKED, trailers))
        .upstream(OK)
        .play();
    assert!(outcome.upstreams[0].ends_with(trailers), "{}", outcome.upstreams[0]);
}

#[test]
fn what_an_interim_response_names_is_not_named_by_the_final_one() {
    let hints = "HTTP/1.1 103 Early Hints\r\nConnection: X-Sum\r\n\r\n";
    let outcome = Scene::new()
        .client(GET)
        .upstream(format!("{hints}HTTP/1.1 200 OK\r\n{CHUNKED}\r\n0\r\nX-Sum: 6\r\n\r\n"))
        .play();
    assert!(outcome.client.ends_with("0\r\nX-Sum: 6\r\n\r\n"), "{}", outcome.client);
}

#[test]
fn chunks_become_bare_data_for_an_http_10_client() {
    let outcome = Scene::new()
        .client("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        .upstream(format!("HTTP/1.1 200 OK\r\n{CHUNKED}\r\n3;x\r\nabc\r\n0\r\nX-Sum: 6\r\n\r\n"))
        .play();
    assert_eq!(outcome.client, answered("200 OK", "", "Connection: close\r\n", "abc"));
    assert_eq!(outcome.over, Some(CloseMode::Close));
    assert_eq!(outcome.row().fault, None);
}

#[test]
fn a_body_that_ends_with_the_connection_becomes_chunks() {
    let outcome = Scene::new()
        .client(GET)
        .upstream("HTTP/1.1 200 OK\r\n\r\nhello ")
        .upstream("world")
        .upstream_ends(StreamEnd::Finished)
        .client(GET)
        .upstream(OK)
        .loose_chunks()
        .play();
    let (first, rest) = outcome.client.split_at(outcome.client.len() - OK_FORWARDED.len());
    assert_eq!(read::whole_response(first).expect("whole").body, b"hello world");
    assert_eq!(rest, OK_FORWARDED);
    assert_eq!(outcome.upstreams.len(), 2);
}

#[test]
fn a_body_that_ends_with_the_connection_stays_so_for_an_http_10_client() {
    let outcome = Scene::new()
        .client("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        .upstream("HTTP/1.1 200 OK\r\n\r\nhello ")
        .upstream("world")
        .upstream_ends(StreamEnd::Finished)
        .play();
    assert_eq!(outcome.client, answered("200 OK", "", "Connection: close\r\n", "hello world"));
    assert_eq!(outcome.over, Some(CloseMode::Close));
}

#[test]
fn a_body_of_an_http_10_backend_may_end_without_a_byte() {
    let outcome = Scene::new()
        .client(GET)
        .upstream("HTTP/1.0 200 OK\r\n\r\n")
        .upstream_ends(StreamEnd::Finished)
        .play();
    assert_eq!(outcome.client, answered("200 OK", "", CHUNKED, "0\r\n\r\n"));
}

#[test]
fn invalid_chunks_of_a_request_are_refused_and_the_backend_never_sees_an_end() {
    for (body, fault) in [
        ("x\r\n", "bad_chunk_size"),
        ("5;\nhello\r\n0\r\n\r\n", "bad_chunk_extension"),
        ("1\r\nab0\r\n\r\n", "bad_chunk_end"),
        ("0\r\nX Y: 1\r\n\r\n", "trailer_bad_field"),
        ("0\r\nX: 1\r\n 2\r\n\r\n", "trailer_obs_fold"),
        ("0\r\nX: 1\n\r\n", "bad_trailer"),
    ] {
        let outcome = Scene::new().client(post(CHUNKED, body)).play_to_the_end();
        assert_reply(&outcome.client, 400, true);
        assert_eq!((outcome.row().status, outcome.row().fault), (400, Some(fault)), "{body:?}");
        for sent in outcome.upstreams {
            assert!(read::requests(&sent).iter().all(|request| !request.is_whole), "{body:?}");
        }
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    fn limit(rig: &mut ExchangeHarness) {
        rig.settings.limits.body_bytes = Some(5);
    }
    let outcome = Scene::new().set(limit).client(post("Content-Length: 5\r\n", "12345"));
    assert_eq!(outcome.upstream(OK).play().client, OK_FORWARDED);
    let announced = Scene::new().set(limit).client(post("Content-Length: 6\r\n", "123456")).play();
    assert_reply(&announced.client, 413, true);
    assert_eq!(announced.upstreams, [""; 0]);
    let chunks = post(CHUNKED, "3\r\nabc\r\n2\r\nab\r\n0\r\n\r\n");
    assert_eq!(Scene::new().set(limit).client(chunks).upstream(OK).play().client, OK_FORWARDED);
    let chunks = post(CHUNKED, "3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n");
    let streamed = Scene::new().set(limit).client(chunks).play_to_the_end();
    assert_reply(&streamed.client, 413, true);
    assert_eq!(streamed.row().fault, Some("request_too_large"));
}

#[test]
fn large_bodies_stream_through_a_bounded_buffer() {
    let body = "0123456789abcdef".repeat(64 * 1024);
    for write_bytes in [usize::MAX, 65_537, 4096, 1000] {
        let mut rig = ExchangeHarness::new();
        rig.write_bytes = write_bytes;
        rig.client(post(&format!("Content-Length: {}\r\n", body.len()), &body));
        let got = rig.upstream_got();
        assert!(got.len() > body.len() && got.ends_with(&body));
        rig.upstream(format!("HTTP/1.1 200 OK\r\n{CHUNKED}\r\n100000\r\n{body}\r\n0\r\n\r\n"));
        let got = rig.client_got();
        assert!(read::whole_response(&got).expect("whole").body == body.as_bytes());
        let row = rig.row();
        assert_eq!((row.fault, row.response_bytes), (None, got.len() as u64));
    }
}

#[test]
fn a_client_that_reads_nothing_holds_back_the_backend() {
    for framing in ["Content-Length: 1000000\r\n", "", CHUNKED] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.client.window = 0;
        rig.upstream(format!("HTTP/1.1 200 OK\r\n{framing}\r\n"));
        let piece = "x".repeat(0x300);
        let chunk = format!("300\r\n{piece}\r\n");
        for _ in 0..300 {
            rig.upstream(if framing == CHUNKED { &chunk } else { &piece });
        }
        assert!(rig.unread(Peer::Upstream) > 100_000, "{framing}");
    }
}

#[test]
fn an_endless_answer_in_small_pieces_leaves_nothing_behind() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream("HTTP/1.1 200 OK\r\n\r\n");
    for _ in 0..1000 {
        rig.upstream("x".repeat(1000));
    }
    rig.upstream_ends(StreamEnd::Finished);
    let got = rig.client_got();
    assert_eq!(read::whole_response(&got).expect("whole").body.len(), 1_000_000);
}

#[test]
fn large_interim_responses_leave_nothing_behind() {
    let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000));
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    for _ in 0..100 {
        rig.upstream(&hints);
    }
    rig.upstream(OK);
    assert_eq!(rig.client_got(), hints.repeat(100) + OK_FORWARDED);
}

#[test]
fn a_client_that_reads_nothing_holds_back_interim_responses() {
    let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(15_000));
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 0;
    rig.upstream(hints.repeat(50) + OK);
    assert!(rig.unread(Peer::Upstream) > 500_000);
    rig.client.window = usize::MAX;
    rig.run();
    assert_eq!(rig.client_got(), hints.repeat(50) + OK_FORWARDED);
}
