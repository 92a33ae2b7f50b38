//! Backends that can't be reached: another one is tried, for nothing was sent yet.

use std::time::Duration;

use super::*;
use tidegate::proxy::budget::RetryBudget;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

fn rig(dials: [Dial; 3]) -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(3, Policy::RoundRobin);
    for (server, dial) in rig.servers.iter_mut().zip(dials) {
        server.dials = vec![dial];
    }
    rig
}

#[test]
fn a_refused_connect_goes_to_the_next_backend_for_any_method() {
    for request in [GET, POST] {
        for dial in [Dial::Refuses, Dial::NoRoute] {
            let mut rig = rig([dial, Dial::Answers, Dial::Answers]);
            rig.client(request);
            assert!(!rig.upstream_got().is_empty());
            rig.upstream(OK);
            assert_eq!(rig.client_got(), OK_FORWARDED);
            let row = rig.row();
            assert_eq!((row.backend, row.attempts, row.fault), (Some(1), 2, None));
            assert!(rig.is_ejected(0) && !rig.is_ejected(1));
        }
    }
}

#[test]
fn a_connect_that_takes_too_long_goes_to_the_next_backend() {
    let mut rig = rig([Dial::Hangs, Dial::Answers, Dial::Answers]);
    rig.client(POST);
    rig.advance_ms(999);
    assert_eq!(rig.connections.len(), 1);
    rig.advance_ms(1);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let row = rig.row();
    assert_eq!((row.backend, row.attempts, row.fault), (Some(1), 2, None));
    assert_eq!(row.latency, Some(Duration::from_secs(1)), "from the first backend's choice on");
    assert!(rig.is_ejected(0));
}

#[test]
fn a_backends_other_addresses_are_no_attempts() {
    let mut rig = rig([Dial::Refuses, Dial::Answers, Dial::Answers]);
    rig.servers[0].dials = vec![Dial::Refuses, Dial::Hangs, Dial::Answers];
    rig.client(GET);
    assert_eq!(rig.connections.len(), 2);
    rig.advance_ms(1000);
    assert_eq!((rig.connections.len(), rig.upstream_got().as_str()), (3, GET_FORWARDED));
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!((row.backend, row.attempts), (Some(0), 1));
    assert!(!rig.is_ejected(0));
}

#[test]
fn with_no_backend_in_reach_the_last_reason_is_told() {
    for (dial, fault) in [
        (Dial::Refuses, "connect_refused"),
        (Dial::Hangs, "connect_timeout"),
        (Dial::NoRoute, "connect_unreachable"),
    ] {
        let mut rig = rig([Dial::Refuses, Dial::Refuses, dial]);
        rig.client(POST);
        rig.advance_ms(1000);
        assert_reply(&rig.client_got(), 503, false);
        let row = rig.row();
        assert_eq!((row.status, row.fault, row.attempts), (503, Some(fault), 3));
        assert_eq!((row.backend, row.connect, row.first_byte), (Some(2), None, None));
        assert!((0..3).all(|backend| rig.is_ejected(backend)));
    }
}

#[test]
fn attempts_are_limited() {
    let mut rig = rig([Dial::Refuses, Dial::Refuses, Dial::Answers]);
    rig.settings.limits.attempts = 2;
    rig.client(GET);
    assert_reply(&rig.client_got(), 503, false);
    assert_eq!(rig.row().attempts, 2);
    assert_eq!(rig.connections.len(), 2);
}

#[test]
fn when_all_cool_off_one_is_tried_all_the_same() {
    let mut rig = rig([Dial::Refuses; 3]);
    rig.client(GET);
    assert_reply(&rig.client_got(), 503, false);
    rig.rows();
    rig.servers[0].dials = vec![Dial::Answers];
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!((rig.client_got().as_str(), rig.row().backend), (OK_FORWARDED, Some(0)));
}

#[test]
fn what_this_host_lacks_is_no_fault_of_a_backend() {
    let mut rig = ExchangeHarness::with(3, Policy::AdaptiveEwma { alpha: 1.0 });
    rig.servers[0].dials = vec![Dial::NoResources];
    rig.client(GET);
    assert_reply(&rig.client_got(), 503, false);
    let row = rig.row();
    assert_eq!((row.fault, row.attempts), (Some("resource_exhausted"), 1));
    assert_eq!((rig.is_ejected(0), rig.estimate(0)), (false, None));
    rig.servers[0].dials = vec![Dial::Answers];
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!(rig.row().backend, Some(0), "its probe was given back");
}

#[test]
fn what_a_backend_lost_in_silence_goes_to_another_if_that_does_no_harm() {
    let mut rig = rig([Dial::Answers; 3]);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Reset);
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.attempts, row.backend), (200, None, 2, Some(1)));
    assert_eq!(rig.connections.len(), 2);
}

