//! When a second attempt begins: once the last one has been silent for the delay, and only where
//! it does no harm.

use super::*;

const FIRST: Peer = Peer::Connection(0);
const SECOND: Peer = Peer::Connection(1);

const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Backends that answered within these times, of which the first is the fastest.
fn adaptive(measured: &[u64]) -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(measured.len(), Policy::Adaptive);
    for (backend, took) in measured.iter().enumerate() {
        rig.measure(backend, ms(*took));
    }
    rig.allow_hedges(1);
    rig
}

/// Backends by turns, and enough budget for all hedges that may be asked for.
fn in_turn(backends: usize) -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(backends, Policy::RoundRobin);
    rig.allow_hedges(1);
    (0..5).for_each(|_| rig.hedger.earn(&rig.settings.hedging));
    rig
}

#[test]
fn it_begins_when_the_delay_is_over_and_not_before() {
    let mut rig = adaptive(&[10, 90]);
    rig.client(GET);
    rig.advance_ms(99);
    assert_eq!(rig.connections.len(), 1);
    rig.advance_ms(1);
    assert_eq!(rig.hedges, [(1, HedgeEvent::Sent)]);
    rig.advance_ms(9000);
    assert_eq!(rig.connections.len(), 2, "there is one");
    rig.sends(SECOND, OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert_eq!((rig.row().hedge, rig.connections[0].discarded), (Some("won"), true));
}

#[test]
fn a_row_without_one_says_nothing_of_it() {
    let mut rig = adaptive(&[10, 90]);
    rig.client(GET);
    rig.advance_ms(99);
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!((row.hedge, row.hedge_backend, row.attempts), (None, None, 1));
}

#[test]
fn without_hedging_there_is_none() {
    let mut rig = adaptive(&[10, 90]);
    rig.settings.hedging.percent = None;
    rig.client(GET);
    rig.advance_ms(5000);
    assert_eq!(rig.connections.len(), 1);
}

#[test]
fn each_of_several_waits_for_the_delay_of_the_one_before() {
    let mut rig = in_turn(4);
    rig.settings.hedging.attempts = 3;
    rig.client(GET);
    for (time, count) in [(99, 1), (1, 2), (99, 2), (1, 3), (99, 3), (1, 4), (5000, 4)] {
        rig.advance_ms(time);
        assert_eq!(rig.connections.len(), count);
    }
    rig.sends(Peer::Connection(2), OK);
    let row = rig.row();
    let third = u16::try_from(rig.connections[2].backend).ok();
    assert_eq!((row.backend, row.hedge, row.hedge_backend), (third, Some("won"), third));
    assert!((0..4).all(|at| rig.in_flight(at) == 0));
}

#[test]
fn when_a_hedge_fails_another_one_may_follow_after_the_delay() {
    for (hedges, expected) in [(1, 2), (2, 3)] {
        let mut rig = in_turn(3);
        rig.settings.hedging.attempts = hedges;
        rig.client(GET);
        rig.advance_ms(100);
        rig.ends(SECOND, StreamEnd::Reset);
        rig.advance_ms(99);
        assert_eq!(rig.connections.len(), 2);
        rig.advance_ms(1);
        assert_eq!(rig.connections.len(), expected);
        rig.sends(FIRST, OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        assert!((0..3).all(|at| rig.in_flight(at) == 0));
    }
}

#[test]
fn the_delay_is_learnt_from_each_first_attempt_once_and_from_no_failure() {
    // The first sample is the delay; of those that follow, each longer one adds 47.5 % to it.
    let first = |rig: &mut ExchangeHarness| {
        rig.settings.hedging = Hedging { percent: Some(5), ..Hedging::default() };
        rig.client(GET);
        rig.advance_ms(10);
        rig.upstream(OK);
        rig.client(GET);
    };
    let once = |rig: &ExchangeHarness| {
        let delay = rig.hedger.delay(&rig.settings.hedging).unwrap();
        delay == Duration::from_micros(14_750)
    };
    let mut rig = in_turn(2);
    first(&mut rig);
    rig.advance_ms(11);
    rig.upstream("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
    assert!(!once(&rig), "a failure");
    // The client leaves before the answer, or while its body comes.
    for answer in ["", &OK[..OK.len() - 1]] {
        let mut rig = in_turn(2);
        first(&mut rig);
        rig.advance_ms(11);
        rig.upstream(answer);
        rig.client_ends(StreamEnd::Reset);
        assert!(once(&rig), "{answer}");
    }
    // An error that is held back, and sent later.
    let mut rig = in_turn(2);
    first(&mut rig);
    assert!(rig.hedge());
    rig.sends(FIRST, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    rig.advance_ms(100);
    assert!(once(&rig) && rig.client_got().contains(" 500 "));
}

#[test]
fn an_attempt_that_has_begun_to_answer_is_not_hedged() {
    let mut rig = in_turn(2);
    rig.client(GET);
    rig.upstream(&OK[..20]);
    rig.advance_ms(5000);
    assert_eq!(rig.connections.len(), 1);
    // An interim response is not the beginning of the answer.
    let mut rig = in_turn(2);
    rig.client(GET);
    rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
    rig.advance_ms(100);
    assert_eq!(rig.connections.len(), 2);
}

#[test]
fn a_stale_connection_is_replaced_before_and_the_delay_counts_from_then() {
    let mut rig = in_turn(2);
    rig.pool(0);
    rig.client(GET);
    rig.advance_ms(60);
    rig.ends(FIRST, StreamEnd::Finished);
    rig.advance_ms(99);
    assert_eq!(rig.connections.len(), 2);
    rig.advance_ms(1);
    assert_eq!(rig.connections.len(), 3);
    assert_eq!(rig.hedges, [(1, HedgeEvent::Sent)]);
}

#[test]
fn what_the_budget_does_not_allow_does_not_begin() {
    let mut rig = in_turn(2);
    while rig.hedger.spend() {}
    rig.settings.hedging.percent = Some(50);
    for expected in [None, Some("lost"), None, Some("lost")] {
        rig.client(GET);
        rig.advance_ms(5000);
        let links: Vec<usize> = rig.links.into_iter().flatten().collect();
        rig.sends(Peer::Connection(links[0]), OK);
        assert_eq!(rig.row().hedge, expected);
    }
    // What may not be sent twice earns nothing.
    for _ in 0..10 {
        rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        rig.upstream(OK);
    }
    assert!(!rig.hedger.spend());
}

#[test]
fn where_no_other_backend_may_have_it_now_it_is_tried_again_when_the_silence_is_a_quarter_longer() {
    let limited = Role { max_in_flight: Some(1), ..Role::default() };
    let mut rig = in_turn(2);
    rig.set_role(1, limited);
    let other = rig.lease(1);
    let turn = rig.lease(0);
    rig.balancer.release(turn);
    rig.client(GET);
    assert_eq!(rig.connections[0].backend, 0);
    rig.advance_ms(130);
    rig.balancer.release(other);
    rig.advance_ms(26);
    assert_eq!(rig.connections.len(), 1, "looked at after 100 and 125 ms, next after 156.25");
    rig.advance_ms(1);
    assert_eq!(rig.connections.len(), 2);
}

#[test]
fn an_unmeasured_backend_gets_no_hedge_and_a_request_that_measures_one_is_not_hedged() {
    let mut rig = ExchangeHarness::with(2, Policy::Adaptive);
    rig.allow_hedges(1);
    rig.client(GET);
    rig.advance_ms(3000);
    assert_eq!(rig.connections.len(), 1, "it measures the first one");
    rig.upstream(OK);
    rig.client(GET);
    assert_eq!(rig.connections[1].backend, 1);
    rig.advance_ms(3000);
    assert_eq!(rig.connections.len(), 2, "and it the second one");
    rig.upstream(OK);
    rig.client(GET);
    rig.advance_ms(100);
    assert_eq!(rig.hedges.len(), 1);
}

#[test]
fn a_backend_that_is_ejected_gets_none() {
    let mut rig = in_turn(2);
    let mut lease = rig.lease(1);
    rig.balancer.observe(&mut lease, Outcome::Unreachable, rig.now);
    rig.balancer.release(lease);
    rig.client(GET);
    rig.advance_ms(400);
    assert_eq!(rig.connections.len(), 1);
}

#[test]
fn none_begins_while_the_proxy_drains() {
    for drains_first in [false, true] {
        let mut rig = in_turn(2);
        rig.draining = drains_first;
        rig.client(GET);
        rig.draining = true;
        rig.advance_ms(5000);
        assert_eq!(rig.connections.len(), 1);
    }
}

#[test]
fn the_same_backend_may_have_it_twice_if_that_is_allowed() {
    let mut rig = ExchangeHarness::new();
    rig.allow_hedges(2);
    rig.settings.hedging.same = true;
    rig.client(GET);
    assert!(!rig.hedge(), "round-robin does not know whether it is busy");

    let mut rig = adaptive(&[10]);
    rig.allow_hedges(2);
    rig.settings.hedging.same = true;
    rig.client(GET);
    assert!(rig.hedge() && rig.hedge());
    assert_eq!(rig.in_flight(0), 3);
    rig.sends(Peer::Connection(2), OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert_eq!((rig.row().hedge_backend, rig.in_flight(0)), (Some(0), 0));
}

#[test]
fn the_delay_is_learnt_from_what_requests_took() {
    let mut rig = adaptive(&[10, 90]);
    rig.settings.hedging.delay = None;
    rig.client(GET);
    rig.advance_ms(50);
    assert_eq!(rig.connections.len(), 1, "nothing is known yet");
    rig.upstream(OK);
    assert_eq!(rig.hedger.delay(&rig.settings.hedging), Some(ms(50)));
    rig.client(GET);
    rig.advance_ms(50);
    assert_eq!(rig.hedges.len(), 1);
    rig.advance_ms(10);
    rig.sends(Peer::Connection(1), OK);
    // The first attempt took 60 ms at least; the hedge's 10 ms say nothing of the delay.
    assert!(rig.hedger.delay(&rig.settings.hedging) >= Some(ms(50)));
}

#[test]
fn an_attempt_that_is_cancelled_took_at_least_so_long() {
    for (waited, raised) in [(60, false), (300, true)] {
        let mut rig = adaptive(&[200, 200]);
        rig.settings.hedging.delay = Some(ms(50));
        rig.client(GET);
        let before = rig.estimate(0);
        rig.advance_ms(waited);
        rig.sends(SECOND, OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        assert_eq!(rig.estimate(0) > before, raised, "{before:?} to {:?}", rig.estimate(0));
        assert!(rig.estimate(0) >= before && !rig.is_ejected(0), "it is no failure");
    }
}

#[test]
fn the_answer_to_a_cancelled_attempt_is_awaited_only_where_it_may_end_soon() {
    /// What is done before the second attempt is answered, and whether the first one's connection
    /// is kept for the end of its answer.
    type Case = (fn(&mut ExchangeHarness), bool);
    let cases: [Case; 5] = [
        (|_| {}, true),
        (|rig| rig.sends(FIRST, "HTTP/1.1 2"), false),
        (|rig| rig.sends(FIRST, "HTTP/1.1 103 Early Hints\r\n\r\n"), false),
        (|rig| rig.sends(FIRST, "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"), false),
        (|rig| rig.draining = true, false),
    ];
    for (place, (happens, is_kept)) in cases.into_iter().enumerate() {
        let mut rig = in_turn(2);
        rig.client(GET);
        assert!(rig.hedge());
        happens(&mut rig);
        rig.sends(SECOND, OK);
        let Connection { discarded, closed, .. } = rig.connections[0];
        assert_eq!((discarded, closed), (is_kept, !is_kept), "{place}");
    }
    // A part of the request, or of the way to the backend, is missing.
    let mut rig = in_turn(2);
    rig.pool(0);
    rig.connections[0].socket.window = 10;
    rig.client(GET);
    assert!(rig.hedge());
    rig.sends(SECOND, OK);
    assert!(rig.connections[0].closed);
}

#[test]
fn without_persistent_connections_a_cancelled_one_is_closed() {
    let mut rig = in_turn(2);
    rig.settings.upstream_reuse = UpstreamReuse::NonPersistent;
    rig.client(GET);
    assert!(rig.hedge());
    rig.sends(SECOND, OK);
    assert!(rig.connections.iter().all(|connection| connection.closed));
    assert_eq!((rig.row().hedge, rig.ending()), (Some("won"), Some(CloseMode::Close)));
}

#[test]
fn a_failure_that_waits_is_sent_when_the_delay_is_over() {
    for status in [500, 503] {
        let mut rig = in_turn(2);
        rig.client(GET);
        assert!(rig.hedge());
        let failure = format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno");
        rig.advance_ms(10);
        rig.sends(FIRST, failure);
        rig.advance_ms(99);
        assert_eq!(rig.client_got(), "");
        rig.advance_ms(1);
        let expected = answered(&format!("{status} No"), "", "Content-Length: 2\r\n", "no");
        assert_eq!(rig.client_got(), expected);
        let row = rig.row();
        assert_eq!((row.status, row.backend, row.hedge), (status, Some(0), Some("lost")));
        assert!(rig.connections[1].discarded && rig.in_flight(1) == 0);
    }
}

#[test]
fn settings_that_change_meanwhile_hold_from_then_on() {
    let mut rig = in_turn(2);
    rig.client(GET);
    rig.settings.hedging.percent = None;
    rig.advance_ms(5000);
    assert_eq!(rig.connections.len(), 1, "it is off now");
    let mut rig = in_turn(2);
    rig.client(GET);
    assert!(rig.hedge());
    rig.settings.hedging.percent = None;
    rig.sends(FIRST, "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno");
    rig.advance_ms(0);
    assert!(rig.client_got().starts_with("HTTP/1.1 503 "), "there is no delay any more");
}

#[test]
fn both_may_be_removed_or_fail_while_a_third_backend_is_left() {
    let mut rig = in_turn(3);
    rig.client(GET);
    assert!(rig.hedge());
    let ids = rig.ids.clone();
    rig.remove(&ids[1..2]);
    assert_eq!(rig.client_got(), "");
    rig.ends(FIRST, StreamEnd::Reset);
    assert_eq!(rig.connections.len(), 3, "it is sent again, as if there had been no hedge");
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let row = rig.row();
    assert_eq!((row.backend, row.hedge, row.hedge_backend), (Some(2), Some("lost"), Some(1)));
    assert_eq!((row.attempts, rig.failures.len()), (3, 2));
}

#[test]
fn what_can_not_be_sent_twice_or_has_an_answer_is_not_sent_twice() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let part = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc";
    let upgrade = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
    let bound = "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n";
    let ours = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";
    for request in ["", "GET /", post, part, upgrade, bound, ours, "BAD\r\n\r\n"] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.allow_hedges(1);
        rig.client(request);
        let before = rig.connections.len();
        assert!(!rig.hedge(), "{request}");
        assert_eq!(rig.connections.len(), before, "{request}");
    }
    for answer in [&OK[..OK.len() - 1], OK, "junk\r\n\r\n"] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.allow_hedges(1);
        rig.client(GET);
        rig.upstream(answer);
        assert!(!rig.hedge(), "{answer}");
    }
    // A body that came later is not kept, and there may be nobody else to ask.
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.client(&PUT[..PUT.len() - 1]);
    rig.client(&PUT[PUT.len() - 1..]);
    assert!(!rig.hedge());
    let mut rig = ExchangeHarness::new();
    rig.allow_hedges(1);
    rig.client(GET);
    assert!(!rig.hedge());
}

#[test]
fn a_client_bound_to_a_backend_is_served_by_no_other() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.client("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n");
    rig.upstream(OK);
    rig.client(GET);
    assert!(!rig.hedge());
    rig.upstream(OK);
    assert_eq!(rig.rows().iter().map(|row| row.backend).collect::<Vec<_>>(), [Some(0); 2]);
}

#[test]
fn a_hedge_that_nobody_waits_for_any_more_says_nothing_of_what_hedges_bring() {
    /// What ends the request, and whether its hedge has lost.
    type Case = (fn(&mut ExchangeHarness), bool);
    let cases: [Case; 5] = [
        (|rig| rig.client_ends(StreamEnd::Reset), false),
        (|rig| rig.act(Exchange::stop), false),
        (|rig| rig.act(Exchange::abort), false),
        (|rig| rig.sends(FIRST, OK), true),
        (|rig| rig.ends(SECOND, StreamEnd::Reset), true),
    ];
    for (place, (ends, has_lost)) in cases.into_iter().enumerate() {
        let mut rig = in_turn(2);
        rig.client(GET);
        assert!(rig.hedge());
        (0..140).for_each(|_| rig.hedger.ended(false));
        let before = requests_for_a_hedge(&mut rig);
        ends(&mut rig);
        let after = requests_for_a_hedge(&mut rig);
        // One more that has lost lowers the share of those that won by a fiftieth.
        assert_eq!(after > before + before / 100, has_lost, "{place}: {before}, {after}");
    }
}

/// How many of them earn one, where few have won.
fn requests_for_a_hedge(rig: &mut ExchangeHarness) -> usize {
    rig.settings.hedging.percent = Some(1);
    while rig.hedger.spend() {}
    let earn = || {
        let earned = |_: &usize| {
            rig.hedger.earn(&rig.settings.hedging);
            rig.hedger.spend()
        };
        (1..10_000).find(earned).expect("a hedge")
    };
    // The first one has what was left.
    earn();
    earn()
}
