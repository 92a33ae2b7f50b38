//! Responses that break off: never may a client take one for whole.

use super::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn truncated(request: &str, response: &str, how: StreamEnd) -> scene::Outcome {
    let outcome = Scene::new().client(request).upstream(response).upstream_ends(how).play();
    let row = outcome.row();
    assert_eq!((row.status, row.fault), (200, Some("response_truncated")), "{response:?}");
    outcome
}

#[test]
fn a_short_body_of_known_length_ends_short() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let response = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
        let outcome = truncated(GET, response, how);
        let sent = answered("200 OK", "", "Content-Length: 10\r\n", "01234");
        assert_eq!((outcome.client, outcome.over), (sent, Some(CloseMode::Close)));
    }
}

#[test]
fn chunks_without_their_end_end_without_it() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        for body in
            ["5\r\nhello", "5\r\nhello\r\n", "5\r\nhello\r\n0\r\n", "5;", "0\r\nX-Sum: 6\r\n"]
        {
            let outcome = truncated(GET, &format!("{CHUNKED}{body}"), how);
            assert!(read::whole_response(&outcome.client).is_none(), "{body:?}");
            assert_eq!(outcome.over, Some(CloseMode::Close), "{body:?}");
        }
    }
}

#[test]
fn chunks_made_of_a_body_that_was_reset_lack_their_end() {
    let outcome = Scene::new()
        .client(GET)
        .upstream("HTTP/1.1 200 OK\r\n\r\nhello")
        .upstream_ends(StreamEnd::Reset)
        .loose_chunks()
        .play();
    assert!(!outcome.client.contains("\r\n0\r\n"), "{}", outcome.client);
    assert_eq!(outcome.over, Some(CloseMode::Close));
    assert_eq!(outcome.row().fault, Some("response_truncated"));
}

#[test]
fn a_client_that_takes_the_end_for_the_end_is_reset() {
    let old = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    let until_close = "HTTP/1.1 200 OK\r\n\r\nhello";
    assert_eq!(truncated(old, until_close, StreamEnd::Reset).over, Some(CloseMode::Reset));
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let chunks = format!("{CHUNKED}5\r\nhello\r\n");
        let outcome = truncated(old, &chunks, how);
        let sent = answered("200 OK", "", "Connection: close\r\n", "hello");
        assert_eq!((outcome.client, outcome.over), (sent, Some(CloseMode::Reset)));
    }
}

#[test]
fn invalid_chunks_break_the_response_off() {
    for body in ["x", "5\r\nhelloXX", "1\r\na\r\n0\r\nX Y: 1\r\n\r\n"] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.upstream(CHUNKED);
        rig.upstream(body);
        let got = rig.client_got();
        assert!(read::whole_response(&got).is_none(), "{got}");
        assert_eq!((rig.row().status, rig.ending()), (200, Some(CloseMode::Close)), "{body}");
    }
}

#[test]
fn a_response_that_breaks_before_anything_was_sent_is_a_502() {
    for (body, fault) in [
        ("x\r\n", "response_bad_chunk_size"),
        ("11111111111111111\r\n", "response_chunk_too_large"),
        ("1\r\na0\r\n\r\n", "response_bad_chunk_end"),
        ("0\r\nX Y: 1\r\n\r\n", "response_trailer_bad_field"),
    ] {
        let response = format!("{CHUNKED}{body}");
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.upstream(response);
        assert_reply(&rig.client_got(), 502, false);
        let row = rig.row();
        assert_eq!((row.status, row.fault), (502, Some(fault)));
        rig.client(GET);
        rig.upstream(OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
    }
}

#[test]
fn a_response_that_breaks_behind_an_interim_one_is_a_502() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream("HTTP/1.1 100 Continue\r\n\r\n");
    rig.upstream(format!("{CHUNKED}x\r\n"));
    let got = rig.client_got();
    assert_reply(got.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").expect("both"), 502, false);
    assert_eq!(rig.row().status, 502);
}

#[test]
fn an_end_before_or_within_the_head_is_a_502() {
    for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n\r"] {
        for how in [StreamEnd::Finished, StreamEnd::Reset] {
            let outcome = Scene::new().client(GET).upstream(part).upstream_ends(how).play();
            assert_reply(&outcome.client, 502, false);
            let row = outcome.row();
            assert_eq!((row.status, row.fault), (502, Some("upstream_closed")));
        }
    }
}

#[test]
fn what_was_pending_is_sent_before_the_cut() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 20;
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
    rig.upstream_ends(StreamEnd::Reset);
    assert_eq!((rig.over, rig.rows()), (None, Vec::new()));
    rig.client.window = usize::MAX;
    rig.run();
    assert_eq!(rig.client_got(), answered("200 OK", "", "Content-Length: 10\r\n", "01234"));
    assert_eq!(
        (rig.row().fault, rig.ending()),
        (Some("response_truncated"), Some(CloseMode::Close))
    );
}

#[test]
fn an_interim_response_that_was_sent_in_part_is_finished_before_the_502() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 10;
    rig.upstream(interim);
    rig.upstream("junk\r\n\r\n");
    rig.client.window = usize::MAX;
    rig.run();
    assert_reply(rig.client_got().strip_prefix(interim).expect("both"), 502, false);
}
