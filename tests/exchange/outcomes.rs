//! What the balancer learns of an attempt beside its time: an error that is no failure, a client
//! that leaves, a tunnel, a backend that is full.
use super::*;

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
const SWITCHING: &str = "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// One backend that has answered once, after 40 ms.
fn measured() -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(1, Policy::Adaptive);
    rig.client(GET);
    rig.advance_ms(40);
    rig.upstream(OK);
    assert_eq!(rig.estimate(0), Some(ms(40)));
    rig.row();
    rig
}

#[test]
fn a_fast_error_that_is_no_failure_makes_no_backend_look_fast_or_slow() {
    for status in [429, 500, 501, 505, 599] {
        let mut rig = measured();
        rig.client(GET);
        rig.advance_ms(1);
        rig.upstream(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!((rig.row().status, rig.estimate(0)), (status, Some(ms(40))));
    }
    for status in [200, 404, 304] {
        let mut rig = measured();
        rig.client(GET);
        rig.advance_ms(2);
        rig.upstream(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n"));
        // 40 + (2 − 40)/2.
        assert_eq!((rig.row().status, rig.estimate(0)), (status, Some(ms(21))));
    }
    for status in [502, 503, 504, 508] {
        let mut rig = measured();
        rig.client(GET);
        rig.advance_ms(1);
        rig.upstream(format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n"));
        // 40 + (5·40 − 40)/2.
        assert_eq!((rig.row().status, rig.estimate(0)), (status, Some(ms(120))));
    }
}

#[test]
fn a_client_that_leaves_says_how_long_it_waited() {
    for (waited, estimate) in [(39, 40), (60, 50), (5_000, 120)] {
        let mut rig = measured();
        rig.client(GET);
        rig.advance_ms(waited);
        rig.client_ends(StreamEnd::Reset);
        assert_eq!(rig.row().fault, Some("client_gone"));
        assert_eq!((rig.estimate(0), rig.in_flight(0)), (Some(ms(estimate)), 0), "{waited}");
    }
}

#[test]
fn what_the_client_itself_took_is_no_wait() {
    let mut rig = measured();
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n01");
    rig.advance_ms(5_000);
    rig.client_ends(StreamEnd::Reset);
    rig.row();
    assert_eq!(rig.estimate(0), Some(ms(40)));
}

#[test]
fn a_client_that_leaves_in_a_response_says_nothing_more() {
    let mut rig = measured();
    rig.client(GET);
    rig.advance_ms(40);
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    rig.advance_ms(5_000);
    rig.client_ends(StreamEnd::Reset);
    rig.row();
    assert_eq!(rig.estimate(0), Some(ms(40)));
}

#[test]
fn a_tunnel_is_measured_by_its_101_and_then_counts_as_a_tunnel() {
    let mut rig = measured();
    rig.client(UPGRADE);
    rig.advance_ms(60);
    rig.upstream(SWITCHING);
    assert_eq!(rig.estimate(0), Some(ms(50)));
    let other = rig.lease(0);
    assert_eq!((other.in_flight(), rig.in_flight(0)), (1, 2));
    rig.balancer.release(other);
    rig.client_ends(StreamEnd::Finished);
    rig.upstream_ends(StreamEnd::Finished);
    assert_eq!((rig.row().status, rig.in_flight(0)), (101, 0));
}

#[test]
fn with_all_backends_at_their_limits_a_request_is_told_to_come_again() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    let role = Role { max_in_flight: Some(1), ..Role::default() };
    let others = [0, 1].map(|backend| {
        rig.set_role(backend, role);
        rig.lease(backend)
    });
    rig.client(GET);
    let answer = rig.client_got();
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    assert!(answer.ends_with("all backends are at their limits\n"), "{answer}");
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.attempts), (503, Some("backends_full"), 0));
    for other in others {
        rig.balancer.release(other);
    }
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!((rig.row().status, rig.client_got()), (200, OK_FORWARDED.to_owned()));
}
