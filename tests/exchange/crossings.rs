//! A request that two backends have, and whatever else happens meanwhile: nothing of it is lost or
//! counted twice.

use super::*;

const FIRST: Peer = Peer::Connection(0);
const SECOND: Peer = Peer::Connection(1);
const FAILURE: &str = "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno";

/// A request that the first two of so many backends have, each of which takes only one.
fn two_of(backends: usize) -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(backends, Policy::RoundRobin);
    let limited = Role { max_in_flight: Some(1), ..Role::default() };
    (0..backends).for_each(|backend| rig.set_role(backend, limited));
    rig.allow_hedges(1);
    rig.client(GET);
    assert!(rig.hedge());
    rig
}

/// Whether each backend takes another request.
fn free(rig: &ExchangeHarness) -> Vec<bool> {
    (0..rig.servers.len()).map(|backend| rig.in_flight(backend) == 0).collect()
}

/// The number of hedges that may still be sent.
fn tokens(rig: &ExchangeHarness) -> usize {
    (0..100).take_while(|_| rig.hedger.spend()).count()
}

#[test]
fn a_limit_counts_both_attempts_until_each_of_them_ends() {
    type Step = fn(&mut ExchangeHarness);
    let steps: [(Step, [bool; 2]); 8] = [
        (|_| {}, [false, false]),
        (|rig| rig.sends(SECOND, &OK[..20]), [false, false]),
        // The answer to the loser is read on, but that is nothing its backend has to do.
        (|rig| rig.sends(SECOND, &OK[..OK.len() - 1]), [true, false]),
        (|rig| rig.sends(FIRST, OK), [true, true]),
        (|rig| rig.sends(FIRST, FAILURE), [false, false]),
        (|rig| rig.ends(FIRST, StreamEnd::Reset), [true, false]),
        (|rig| rig.ends(SECOND, StreamEnd::Finished), [false, true]),
        (|rig| rig.client_ends(StreamEnd::Reset), [true, true]),
    ];
    for (at, (step, expected)) in steps.into_iter().enumerate() {
        let mut rig = two_of(2);
        step(&mut rig);
        assert_eq!(free(&rig), expected, "step {at}");
        rig.act(Exchange::stop);
        rig.run();
        assert_eq!(free(&rig), [true, true], "step {at}");
        assert_eq!(tokens(&rig), 1, "of two that were earned one was spent");
    }
}

#[test]
fn when_both_have_failed_a_backend_at_its_limit_gets_no_third_attempt() {
    let mut rig = two_of(3);
    let other = rig.lease(2);
    rig.ends(FIRST, StreamEnd::Reset);
    rig.ends(SECOND, StreamEnd::Reset);
    assert_reply(&rig.client_got(), 503, false);
    assert_eq!((rig.row().fault, rig.connections.len()), (Some("backends_full"), 2));
    rig.balancer.release(other);
    assert_eq!(free(&rig), [true; 3]);
}

#[test]
fn a_hedge_over_a_stale_connection_is_sent_over_another_one_and_is_the_same_hedge() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.allow_hedges(1);
        rig.client(GET);
        rig.pool(1);
        assert!(rig.hedge());
        let stale = rig.links.into_iter().flatten().last().unwrap();
        rig.ends(Peer::Connection(stale), how);
        let backends: Vec<_> = rig.connections.iter().map(|c| (c.backend, c.closed)).collect();
        assert_eq!(backends, [(0, false), (1, true), (1, false)]);
        assert_eq!((rig.hedges.len(), rig.is_ejected(1)), (1, false));
        rig.sends(Peer::Connection(2), OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        let row = rig.row();
        assert_eq!((row.backend, row.hedge, row.attempts), (Some(1), Some("won"), 3));
        assert_eq!((free(&rig), tokens(&rig)), (vec![true, true], 1));
    }
}

#[test]
fn either_backend_may_be_removed_at_any_time() {
    for (removed, left) in [(0, 1), (1, 0)] {
        // While both are silent.
        let mut rig = two_of(2);
        let ids = rig.ids.clone();
        rig.remove(&ids[removed..=removed]);
        assert!(free(&rig)[removed]);
        rig.sends(Peer::Connection(left), OK);
        assert_eq!((rig.client_got().as_str(), rig.row().fault), (OK_FORWARDED, None));
        // While its failure is held back.
        let mut rig = two_of(2);
        let ids = rig.ids.clone();
        rig.sends(Peer::Connection(removed), FAILURE);
        rig.remove(&ids[removed..=removed]);
        rig.advance_ms(5000);
        assert_eq!(rig.client_got(), "", "what it had said is gone with it");
        rig.sends(Peer::Connection(left), OK);
        assert_eq!((rig.client_got().as_str(), rig.row().status), (OK_FORWARDED, 200));
        // When it has lost.
        let mut rig = two_of(2);
        let ids = rig.ids.clone();
        rig.sends(Peer::Connection(left), &OK[..OK.len() - 1]);
        rig.remove(&ids[removed..=removed]);
        rig.sends(Peer::Connection(left), "k");
        assert_eq!((rig.client_got().as_str(), rig.row().fault), (OK_FORWARDED, None));
        // When it has won, and its answer is not whole.
        let mut rig = two_of(2);
        let ids = rig.ids.clone();
        rig.sends(Peer::Connection(removed), &OK[..OK.len() - 1]);
        rig.remove(&ids[removed..=removed]);
        assert!(rig.client_got().ends_with("\r\n\r\no"));
        let row = rig.row();
        assert_eq!((row.status, row.fault), (200, Some("backend_removed")));
        assert_eq!(free(&rig), [true, true]);
    }
}

