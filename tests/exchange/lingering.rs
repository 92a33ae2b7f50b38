//! Ends behind an answer: the stream to the client ends, and what it still sends is read and
//! dropped, for a close that meets its bytes would be a reset, which overtakes the answer.

use std::time::Duration;

use super::*;

const CLOSING_GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";

/// Every way in which an answer is the last of its connection, and the client hears its end.
fn all_last_answers() -> Vec<(&'static str, ExchangeHarness)> {
    let asked = |request: &str, set: fn(&mut ExchangeHarness)| {
        let mut rig = ExchangeHarness::new();
        set(&mut rig);
        rig.client(request);
        rig
    };
    let answered = |request: &str, set: fn(&mut ExchangeHarness), answer: &str| {
        let mut rig = asked(request, set);
        rig.upstream(answer);
        rig
    };
    let cut = |end: fn(&mut ExchangeHarness)| {
        let mut rig = answered(GET, |_| {}, CHUNKED);
        end(&mut rig);
        rig
    };
    let non_persistent =
        |rig: &mut ExchangeHarness| rig.settings.upstream_reuse = UpstreamReuse::NonPersistent;
    let no_body = |rig: &mut ExchangeHarness| rig.settings.limits.body_bytes = Some(0);
    let refuses = |rig: &mut ExchangeHarness| rig.servers[0].dials = vec![Dial::Refuses];
    let mut idle = answered(GET, |_| {}, OK);
    idle.close_idle();
    let mut tunnel = ExchangeHarness::new();
    tunnel.client("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    tunnel.upstream("HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nbye");
    tunnel.advance_ms(75_000);
    vec![
        ("the client asked for it", answered(CLOSING_GET, |_| {}, OK)),
        ("HTTP/1.0", answered("GET / HTTP/1.0\r\n\r\n", |_| {}, OK)),
        ("connections that are not kept", answered(GET, non_persistent, OK)),
        ("draining", answered(GET, |rig| rig.draining = true, OK)),
        ("no request", asked("BAD\r\n\r\n", |_| {})),
        ("too large", asked("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", no_body)),
        ("no backend", asked(CLOSING_GET, refuses)),
        ("broken off", cut(|rig| rig.upstream_ends(StreamEnd::Reset))),
        ("silence", cut(|rig| rig.advance_ms(20_000))),
        ("stopped", cut(|rig| (rig.act(Exchange::stop), rig.run()).1)),
        ("nothing more was asked", idle),
        ("a tunnel in which nothing moves", tunnel),
    ]
}

#[test]
fn whatever_makes_an_answer_the_last_the_client_may_still_send() {
    for (case, mut rig) in all_last_answers() {
        assert!(rig.client.finished, "{case}");
        for late in ["\r\n", GET, "x"] {
            assert_eq!((rig.over, rig.unread(Peer::Client)), (None, 0), "{case}");
            rig.client(late);
        }
        let rows = rig.rows().len();
        assert_eq!(rows, 1, "{case}");
        rig.client_ends(StreamEnd::Finished);
        assert_eq!((rig.over, rig.rows().len()), (Some(CloseMode::Close), 0), "{case}");
    }
}

#[test]
fn a_client_is_waited_for_for_a_limited_time_and_for_limited_bytes() {
    for (case, mut rig) in all_last_answers() {
        let limit_ms = if rig.draining { 250 } else { 30_000 };
        rig.advance_ms(limit_ms - 1);
        rig.client("x");
        assert_eq!(rig.over, None, "{case}");
        rig.advance_ms(1);
        assert_eq!(rig.over, Some(CloseMode::Close), "{case}");
    }
    let mut rig = ExchangeHarness::new();
    rig.client(CLOSING_GET);
    rig.upstream(OK);
    let megabyte = vec![b'x'; 1024 * 1024];
    (0..63).for_each(|_| rig.client(&megabyte));
    assert_eq!(rig.over, None);
    rig.client(&megabyte);
    assert_eq!(rig.over, Some(CloseMode::Close));
}

#[test]
fn the_time_counts_from_when_the_answer_has_left() {
    let mut rig = ExchangeHarness::new();
    rig.client.window = 0;
    rig.client(CLOSING_GET);
    rig.upstream(OK);
    rig.advance_ms(29_000);
    rig.client.window = usize::MAX;
    rig.run();
    rig.advance_ms(29_999);
    assert_eq!((rig.client.finished, rig.over), (true, None));
    rig.advance_ms(1);
    assert_eq!(rig.over, Some(CloseMode::Close));
}

#[test]
fn a_client_that_has_ended_its_stream_is_not_waited_for() {
    let outcome = Scene::new()
        .set(|rig| rig.settings.half_close = HalfClose::Allow)
        .client(CLOSING_GET)
        .client_ends(StreamEnd::Finished)
        .upstream(OK)
        .play();
    assert_eq!((outcome.over, outcome.row().status), (Some(CloseMode::Close), 200));
}

#[test]
fn a_client_that_is_waited_for_does_not_keep_the_proxy_from_stopping() {
    let mut rig = ExchangeHarness::new();
    rig.client(CLOSING_GET);
    rig.upstream(OK);
    rig.advance(Duration::from_secs(10));
    rig.draining = true;
    rig.act(Exchange::drain);
    rig.advance_ms(249);
    assert_eq!(rig.over, None);
    rig.advance_ms(1);
    assert_eq!(rig.over, Some(CloseMode::Close));
    // It never makes the wait longer.
    let mut rig = ExchangeHarness::new();
    rig.client(CLOSING_GET);
    rig.upstream(OK);
    rig.advance_ms(29_900);
    rig.draining = true;
    rig.act(Exchange::drain);
    rig.advance_ms(100);
    assert_eq!(rig.over, Some(CloseMode::Close));
}
