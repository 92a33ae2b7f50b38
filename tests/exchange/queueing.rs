//! Requests that wait because all backends are at their limits.

use tidegate::balance::Lease;
use tidegate::proxy::queue::{Class, Scope, Ticket, Turn};

use super::retries::{allow_one, budget};
use super::*;

/// So many backends that take one request at a time and have one, before a queue.
fn full(backends: usize) -> (ExchangeHarness, Vec<Lease>) {
    let mut rig = ExchangeHarness::with(backends, Policy::RoundRobin);
    rig.settings.limits.queue = 3;
    rig.settings.timeouts.queue = Duration::from_secs(5);
    (0..backends).for_each(|backend| limit(&mut rig, backend, 1));
    let leases = (0..backends).map(|backend| rig.lease(backend)).collect();
    (rig, leases)
}

fn limit(rig: &mut ExchangeHarness, backend: usize, limit: u32) {
    rig.set_role(backend, Role { max_in_flight: Some(limit), ..Role::default() });
}

/// A request of another client waits, which another worker has.
fn other(rig: &ExchangeHarness) -> Ticket {
    let (ticket, turn) = rig.queues[1].join(7, Class::First, Scope::All, 100).expect("a place");
    assert!(turn == Turn::Waits || ticket.stays() != Turn::Called);
    ticket
}

fn is_waiting(rig: &ExchangeHarness) -> bool {
    rig.attached().is_none() && !rig.queues[0].is_empty()
}

fn backend(rig: &ExchangeHarness) -> usize {
    rig.connections[rig.attached().expect("a connection to a backend")].backend
}

const BUSY: &str = "Retry-After: 1\r\n";

#[test]
fn a_request_waits_until_a_backend_has_room_which_is_no_time_of_the_backend() {
    let (mut rig, mut leases) = full(2);
    rig.client(GET);
    assert!(is_waiting(&rig));
    rig.advance_ms(40);
    rig.give_back(leases.remove(1));
    assert_eq!(backend(&rig), 1);
    assert_eq!(rig.upstream_got(), GET_FORWARDED);
    rig.advance_ms(2);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.attempts), (200, None, 1));
    let ms = |count| Some(Duration::from_millis(count));
    assert_eq!((row.queue, row.latency, row.first_byte), (ms(40), ms(2), ms(2)));
    // The next one need not wait.
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!(rig.row().queue, None);
    rig.give_back(leases.remove(0));
}

#[test]
fn without_a_queue_a_request_is_refused_as_ever() {
    let (mut rig, mut leases) = full(1);
    rig.settings.limits.queue = 0;
    rig.client(GET);
    let got = rig.client_got();
    assert_reply(&got, 503, false);
    assert!(got.contains(BUSY), "{got}");
    let row = rig.row();
    assert_eq!((row.fault, row.queue, row.backend), (Some("backends_full"), None, None));
    rig.give_back(leases.remove(0));
}

#[test]
fn no_more_wait_than_are_allowed() {
    let (mut rig, mut leases) = full(1);
    let others: Vec<_> = (0..3).map(|_| other(&rig)).collect();
    rig.client(GET);
    let got = rig.client_got();
    assert_reply(&got, 503, false);
    assert!(got.contains(BUSY), "{got}");
    let row = rig.row();
    assert_eq!((row.fault, row.queue, row.attempts), (Some("queue_full"), None, 0));
    drop(others);
    rig.client(GET);
    assert!(is_waiting(&rig));
    rig.give_back(leases.remove(0));
    rig.upstream(OK);
}

#[test]
fn whoever_waits_too_long_is_told_so() {
    let (mut rig, mut leases) = full(1);
    rig.client(GET);
    rig.advance_ms(4_999);
    assert!(is_waiting(&rig));
    rig.advance_ms(1);
    let got = rig.client_got();
    assert_reply(&got, 503, false);
    assert!(got.contains(BUSY), "{got}");
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.backend), (503, Some("queue_timeout"), None));
    assert_eq!((row.queue, row.latency), (Some(Duration::from_secs(5)), None));
    assert!(rig.queues[0].is_empty());
    rig.give_back(leases.remove(0));
}

#[test]
fn a_client_that_leaves_is_taken_out_and_its_call_goes_on() {
    for how in [StreamEnd::Finished, StreamEnd::Reset] {
        let (mut rig, mut leases) = full(1);
        rig.client(GET);
        let behind = other(&rig);
        rig.advance_ms(3);
        // It is called, but the client left before the worker looked.
        rig.balancer.release(leases.remove(0));
        rig.queues[1].freed(|| 1);
        rig.client_ends(how);
        let row = rig.row();
        assert_eq!((row.status, row.fault), (499, Some("client_gone")));
        assert_eq!((row.queue, row.backend), (Some(Duration::from_millis(3)), None));
        assert!(rig.connections.is_empty() && behind.turn() == Turn::Called);
        drop(behind);
    }
}