#[test]
fn a_failure_is_counted_at_each_backend_after_which_another_one_was_tried() {
    let mut rig = rig([Dial::Refuses, Dial::Answers, Dial::Answers]);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Reset);
    rig.upstream_ends(StreamEnd::Reset);
    assert_eq!(rig.failures, [(0, "connect_refused"), (1, "upstream_closed")]);
    let row = rig.row();
    assert_eq!(
        (row.backend, row.fault),
        (Some(2), Some("upstream_closed")),
        "the row has the last"
    );
    // That a pooled connection has become stale is no failure.
    let mut rig = self::rig([Dial::Answers; 3]);
    rig.pool(0);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    rig.upstream(OK);
    assert_eq!((rig.row().attempts, rig.failures.len()), (2, 0));
}

#[test]
fn what_may_be_sent_again_is_limited() {
    let mut rig = rig([Dial::Answers; 3]);
    rig.budget = RetryBudget::new(0, rig.now);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Reset);
    assert_reply(&rig.client_got(), 502, false);
    assert_eq!(rig.row().attempts, 1);
}

#[test]
fn a_row_tells_of_the_last_attempt() {
    let mut rig = rig([Dial::Answers; 3]);
    rig.pool(1);
    rig.client(GET);
    rig.advance_ms(5);
    rig.upstream_ends(StreamEnd::Finished);
    rig.advance_ms(7);
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!((row.backend, row.connect), (Some(1), None), "it came from the pool");
    assert_eq!(row.first_byte, Some(Duration::from_millis(7)));
    assert_eq!(row.latency, Some(Duration::from_millis(12)));
}

#[test]
fn what_is_not_idempotent_reaches_one_backend_at_most() {
    let mut rig = rig([Dial::Answers; 3]);
    rig.client(POST);
    rig.upstream_ends(StreamEnd::Reset);
    assert_reply(&rig.client_got(), 502, false);
    let row = rig.row();
    assert_eq!((row.fault, row.attempts), (Some("upstream_closed"), 1));
    assert_eq!(rig.connections.len(), 1);
}

#[test]
fn a_request_body_waits_while_backends_are_tried() {
    let mut rig = rig([Dial::Hangs, Dial::Hangs, Dial::Answers]);
    let body = "x".repeat(200_000);
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
    rig.client(head + &body);
    assert!(rig.unread(Peer::Client) > 100_000, "no more than a block is read ahead");
    rig.advance_ms(2000);
    assert!(rig.upstream_got().ends_with(&body));
    rig.upstream(OK);
    assert_eq!((rig.client_got().as_str(), rig.row().attempts), (OK_FORWARDED, 3));
}

#[test]
fn each_address_has_its_own_time() {
    let mut rig = rig([Dial::Answers; 3]);
    rig.servers[0].dials = vec![Dial::Hangs, Dial::Hangs, Dial::Answers];
    rig.client(GET);
    rig.advance_ms(1999);
    assert_eq!((rig.connections.len(), rig.upstream_got().as_str()), (2, ""));
    rig.advance_ms(1);
    assert_eq!(rig.upstream_got(), GET_FORWARDED);
    rig.advance_ms(5);
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!(row.attempts, 1);
    // The attempt began with the first address, and so do its times and the policy's sample.
    assert_eq!(row.connect, Some(Duration::from_secs(2)));
    assert_eq!(row.first_byte, Some(Duration::from_millis(2005)));
}

#[test]
fn a_refusal_of_ours_suits_the_request() {
    let mut rig = rig([Dial::Refuses; 3]);
    rig.client("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(rig.client_got().ends_with("\r\n\r\n"), "no body for HEAD");
    rig.rows();
    rig.client("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_reply(&rig.client_got(), 503, true);
}

#[test]
fn a_request_whose_backend_left_is_tried_at_the_one_that_stayed() {
    // As many backends are left as were tried.
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.servers[0].dials = vec![Dial::Hangs];
    rig.client(GET);
    rig.drain(0);
    rig.advance_ms(1000);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let row = rig.row();
    assert_eq!((row.attempts, row.fault), (2, None));
    assert_eq!(rig.connections[1].backend, 1);
}

#[test]
fn a_request_whose_backends_all_left_fails_when_it_has_tried_the_one_it_was_sent_to() {
    let mut rig = ExchangeHarness::with(1, Policy::RoundRobin);
    rig.servers[0].dials = vec![Dial::Hangs];
    rig.client(GET);
    rig.drain(0);
    rig.advance_ms(1000);
    assert_reply(&rig.client_got(), 503, false);
    assert_eq!(rig.row().attempts, 1);
}