#[test]
fn while_the_proxy_drains_both_may_fail_and_the_request_goes_to_a_third_backend() {
    let mut rig = two_of(3);
    rig.draining = true;
    rig.sends(FIRST, &OK[..9]);
    rig.ends(SECOND, StreamEnd::Reset);
    rig.ends(FIRST, StreamEnd::Reset);
    let got = rig.client_got();
    let row = rig.row();
    // The head of an answer had begun, so it is no silence, and nothing is sent again.
    assert_reply(&got, 502, true);
    assert_eq!((row.fault, row.attempts, row.hedge), (Some("upstream_closed"), 2, Some("lost")));
    let mut rig = two_of(3);
    rig.draining = true;
    rig.ends(SECOND, StreamEnd::Reset);
    rig.ends(FIRST, StreamEnd::Reset);
    rig.advance_ms(5000);
    assert_eq!(rig.connections.len(), 3, "there is no other hedge");
    rig.upstream(OK);
    let closing = "Content-Length: 2\r\nConnection: close\r\n";
    assert_eq!(rig.client_got(), answered("200 OK", "", closing, "ok"));
    assert_eq!((rig.row().attempts, free(&rig)), (3, vec![true; 3]));
}

#[test]
fn a_client_that_leaves_during_a_third_attempt_leaves_nothing_behind() {
    let mut rig = two_of(3);
    rig.ends(FIRST, StreamEnd::Reset);
    rig.ends(SECOND, StreamEnd::Reset);
    assert_eq!(free(&rig), [true, true, false]);
    rig.client_ends(StreamEnd::Reset);
    let row = rig.row();
    assert_eq!((row.status, row.attempts, row.hedge), (499, 3, Some("lost")));
    assert_eq!((free(&rig), tokens(&rig)), (vec![true; 3], 1));
}

#[test]
fn a_request_that_is_sent_again_earns_nothing_once_more() {
    let mut rig = two_of(3);
    assert_eq!(tokens(&rig), 1, "that of the harness, or that of the request");
    rig.ends(SECOND, StreamEnd::Reset);
    rig.ends(FIRST, StreamEnd::Reset);
    assert_eq!(rig.connections.len(), 3);
    assert_eq!(tokens(&rig), 0);
}

#[test]
fn a_hedge_that_finds_no_backend_costs_nothing() {
    // There is none, all were tried, or the other one is at its limit.
    for (backends, is_full) in [(1, false), (2, true)] {
        let mut rig = ExchangeHarness::with(backends, Policy::RoundRobin);
        rig.allow_hedges(1);
        let limited = Role { max_in_flight: Some(1), ..Role::default() };
        let other = is_full.then(|| {
            rig.set_role(1, limited);
            rig.lease(1)
        });
        rig.client(GET);
        rig.advance_ms(5000);
        assert_eq!((rig.hedges.len(), tokens(&rig)), (0, 1));
        if let Some(lease) = other {
            rig.balancer.release(lease);
        }
    }
}

#[test]
fn a_request_that_found_no_token_does_not_ask_again() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.client(GET);
    assert_eq!(tokens(&rig), 1, "another request took it");
    rig.advance_ms(150);
    (0..5).for_each(|_| rig.hedger.earn(&rig.settings.hedging));
    rig.advance_ms(5000);
    assert_eq!(rig.connections.len(), 1, "it would gain less than one that has just become late");
}

#[test]
fn a_backend_that_stays_busy_is_looked_at_ever_more_rarely() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.set_role(1, Role { max_in_flight: Some(1), ..Role::default() });
    let other = rig.lease(1);
    rig.client(GET);
    let mut looked_at = 0;
    for _ in 0..9000 {
        let before = rig.exchange.deadline(&rig.settings.timeouts);
        rig.advance_ms(1);
        looked_at += usize::from(rig.exchange.deadline(&rig.settings.timeouts) != before);
    }
    // Twenty-one times in the first nine seconds, and parking each second.
    assert!((20..=31).contains(&looked_at), "{looked_at}");
    rig.balancer.release(other);
}