#[test]
fn an_arrival_never_overtakes_one_that_waits() {
    let (mut rig, mut leases) = full(1);
    let before = other(&rig);
    rig.give_back(leases.remove(0));
    assert_eq!(before.turn(), Turn::Called);
    // A place is free, and it is the other one's.
    rig.client(GET);
    assert!(is_waiting(&rig) && rig.in_flight(0) == 0);
    let lease = rig.lease(0);
    before.goes(|| 0, || false);
    assert!(is_waiting(&rig));
    rig.give_back(lease);
    assert_eq!(rig.in_flight(0), 1);
    rig.upstream(OK);
    assert_eq!(rig.row().status, 200);
}

#[test]
fn a_backend_that_joins_and_a_limit_that_is_raised_take_who_waits() {
    for joins in [false, true] {
        let (mut rig, mut leases) = full(1);
        rig.client(GET);
        assert!(is_waiting(&rig));
        if joins {
            rig.join();
        } else {
            limit(&mut rig, 0, 2);
        }
        assert_eq!(backend(&rig), usize::from(joins));
        rig.upstream(OK);
        rig.give_back(leases.remove(0));
    }
}

#[test]
fn when_the_full_backends_leave_nobody_waits_for_them() {
    let (mut rig, leases) = full(2);
    rig.client(GET);
    rig.drain(0);
    assert!(is_waiting(&rig));
    rig.drain(1);
    assert_reply(&rig.client_got(), 503, false);
    assert_eq!(rig.row().fault, Some("connect_refused"));
    for lease in leases {
        rig.balancer.release(lease);
    }
}

#[test]
fn a_request_that_failed_stands_before_those_that_were_never_sent() {
    let (mut rig, mut leases) = full(2);
    rig.give_back(leases.remove(0));
    rig.client(GET);
    assert_eq!(backend(&rig), 0);
    let other = other(&rig);
    rig.upstream_ends(StreamEnd::Reset);
    assert!(is_waiting(&rig));
    // What it gave back is not for it, because it was there.
    assert_eq!((other.turn(), rig.in_flight(0)), (Turn::Called, 0));
    let lease = rig.lease(0);
    other.goes(|| 0, || false);
    let behind = self::other(&rig);
    rig.advance_ms(9);
    rig.give_back(leases.remove(0));
    assert_eq!((backend(&rig), behind.turn()), (1, Turn::Waits));
    drop(behind);
    rig.upstream(OK);
    let row = rig.row();
    assert_eq!((row.status, row.backend, row.attempts), (200, Some(1), 2));
    assert_eq!((row.queue, row.latency), (Some(Duration::from_millis(9)), row.queue));
    rig.give_back(lease);
}

#[test]
fn a_request_that_failed_is_refused_if_the_queue_is_full() {
    let (mut rig, mut leases) = full(2);
    rig.give_back(leases.remove(0));
    rig.client(GET);
    let _others = [other(&rig), other(&rig), other(&rig)];
    rig.upstream_ends(StreamEnd::Reset);
    assert_reply(&rig.client_got(), 503, false);
    assert_eq!(rig.row().fault, Some("queue_full"));
    rig.give_back(leases.remove(0));
}

/// A request that failed at one of two backends and is to be sent again, which the budget allows
/// once, before a queue with so many places; and the lease of the other backend.
fn failed(places: usize) -> (ExchangeHarness, Lease) {
    let (mut rig, mut leases) = full(2);
    rig.settings.limits.queue = places;
    allow_one(&mut rig);
    rig.give_back(leases.remove(0));
    rig.client(GET);
    let _place = (places > 0).then(|| other(&rig));
    rig.upstream_ends(StreamEnd::Reset);
    (rig, leases.remove(0))
}

#[test]
fn one_that_failed_and_is_not_sent_again_after_all_costs_nothing_of_the_budget() {
    for places in [0, 1] {
        let (mut rig, lease) = failed(places);
        assert_reply(&rig.client_got(), 503, false);
        assert_eq!(budget(&mut rig), 1, "{places} places");
        rig.give_back(lease);
    }
    let ends: [fn(&mut ExchangeHarness); 4] = [
        // In this time, 15 more are allowed.
        |rig| rig.advance_ms(5_000),
        |rig| rig.client_ends(StreamEnd::Reset),
        |rig| rig.act(Exchange::stop),
        |rig| rig.act(Exchange::abort),
    ];
    for (ends, expected) in ends.into_iter().zip([16, 1, 1, 1]) {
        let (mut rig, lease) = failed(3);
        assert!(is_waiting(&rig));
        ends(&mut rig);
        assert!(rig.queues[0].is_empty());
        assert_eq!(budget(&mut rig), expected);
        rig.give_back(lease);
    }
}

