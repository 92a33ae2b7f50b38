//! Clients that leave: nobody works for them any longer, and the log says so. An end of stream
//! behind a whole request means that it left, or that it only has no more to ask, as is set.

use super::*;

const LONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";

fn assert_left(rig: &mut ExchangeHarness) -> Row {
    let row = rig.row();
    assert_eq!((row.status, row.fault), (499, Some("client_gone")));
    assert!(rig.over.is_some());
    assert!(rig.connections.iter().all(|connection| connection.closed));
    row
}

#[test]
fn a_reset_in_the_head_names_what_was_asked() {
    let mut rig = ExchangeHarness::new();
    rig.client("GET /x HTTP/1.1\r\nHo");
    rig.client_ends(StreamEnd::Reset);
    let row = assert_left(&mut rig);
    assert_eq!((row.method.as_str(), row.path.as_str()), ("GET", "/x"));
    assert_eq!((row.request_bytes, row.backend, row.latency), (19, None, None));
}

#[test]
fn a_reset_while_connecting_leaves_the_backend_alone() {
    let mut rig = ExchangeHarness::new();
    rig.servers[0].dials = vec![Dial::Hangs];
    rig.client(GET);
    rig.client_ends(StreamEnd::Reset);
    let row = assert_left(&mut rig);
    assert_eq!((row.backend, row.attempts), (Some(0), 1));
    assert!(!rig.is_ejected(0));
}

#[test]
fn a_reset_drops_the_work_of_the_backend_and_leaves_no_sample() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.client(GET);
    rig.advance_ms(5);
    rig.client_ends(StreamEnd::Reset);
    assert_left(&mut rig);
    assert_eq!(rig.estimate(0), None);
}

#[test]
fn a_reset_in_the_body_or_in_the_answer() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234";
    for (request, answer) in [(post, ""), (post, LONG), (GET, LONG)] {
        let mut rig = ExchangeHarness::new();
        rig.client(request);
        rig.upstream(answer);
        let sent = rig.client_got().len() as u64;
        rig.client_ends(StreamEnd::Reset);
        assert_eq!(assert_left(&mut rig).response_bytes, sent);
    }
}

#[test]
fn a_write_that_fails_is_leaving() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client_ends(StreamEnd::WriteFailed);
    assert_eq!(rig.over, None, "nothing is written yet");
    rig.upstream(LONG);
    assert_left(&mut rig);
}

#[test]
fn a_write_that_fails_with_the_whole_answer_here_keeps_the_backends_connection() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client_ends(StreamEnd::WriteFailed);
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (499, Some("client_gone")));
    assert_eq!(rig.servers[0].pool.len(), 1);
}

#[test]
fn a_write_of_a_refusal_that_fails() {
    let mut rig = ExchangeHarness::new();
    rig.client_ends(StreamEnd::WriteFailed);
    rig.client("BAD\r\n\r\n");
    let row = rig.row();
    assert_eq!((row.status, row.fault), (499, Some("bad_request_line")));
}

const POST_ONE: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";

fn allow(rig: &mut ExchangeHarness) {
    rig.settings.half_close = HalfClose::Allow;
}

#[test]
fn an_end_while_the_answer_is_awaited_cancels_the_attempt() {
    for request in [GET, POST_ONE, &GET.repeat(2)] {
        let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
        rig.client(request);
        rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 O");
        rig.client_ends(StreamEnd::Finished);
        assert_left(&mut rig);
        assert_eq!((rig.estimate(0), rig.is_ejected(0)), (None, false));
    }
}

#[test]
fn an_end_that_comes_with_the_request_or_while_connecting_cancels_it() {
    for dial in [Dial::Answers, Dial::Hangs] {
        let mut rig = ExchangeHarness::new();
        rig.servers[0].dials = vec![dial];
        rig.client.end = Some(StreamEnd::Finished);
        rig.client(GET);
        assert_left(&mut rig);
    }
}

