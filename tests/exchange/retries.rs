//! Pooled connections that turn out to be dead: what did no harm the first time is sent again,
//! once, on a fresh connection to the same backend.

use std::time::Duration;

use super::*;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

fn put_forwarded(body: &str) -> String {
    forwarded("PUT / HTTP/1.1", "", "Content-Length: 3\r\n", body)
}

/// Has the budget allow one more re-sending, behind the requests of a test.
pub(super) fn allow_one(rig: &mut ExchangeHarness) {
    while rig.budget.spend(rig.now).is_some() {}
    (0..5).for_each(|_| rig.budget.earn());
}

/// How many requests may be sent again.
pub(super) fn budget(rig: &mut ExchangeHarness) -> usize {
    (0..1_000).take_while(|_| rig.budget.spend(rig.now).is_some()).count()
}

fn pooled() -> ExchangeHarness {
    let mut rig = ExchangeHarness::new();
    rig.pool(0);
    rig
}

#[test]
fn an_idempotent_request_is_sent_again_however_the_connection_died() {
    let put = put_forwarded("abc");
    for (request, sent) in [(GET, GET_FORWARDED), (PUT, put.as_str())] {
        for how in [StreamEnd::Finished, StreamEnd::Reset] {
            let mut rig = pooled();
            rig.client(request);
            rig.upstream_ends(how);
            let got = rig.connections.iter().map(|c| c.socket.received.as_slice());
            assert_eq!(got.collect::<Vec<_>>(), [sent.as_bytes(), sent.as_bytes()]);
            assert!(rig.connections[0].closed);
            rig.upstream(OK);
            assert_eq!(rig.client_got(), OK_FORWARDED);
            let row = rig.row();
            assert_eq!((row.status, row.fault, row.attempts), (200, None, 2));
        }
    }
}

#[test]
fn a_write_that_fails_is_followed_by_reading_how_it_ended() {
    for request in [GET, POST] {
        let mut rig = pooled();
        rig.connections[0].socket.broken = true;
        rig.client(request);
        assert_eq!(rig.connections.len(), 1);
        rig.upstream_ends(StreamEnd::Reset);
        assert_eq!(rig.connections.len(), 2, "nothing was sent, so any method is sent again");
        rig.upstream(OK);
        assert_eq!((rig.client_got().as_str(), rig.row().attempts), (OK_FORWARDED, 2));
    }
}

#[test]
fn an_answer_on_a_connection_that_takes_no_more_counts() {
    let mut rig = pooled();
    rig.connections[0].socket.broken = true;
    rig.client(GET);
    rig.upstream("HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(rig.client_got().starts_with("HTTP/1.1 400 "));
    assert_eq!(rig.row().status, 400);
    assert!(rig.connections[0].closed);
}

#[test]
fn a_request_that_is_not_idempotent_is_not_sent_twice() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let mut rig = pooled();
        rig.client(POST);
        rig.upstream_ends(how);
        assert_reply(&rig.client_got(), 502, false);
        let row = rig.row();
        assert_eq!((row.fault, row.attempts), (Some("upstream_closed"), 1));
        assert_eq!(rig.connections.len(), 1);
    }
}

#[test]
fn one_byte_sent_is_enough_to_send_no_more() {
    let mut rig = pooled();
    rig.connections[0].socket.window = 1;
    rig.client(POST);
    rig.upstream_ends(StreamEnd::Reset);
    assert_reply(&rig.client_got(), 502, false);
    assert_eq!(rig.row().attempts, 1);
}

#[test]
fn not_one_byte_sent_is_no_reason_against_it() {
    let mut rig = pooled();
    rig.connections[0].socket.window = 0;
    rig.client(POST);
    rig.upstream_ends(StreamEnd::Finished);
    assert_eq!(rig.connections.len(), 2);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
}

#[test]
fn a_fresh_connection_is_not_replaced() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    assert_reply(&rig.client_got(), 502, false);
    assert_eq!((rig.row().attempts, rig.connections.len()), (1, 1));
}

#[test]
fn the_second_try_is_the_last_and_passes_the_pool_by() {
    let mut rig = pooled();
    rig.pool(0);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    assert_eq!((rig.connections.len(), rig.servers[0].pool.len()), (3, 1));
    rig.upstream_ends(StreamEnd::Finished);
    assert_reply(&rig.client_got(), 502, false);
    assert_eq!(rig.row().attempts, 2);
}

