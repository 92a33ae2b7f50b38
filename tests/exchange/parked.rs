//! Requests that wait for something else than their backend's speed, such as long polls: they no
//! longer count as in flight when others choose a backend.

use super::*;

/// A request to one backend that gets no answer yet.
fn polling() -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(1, Policy::Adaptive);
    rig.client(GET);
    rig
}

/// Another client's request to the backend, which is answered after a millisecond; how many were in
/// flight then, with it.
fn another(rig: &mut ExchangeHarness) -> u32 {
    let mut lease = rig.lease(0);
    rig.advance_ms(1);
    rig.balancer.observe(&mut lease, Outcome::Answered, rig.now);
    let in_flight = lease.in_flight();
    rig.balancer.release(lease);
    in_flight
}

#[test]
fn a_request_that_was_overtaken_is_parked_after_a_second() {
    let mut rig = polling();
    rig.advance_ms(1);
    assert_eq!(another(&mut rig), 2);
    rig.advance_ms(997);
    assert_eq!(another(&mut rig), 2, "1 ms before the second is over");
    assert_eq!(another(&mut rig), 1);
    assert_eq!(rig.in_flight(0), 1, "its lease is held all the same");
    rig.upstream(OK);
    assert_eq!((rig.client_got().as_str(), rig.in_flight(0)), (OK_FORWARDED, 0));
}

#[test]
fn one_that_was_not_overtaken_is_looked_at_each_second() {
    let mut rig = polling();
    rig.advance_ms(2_500);
    assert_eq!(another(&mut rig), 2);
    assert_eq!(another(&mut rig), 2, "until it is looked at again");
    rig.advance_ms(500);
    assert_eq!(another(&mut rig), 1);
}

#[test]
fn a_response_that_goes_on_and_on_is_parked_too() {
    let mut rig = polling();
    rig.upstream("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    rig.advance_ms(1);
    assert_eq!(another(&mut rig), 2);
    rig.advance_ms(1_000);
    assert_eq!(another(&mut rig), 1);
    rig.upstream("0\r\n\r\n");
    assert_eq!((rig.row().status, rig.in_flight(0)), (200, 0));
}

#[test]
fn a_request_that_is_sent_again_counts_as_in_flight_again() {
    let mut rig = ExchangeHarness::with(1, Policy::Adaptive);
    rig.pool(0);
    rig.client(GET);
    rig.advance_ms(1);
    another(&mut rig);
    rig.advance_ms(1_000);
    assert_eq!(another(&mut rig), 1);
    // The pooled connection had become stale.
    rig.upstream_ends(StreamEnd::Finished);
    rig.advance_ms(1);
    assert_eq!(another(&mut rig), 2);
    rig.advance_ms(1_000);
    assert_eq!(another(&mut rig), 1);
}

#[test]
fn nothing_is_waited_for_any_more_by_a_request_that_is_parked_but_its_timeouts() {
    let mut rig = polling();
    rig.advance_ms(1);
    another(&mut rig);
    rig.advance_ms(2_000);
    let timeout = rig.settings.timeouts.response.expect("a limit");
    let due = rig.exchange.deadline(&rig.settings.timeouts).expect("the timeout");
    assert!(due + Duration::from_secs(4) > rig.now + timeout, "it is not looked at again");
    rig.advance(timeout);
    assert_eq!(rig.row().status, 504);
}
