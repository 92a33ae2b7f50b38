//! Answers that come before the request is whole: the client shall see them, and what it still
//! sends is either wanted by the backend or dropped.

use std::time::Duration;

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
const CLOSING: &str = "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno";

fn post_forwarded(body: &str) -> String {
    forwarded("POST / HTTP/1.1", "", "Content-Length: 10\r\n", body)
}

#[test]
fn a_backend_that_answers_early_and_reads_on_gets_the_rest() {
    let outcome = Scene::new()
        .client(POST.to_owned() + "01234")
        .upstream(OK)
        .client("56789")
        .client(GET)
        .upstream(OK)
        .play();
    assert_eq!(outcome.client, OK_FORWARDED.repeat(2));
    assert_eq!(outcome.upstreams, [post_forwarded("0123456789") + GET_FORWARDED]);
    assert_eq!((outcome.rows[0].status, outcome.rows[0].fault), (200, None));
}

#[test]
fn a_backend_that_answers_early_and_closes_gets_no_more() {
    let outcome = Scene::new()
        .client(POST.to_owned() + "01234")
        .upstream(CLOSING)
        .client("56789")
        .client(GET)
        .client_ends(StreamEnd::Finished)
        .play();
    let answer = answered("413 Too Large", "", "Content-Length: 2\r\nConnection: close\r\n", "no");
    assert_eq!(outcome.client, answer);
    assert_eq!(outcome.upstreams, [post_forwarded("01234")]);
    assert!(outcome.finished, "the client's end is waited for");
    assert_eq!(outcome.over, Some(CloseMode::Close));
    assert_eq!((outcome.row().status, outcome.row().fault), (413, None));
}

#[test]
fn a_backend_that_answers_early_and_then_ends_gets_no_more() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let outcome = Scene::new()
            .client(POST.to_owned() + "01234")
            .upstream(OK)
            .upstream_ends(how)
            .client("56789")
            .client_ends(StreamEnd::Finished)
            .play();
        assert_eq!(outcome.client, OK_FORWARDED);
        assert!(outcome.finished);
        assert_eq!((outcome.row().status, outcome.row().fault), (200, None));
    }
}

#[test]
fn a_backend_that_answers_early_and_stops_reading_is_still_heard() {
    let outcome = Scene::new()
        .client(POST)
        .upstream_ends(StreamEnd::WriteFailed)
        .client("0123456789")
        .upstream(OK)
        .client_ends(StreamEnd::Finished)
        .play();
    assert!(outcome.client.ends_with("\r\n\r\nok"), "{}", outcome.client);
    assert!(outcome.client.contains("\r\nConnection: close\r\n") || !outcome.finished);
    assert_eq!((outcome.row().status, outcome.row().fault), (200, None));
    assert_eq!(outcome.over, Some(CloseMode::Close));
}

#[test]
fn a_client_that_ends_before_its_body_does_is_refused() {
    let outcome =
        Scene::new().client(POST.to_owned() + "01234").client_ends(StreamEnd::Finished).play();
    assert_reply(&outcome.client, 400, true);
    assert_eq!(outcome.over, Some(CloseMode::Close));
    let row = outcome.row();
    assert_eq!((row.status, row.fault), (400, Some("request_incomplete")));
    assert_eq!((row.method.as_str(), row.path.as_str()), ("POST", "/"));
}

#[test]
fn a_refused_body_is_dropped_until_the_client_ends() {
    let mut rig = ExchangeHarness::new();
    rig.settings.limits.body_bytes = Some(5);
    rig.client(POST.to_owned() + "01234");
    assert_reply(&rig.client_got(), 413, true);
    assert!(rig.client.finished);
    assert_eq!(rig.row().fault, Some("request_too_large"));
    rig.client("56789");
    assert_eq!((rig.unread(Peer::Client), rig.over), (0, None));
    rig.client_ends(StreamEnd::Finished);
    assert_eq!(rig.over, Some(CloseMode::Close));
    assert_eq!(rig.rows(), []);
}

#[test]
fn dropping_ends_at_a_limit() {
    let mut rig = ExchangeHarness::new();
    rig.settings.limits.body_bytes = Some(5);
    rig.client(POST);
    let megabyte = vec![b'x'; 1024 * 1024];
    for _ in 0..63 {
        rig.client(&megabyte);
        assert_eq!(rig.over, None);
    }
    rig.client(&megabyte);
    assert_eq!(rig.over, Some(CloseMode::Close));
}

#[test]
fn what_was_dropped_before_the_answer_had_left_counts_too() {
    let mut rig = ExchangeHarness::new();
    rig.settings.limits.body_bytes = Some(5);
    rig.client.window = 0;
    rig.client(POST);
    let megabyte = vec![b'x'; 1024 * 1024];
    (0..40).for_each(|_| rig.client(&megabyte));
    rig.client.window = usize::MAX;
    rig.run();
    assert_reply(&rig.client_got(), 413, true);
    (0..23).for_each(|_| rig.client(&megabyte));
    assert_eq!(rig.over, None);
    rig.client(&megabyte);
    assert_eq!(rig.over, Some(CloseMode::Close));
}

#[test]
fn dropping_ends_in_time_even_if_the_client_goes_on() {
    let mut rig = ExchangeHarness::new();
    rig.settings.limits.body_bytes = Some(5);
    rig.client(POST);
    for _ in 0..29 {
        rig.advance(Duration::from_secs(1));
        rig.client("x");
        assert_eq!(rig.over, None);
    }
    rig.advance(Duration::from_secs(1));
    assert_eq!(rig.over, Some(CloseMode::Close));
}

#[test]
fn a_client_that_resets_while_it_is_waited_for_has_its_row_already() {
    let mut rig = ExchangeHarness::new();
    rig.client("BAD\r\n\r\n");
    assert_eq!(rig.row().status, 400);
    rig.client_ends(StreamEnd::Reset);
    assert_eq!((rig.rows(), rig.over), (Vec::new(), Some(CloseMode::Close)));
}

#[test]
fn a_client_that_ends_while_its_refusal_is_on_the_way_still_gets_it() {
    let mut rig = ExchangeHarness::new();
    rig.client.window = 0;
    rig.client("BAD\r\n\r\n");
    rig.client_ends(StreamEnd::Finished);
    assert_eq!(rig.over, None);
    rig.client.window = usize::MAX;
    rig.run();
    assert_reply(&rig.client_got(), 400, true);
    assert_eq!((rig.row().status, rig.over), (400, Some(CloseMode::Close)));
}

#[test]
fn a_client_that_ends_while_an_early_answer_is_on_the_way_is_done() {
    let mut rig = ExchangeHarness::new();
    rig.client(POST.to_owned() + "01234");
    rig.client.window = 0;
    rig.upstream(OK);
    rig.upstream_ends(StreamEnd::Finished);
    rig.client_ends(StreamEnd::Finished);
    rig.client.window = usize::MAX;
    rig.run();
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert_eq!((rig.row().status, rig.over), (200, Some(CloseMode::Close)));
}