#[test]
fn one_that_failed_has_its_price_if_it_is_sent_again_after_a_wait() {
    for (dial, left) in [(Dial::Answers, 0), (Dial::Refuses, 1)] {
        let (mut rig, lease) = failed(3);
        rig.servers[1].dials = vec![dial];
        rig.give_back(lease);
        if rig.attached().is_some() {
            rig.upstream(OK);
        }
        assert_eq!((rig.row().attempts, budget(&mut rig)), (2, left));
    }
}

#[test]
fn who_waits_while_the_proxy_drains_keeps_its_place() {
    let (mut rig, mut leases) = full(1);
    rig.client(GET);
    rig.draining = true;
    rig.act(Exchange::drain);
    rig.advance_ms(100);
    assert!(is_waiting(&rig));
    rig.give_back(leases.remove(0));
    rig.upstream(OK);
    assert_eq!((rig.row().status, rig.ending()), (200, Some(CloseMode::Close)));

    let (mut rig, mut leases) = full(1);
    rig.client(GET);
    rig.draining = true;
    rig.act(Exchange::stop);
    rig.run();
    assert_reply(&rig.client_got(), 503, true);
    assert_eq!(rig.row().fault, Some("stopped"));
    rig.give_back(leases.remove(0));
}

#[test]
fn the_call_of_a_request_whose_worker_ends_is_another_ones() {
    let (mut rig, mut leases) = full(1);
    rig.client(GET);
    let behind = other(&rig);
    // It is called, but its worker's time is over before it looks.
    rig.balancer.release(leases.remove(0));
    rig.queues[1].freed(|| 1);
    assert_eq!(behind.turn(), Turn::Waits);
    rig.draining = true;
    rig.act(Exchange::stop);
    assert_eq!(behind.turn(), Turn::Called);
    drop(behind);
    rig.run();
    assert_eq!(rig.row().fault, Some("stopped"));
}

#[test]
fn nobody_gets_a_second_attempt_while_one_waits_for_its_first() {
    let mut rig = ExchangeHarness::with(2, Policy::AdaptiveEwma { alpha: 1.0 });
    (0..2).for_each(|backend| rig.measure(backend, Duration::from_millis(backend as u64 + 1)));
    rig.allow_hedges(1);
    rig.client(GET);
    let waiting = other(&rig);
    assert!(!rig.hedge());
    drop(waiting);
    rig.advance(SILENCE);
    assert_eq!(rig.hedges, [(1, HedgeEvent::Sent)]);
    rig.upstream(OK);
}

#[test]
fn what_an_attempt_that_lost_gives_back_is_for_who_waits() {
    let mut rig = ExchangeHarness::with(2, Policy::AdaptiveEwma { alpha: 1.0 });
    (0..2).for_each(|backend| rig.measure(backend, Duration::from_millis(backend as u64 + 1)));
    (0..2).for_each(|backend| limit(&mut rig, backend, 1));
    rig.allow_hedges(1);
    rig.client(GET);
    assert!(rig.hedge());
    let waiting = other(&rig);
    rig.sends(Peer::Connection(1), OK);
    assert_eq!(waiting.turn(), Turn::Called);
}

#[test]
fn the_end_of_an_ejection_is_a_chance_for_who_waits() {
    let (mut rig, mut leases) = full(2);
    rig.give_back(leases.remove(0));
    rig.servers[0].dials = vec![Dial::Refuses];
    rig.client(GET);
    assert!(is_waiting(&rig) && rig.is_ejected(0));
    rig.client_ends(StreamEnd::Reset);

    let mut rig = next_client(rig);
    rig.servers[0].dials = vec![Dial::Answers];
    rig.client(GET);
    assert!(is_waiting(&rig));
    rig.advance(rig.settings.cooldown);
    assert_eq!(backend(&rig), 0);
    rig.upstream(OK);
    let row = rig.rows().pop().expect("a row");
    assert_eq!((row.status, row.backend), (200, Some(0)));
    assert!(
        row.queue.is_some_and(|queue| queue > Duration::ZERO && queue <= rig.settings.cooldown)
    );
    rig.give_back(leases.remove(0));
}

#[test]
fn an_ejection_that_begins_while_one_waits_ends_its_wait_when_it_is_over() {
    let (mut rig, mut leases) = full(2);
    rig.client(GET);
    assert!(is_waiting(&rig));
    let mut lease = leases.remove(1);
    rig.balancer.observe(&mut lease, Outcome::Unreachable, rig.now);
    rig.give_back(lease);
    assert!(is_waiting(&rig) && rig.is_ejected(1));
    rig.advance(rig.settings.cooldown);
    assert_eq!(backend(&rig), 1);
    rig.upstream(OK);
    assert_eq!(rig.row().status, 200);
    rig.give_back(leases.remove(0));
}