#[test]
fn an_answer_that_began_is_no_silence() {
    for part in ["H", "HTTP/1.1 103 Early Hints\r\n\r\n"] {
        let mut rig = pooled();
        rig.client(GET);
        rig.upstream(part);
        rig.upstream_ends(StreamEnd::Reset);
        assert!(rig.client_got().contains("HTTP/1.1 502 "));
        assert_eq!((rig.row().attempts, rig.connections.len()), (1, 1));
    }
}

#[test]
fn a_body_that_is_still_here_is_sent_again_and_one_that_is_gone_is_not() {
    let mut rig = pooled();
    rig.client("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
    rig.upstream_ends(StreamEnd::Reset);
    rig.client("bc");
    assert_eq!(rig.upstream_got(), put_forwarded("abc"), "its beginning had joined the head");
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);

    let mut rig = pooled();
    rig.client("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    rig.client("ab");
    rig.upstream_ends(StreamEnd::Reset);
    assert_reply(&rig.client_got(), 502, true);
    assert_eq!(rig.row().attempts, 1);
}

#[test]
fn a_large_whole_body_is_kept_to_be_sent_again() {
    let body = "x".repeat(50_000);
    let mut rig = pooled();
    rig.write_bytes = 1000;
    rig.client(format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n{body}"));
    rig.upstream_ends(StreamEnd::Reset);
    assert!(read::request(&rig.upstream_got()).body == body.as_bytes());
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
}

#[test]
fn the_sample_starts_with_the_fresh_connection() {
    let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.pool(0);
    rig.client(GET);
    rig.advance_ms(700);
    rig.upstream_ends(StreamEnd::Finished);
    rig.advance_ms(5);
    rig.upstream(OK);
    assert_eq!(rig.estimate(0), Some(Duration::from_millis(5)));
    let row = rig.row();
    assert_eq!(row.latency, Some(Duration::from_millis(705)), "the client waited for both");
    assert_eq!(row.first_byte, Some(Duration::from_millis(5)));
    assert_eq!(row.connect, Some(Duration::ZERO));
}

#[test]
fn a_fresh_connection_that_is_refused_goes_to_another_backend() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.pool(0);
    rig.servers[0].dials = vec![Dial::Refuses];
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let row = rig.row();
    assert_eq!((row.backend, row.attempts), (Some(1), 3));
}

#[test]
fn replacing_a_stale_connection_is_an_attempt() {
    let mut rig = pooled();
    rig.settings.limits.attempts = 1;
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    assert_reply(&rig.client_got(), 502, false);
    assert_eq!(rig.row().attempts, 1);
}

/// Two backends, of which the second one answers connects so, and a request that was lost by the
/// first one, which the budget allows to send once more.
fn lost_by_one_of_two(second: Dial) -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.servers[1].dials = vec![second];
    allow_one(&mut rig);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Reset);
    rig
}

#[test]
fn what_could_not_be_sent_again_costs_nothing_of_the_budget() {
    let mut stale = pooled();
    allow_one(&mut stale);
    stale.servers[0].dials = vec![Dial::Refuses];
    stale.client(GET);
    stale.upstream_ends(StreamEnd::Reset);
    let refused = lost_by_one_of_two(Dial::Refuses);
    let mut left = lost_by_one_of_two(Dial::Hangs);
    left.client_ends(StreamEnd::Reset);
    for (mut rig, status) in [(stale, 503), (refused, 503), (left, 499)] {
        let row = rig.row();
        assert_eq!((row.status, row.attempts), (status, 2));
        assert_eq!(budget(&mut rig), 1);
    }
}

#[test]
fn what_was_sent_again_has_its_price_whichever_backend_got_it() {
    for dial in [Dial::Answers, Dial::Refuses] {
        let mut rig = ExchangeHarness::with(3, Policy::RoundRobin);
        rig.settings.limits.attempts = 3;
        rig.servers[1].dials = vec![dial];
        allow_one(&mut rig);
        rig.client(GET);
        rig.upstream_ends(StreamEnd::Reset);
        rig.upstream(OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        rig.row();
        assert_eq!(budget(&mut rig), 0);
    }
}