#[test]
fn an_end_once_the_answer_has_begun_changes_nothing() {
    for (begun, rest) in [("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", "ok"), (OK, "")] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.client.window = 0;
        rig.upstream(begun);
        rig.client_ends(StreamEnd::Finished);
        if !rest.is_empty() {
            rig.upstream(rest);
        }
        rig.client.window = usize::MAX;
        rig.run();
        assert_eq!(rig.client_got(), OK_FORWARDED);
        assert_eq!((rig.row().fault, rig.over), (None, Some(CloseMode::Close)));
    }
}

#[test]
fn an_end_behind_a_whole_request_is_answered_where_that_is_allowed() {
    for request in [GET, POST_ONE] {
        let outcome = Scene::new()
            .set(allow)
            .client(request)
            .client_ends(StreamEnd::Finished)
            .upstream(OK)
            .play();
        assert_eq!(outcome.client, OK_FORWARDED);
        assert_eq!((outcome.row().status, outcome.row().fault), (200, None));
        assert_eq!(outcome.over, Some(CloseMode::Close));
    }
}

#[test]
fn an_end_behind_pipelined_requests_comes_after_all_answers() {
    let outcome = Scene::new()
        .set(allow)
        .client(GET.repeat(2))
        .client_ends(StreamEnd::Finished)
        .upstream(OK)
        .upstream(OK)
        .play();
    assert_eq!(outcome.client, OK_FORWARDED.repeat(2));
    assert_eq!((outcome.rows.len(), outcome.over), (2, Some(CloseMode::Close)));
}

#[test]
fn an_end_in_the_head_is_a_400() {
    for head in ["G", "GET /x", "GET /x HTTP/1.1\r\nHost: a\r\n"] {
        let outcome = Scene::new().client(head).client_ends(StreamEnd::Finished).play();
        assert_reply(&outcome.client, 400, true);
        let row = outcome.row();
        assert_eq!((row.status, row.fault), (400, Some("request_incomplete")));
        assert_eq!(row.request_bytes, head.len() as u64);
        assert!(head.starts_with(&row.method) && head.contains(&row.path), "{row:?}");
    }
}

#[test]
fn an_end_in_the_body_cuts_an_answer_that_is_on_its_way() {
    let mut rig = ExchangeHarness::new();
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
    rig.upstream(LONG);
    rig.client_ends(StreamEnd::Finished);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (200, Some("request_incomplete")));
    assert_eq!(rig.over, Some(CloseMode::Close));
    assert!(rig.connections[0].closed);
}

#[test]
fn a_reset_behind_a_pipelined_request_ends_both_with_a_row_for_the_one_begun() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET.repeat(2));
    rig.client_ends(StreamEnd::Reset);
    assert_left(&mut rig);
}

#[test]
fn who_leaves_before_the_row_is_written_is_hung_up_on_behind_it() {
    for request in [GET.to_owned() + GET, GET.to_owned(), "BAD\r\n\r\n".to_owned()] {
        for how in [StreamEnd::Reset, StreamEnd::WriteFailed] {
            let mut rig = ExchangeHarness::new();
            rig.client.window = 0;
            rig.client(&request);
            if rig.attached().is_some() {
                rig.upstream(OK);
            }
            // The last byte leaves, so the row is asked for; then comes word of the end.
            let pending = rig.exchange.pending(Side::Client).concat().len();
            rig.exchange.sent(Side::Client, pending, rig.now);
            rig.act(Exchange::work);
            rig.exchange.closed(Side::Client, how);
            rig.act(Exchange::work);
            rig.run();
            assert_eq!((rig.rows().len(), rig.over), (1, Some(CloseMode::Close)));
            assert_eq!(
                rig.connections.iter().filter(|c| !c.socket.received.is_empty()).count(),
                usize::from(request.starts_with("GET")),
                "{request}"
            );
        }
    }
}