/// How the first in line stops being that.
#[derive(Clone, Copy, Debug)]
enum Goes {
    Away,
    ToABackend,
}

#[test]
fn an_ejection_that_begins_behind_the_first_in_line_is_noticed_by_those_that_stay() {
    for how in [Goes::Away, Goes::ToABackend] {
        let (mut rig, mut leases) = full(2);
        let before = other(&rig);
        rig.client(GET);
        let mut lease = leases.remove(1);
        rig.balancer.observe(&mut lease, Outcome::Unreachable, rig.now);
        rig.give_back(lease);
        assert_eq!(before.turn(), Turn::Called, "to see for what it waits now");
        assert_eq!(before.stays(), Turn::Watches);
        match how {
            Goes::Away => drop(before),
            Goes::ToABackend => {
                rig.give_back(leases.remove(0));
                leases.push(rig.lease(0));
                before.goes(|| 0, || true);
            }
        }
        rig.run();
        assert!(is_waiting(&rig) && rig.is_ejected(1), "{how:?}");
        rig.advance(rig.settings.cooldown);
        assert_eq!(backend(&rig), 1, "{how:?}");
        rig.upstream(OK);
        assert_eq!(rig.row().status, 200);
        for lease in leases {
            rig.give_back(lease);
        }
    }
}

#[test]
fn an_ejection_that_ends_while_the_failed_answer_still_comes_is_noticed() {
    let (mut rig, mut leases) = full(2);
    rig.give_back(leases.remove(1));
    for _ in 0..2 {
        let mut lease = rig.lease(1);
        rig.balancer.observe(&mut lease, Outcome::Failed, rig.now);
        rig.give_back(lease);
    }
    rig.client(GET);
    assert_eq!(backend(&rig), 1);
    let waiting = other(&rig);
    rig.upstream("HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\n");
    assert!(rig.in_flight(1) == 1, "its body is to come");
    assert_eq!(waiting.turn(), Turn::Called, "to see when the backend may be back");
    drop(waiting);
    rig.upstream("too much!");
    rig.give_back(leases.remove(0));
}

#[test]
fn all_stays_of_a_request_in_the_queue_have_one_timeout() {
    let (mut rig, mut leases) = full(3);
    let first = leases.remove(0);
    rig.client(GET);
    rig.advance_ms(3_000);
    rig.give_back(first);
    assert_eq!(backend(&rig), 0);
    rig.advance_ms(500);
    rig.upstream_ends(StreamEnd::Reset);
    leases.push(rig.lease(0));
    assert!(is_waiting(&rig));
    rig.advance_ms(1_999);
    assert!(is_waiting(&rig));
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 503, false);
    let row = rig.row();
    assert_eq!((row.fault, row.attempts), (Some("queue_timeout"), 1));
    assert_eq!(row.queue, Some(Duration::from_secs(5)));
    for lease in leases {
        rig.give_back(lease);
    }
}

/// Another client's connection before the same backends.
fn next_client(mut rig: ExchangeHarness) -> ExchangeHarness {
    rig.rows();
    rig.over = None;
    rig.client = rig::Socket::default();
    rig.exchange = Exchange::new(rig.now);
    rig
}

#[test]
fn a_body_arrives_while_its_request_waits_and_the_client_is_not_to_blame() {
    let (mut rig, mut leases) = full(1);
    rig.settings.timeouts.body = Duration::from_secs(1);
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    rig.advance_ms(3_000);
    assert!(is_waiting(&rig));
    rig.client("def");
    rig.give_back(leases.remove(0));
    let got = rig.upstream_got();
    assert!(got.ends_with("\r\n\r\nabcdef"), "{got}");
    rig.upstream(OK);
    assert_eq!(rig.row().status, 200);
}

#[test]
fn one_that_is_bound_to_a_backend_waits_for_that() {
    let (mut rig, mut leases) = full(2);
    let [first, second] = [leases.remove(0), leases.remove(0)];
    rig.give_back(first);
    rig.client("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n");
    rig.upstream(OK);
    rig.row();
    let first = rig.lease(0);
    rig.client(GET);
    assert!(is_waiting(&rig));
    // Others do not wait for what it can't use.
    let (other, turn) = rig.queues[1].join(7, Class::First, Scope::All, 9).expect("a place");
    assert_eq!((turn, other.stays()), (Turn::Called, Turn::Waits));
    rig.give_back(second);
    assert!(is_waiting(&rig) && other.turn() == Turn::Called);
    let second = rig.lease(1);
    other.goes(|| 0, || false);
    rig.give_back(first);
    assert_eq!((backend(&rig), rig.connections.len()), (0, 1));
    rig.upstream(OK);
    rig.give_back(second);
}
