//! Several attempts at once: the first acceptable answer is the response, and nothing of the others
//! is seen but in their backends' estimates.

use super::*;

/// The connections of the first attempt and of the second.
const FIRST: Peer = Peer::Connection(0);
const SECOND: Peer = Peer::Connection(1);

const LOST: &str = "HTTP/1.1 200 OK\r\nX-Lost: yes\r\nContent-Length: 4\r\n\r\nlost";
const PUT: &str = "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

fn failure(status: u16) -> String {
    format!("HTTP/1.1 {status} No\r\nContent-Length: 2\r\n\r\nno")
}

/// Two backends that were measured, the first one as the faster one.
fn measured() -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(2, Policy::AdaptiveEwma { alpha: 1.0 });
    (0..2).for_each(|backend| rig.measure(backend, measure(backend)));
    rig.allow_hedges(1);
    rig
}

/// What an earlier request to a backend took.
fn measure(backend: usize) -> Duration {
    Duration::from_millis(backend as u64 + 1)
}

/// A request for which two attempts are out.
fn two(request: &str) -> ExchangeHarness {
    let mut rig = measured();
    rig.client(request);
    assert!(rig.hedge());
    rig
}

/// The same, of so many backends by turns.
fn in_turn(backends: usize, request: &str) -> ExchangeHarness {
    let mut rig = ExchangeHarness::with(backends, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.client(request);
    assert!(rig.hedge());
    rig
}

fn outstanding(rig: &ExchangeHarness) -> Vec<u32> {
    (0..rig.servers.len()).map(|backend| rig.in_flight(backend)).collect()
}

#[test]
fn whichever_answers_first_wins_and_the_other_is_cancelled_once() {
    for (winner, loser) in [(0, 1), (1, 0)] {
        let mut rig = two(GET);
        assert_eq!(outstanding(&rig), [1, 1]);
        rig.advance_ms(7);
        rig.sends(Peer::Connection(winner), OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        let row = rig.row();
        assert_eq!((row.backend, row.status), (u16::try_from(winner).ok(), 200));
        assert_eq!((row.attempts, row.fault), (2, None));
        let since = if winner == 0 { SILENCE } else { Duration::ZERO };
        assert_eq!(row.first_byte, Some(since + Duration::from_millis(7)));
        assert_eq!(row.hedge, Some(if winner == 1 { "won" } else { "lost" }));
        assert_eq!(row.hedge_backend, Some(1));
        let sent = (1, HedgeEvent::Sent);
        let won = (winner == 1).then_some((1, HedgeEvent::Won));
        assert_eq!(rig.hedges, [sent].into_iter().chain(won).collect::<Vec<_>>());
        assert_eq!(outstanding(&rig), [0, 0], "both leases are released");
        assert!(rig.connections[loser].is_over() && !rig.connections[winner].is_over());
        assert_eq!(rig.servers[winner].pool, [winner], "the winner's connection is kept");
        assert_eq!((rig.estimate(loser), rig.is_ejected(loser)), (Some(measure(loser)), false));
        // What the loser still says reaches nobody.
        rig.sends(Peer::Connection(loser), LOST);
        rig.client(GET);
        rig.upstream(OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
    }
}

#[test]
fn an_attempt_at_a_backend_that_is_removed_ends_and_the_request_only_with_the_last() {
    let mut rig = two(GET);
    let ids = rig.ids.clone();
    rig.remove(&ids[..1]);
    assert_eq!(outstanding(&rig), [0, 1]);
    rig.sends(SECOND, OK);
    assert_eq!((rig.client_got().as_str(), rig.row().fault), (OK_FORWARDED, None));
    let mut rig = two(GET);
    rig.remove(&ids);
    assert_eq!(outstanding(&rig), [0, 0]);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (503, Some("backend_removed")));
}

#[test]
fn both_get_the_whole_request_each_at_its_own_pace() {
    let put = forwarded("PUT / HTTP/1.1", "", "Content-Length: 3\r\n", "abc");
    for (request, sent) in [(GET, GET_FORWARDED), (PUT, put.as_str())] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.allow_hedges(1);
        rig.write_bytes = 7;
        rig.pool(0);
        rig.connections[0].socket.window = 10;
        rig.client(request);
        assert!(rig.hedge());
        assert_eq!(rig.connections[0].socket.received.len(), 10);
        assert_eq!(rig.connections[1].socket.received, sent.as_bytes());
        rig.connections[0].socket.window = usize::MAX;
        rig.run();
        assert_eq!(rig.connections[0].socket.received, sent.as_bytes());
        rig.sends(SECOND, OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
    }
}

#[test]
fn however_two_answers_are_cut_and_mixed_one_of_them_is_the_response() {
    let head = OK.len() - 2;
    let lost_head = LOST.len() - 4;
    for at in 0..=OK.len() {
        for lost_at in 0..=LOST.len() {
            let mut rig = in_turn(2, GET);
            let pieces = [
                (FIRST, &LOST[..lost_at]),
                (SECOND, &OK[..at]),
                (FIRST, &LOST[lost_at..]),
                (SECOND, &OK[at..]),
            ];
            for (from, piece) in pieces {
                rig.sends(from, piece);
            }
            let first_wins = lost_at >= lost_head || at < head;
            let got = rig.client_got();
            assert_eq!(got.contains("lost"), first_wins, "{at}, {lost_at}: {got}");
            if !first_wins {
                assert_eq!(got, OK_FORWARDED, "{at}, {lost_at}");
            }
            assert_eq!(rig.row().backend, Some(u16::from(!first_wins)));
            assert!(rig.connections[usize::from(first_wins)].is_over());
        }
    }
}

#[test]
fn two_answers_byte_by_byte_in_turn() {
    for ahead in 0..OK.len() {
        let mut rig = in_turn(2, GET);
        for at in 0..OK.len() + LOST.len() {
            if let Some(byte) = LOST.as_bytes().get(at) {
                rig.sends(FIRST, [*byte]);
            }
            if let Some(byte) = at.checked_sub(ahead).and_then(|at| OK.as_bytes().get(at)) {
                rig.sends(SECOND, [*byte]);
            }
        }
        let got = rig.client_got();
        let second_wins = ahead + OK.len() - 2 < LOST.len() - 4;
        assert_eq!(got == OK_FORWARDED, second_wins, "{ahead}: {got}");
        assert_eq!(got.contains("lost"), !second_wins, "{ahead}: {got}");
    }
}

#[test]
fn a_race_is_the_same_however_its_bytes_come_and_go() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\n\r\n";
    let plain = "HTTP/1.1 200 OK\r\n\r\nabc";
    for (lost, answer) in [(&LOST[..50], OK), (&chunked[..20], chunked), (&OK[..10], plain)] {
        let scene = Scene::new().backends(2).client(GET).hedge();
        let scene = scene.sends(FIRST, lost).sends(SECOND, answer);
        let outcome = scene.ends(SECOND, StreamEnd::Finished).loose_chunks().play();
        assert!(!outcome.client.contains("ost"), "{}", outcome.client);
        assert_eq!((outcome.rows[0].backend, outcome.rows[0].fault), (Some(1), None));
    }
}

#[test]
fn the_answer_that_loses_may_be_whole_already() {
    // Both come before either is looked at.
    let mut rig = two(GET);
    rig.arrive(FIRST, LOST.as_bytes());
    rig.arrive(SECOND, OK.as_bytes());
    rig.run();
    let got = rig.client_got();
    assert!(got.ends_with("lost") && got.matches("HTTP/1.1").count() == 1, "{got}");
    assert!(rig.connections[1].closed);
    assert_eq!(rig.row().backend, Some(0));
}

#[test]
fn one_that_fails_ends_and_the_other_goes_on() {
    let fails: [fn(&mut ExchangeHarness, Peer); 4] = [
        |rig, peer| rig.ends(peer, StreamEnd::Reset),
        |rig, peer| rig.ends(peer, StreamEnd::Finished),
        |rig, peer| rig.sends(peer, "junk\r\n\r\n"),
        |rig, peer| (rig.sends(peer, &OK[..20]), rig.ends(peer, StreamEnd::Finished)).1,
    ];
    for fail in fails {
        for (failed, other) in [(0, 1), (1, 0)] {
            let mut rig = two(GET);
            fail(&mut rig, Peer::Connection(failed));
            assert_eq!((rig.client_got().as_str(), rig.over), ("", None));
            assert!(rig.connections[failed].closed);
            assert_eq!(rig.connections.len(), 2, "nothing follows it");
            assert_eq!(rig.estimate(failed), Some(Duration::from_secs(10)), "it is to blame");
            assert_eq!(rig.failures.len(), 1);
            rig.sends(Peer::Connection(other), OK);
            assert_eq!(rig.client_got(), OK_FORWARDED);
            let row = rig.row();
            assert_eq!((row.backend, row.fault), (u16::try_from(other).ok(), None));
        }
    }
}

#[test]
fn when_both_fail_the_last_reason_is_told() {
    let mut rig = two(GET);
    rig.sends(FIRST, "junk\r\n\r\n");
    rig.ends(SECOND, StreamEnd::Reset);
    assert_reply(&rig.client_got(), 502, false);
    let row = rig.row();
    assert_eq!((row.status, row.fault), (502, Some("upstream_closed")));
    assert_eq!((row.backend, row.attempts), (Some(1), 2));
}

#[test]
fn the_last_of_them_to_be_lost_in_silence_is_followed_by_another_backend() {
    let mut rig = ExchangeHarness::with(3, Policy::RoundRobin);
    rig.settings.limits.attempts = 2;
    rig.allow_hedges(1);
    rig.client(GET);
    assert!(rig.hedge());
    rig.ends(SECOND, StreamEnd::Reset);
    rig.ends(FIRST, StreamEnd::Reset);
    assert_eq!(rig.connections.len(), 3, "the hedge is no attempt of those allowed");
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert_eq!((rig.row().backend, rig.refreshed.len()), (Some(2), 0));
}

#[test]
fn one_that_can_not_be_reached_ends_and_the_other_goes_on() {
    for dial in [Dial::Refuses, Dial::NoRoute, Dial::NoResources, Dial::Hangs] {
        let mut rig = ExchangeHarness::with(3, Policy::RoundRobin);
        rig.allow_hedges(1);
        rig.servers[1].dials = vec![Dial::Refuses, dial];
        rig.client(GET);
        assert!(rig.hedge());
        rig.advance_ms(1000);
        assert_eq!(rig.connections.len(), 3, "both of its addresses are tried, and no one else");
        assert!(rig.connections[2].closed);
        assert_eq!(rig.is_ejected(1), dial != Dial::NoResources);
        let refreshed: &[usize] = if dial == Dial::NoResources { &[] } else { &[1] };
        assert_eq!(rig.refreshed, refreshed);
        rig.sends(FIRST, OK);
        assert_eq!((rig.client_got().as_str(), rig.row().backend), (OK_FORWARDED, Some(0)));
    }
}

#[test]
fn the_first_may_be_connecting_while_the_second_answers() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.servers[0].dials = vec![Dial::Hangs];
    rig.client(GET);
    assert!(rig.hedge());
    rig.advance_ms(400);
    rig.sends(SECOND, OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let row = rig.row();
    assert_eq!((row.backend, row.connect), (Some(1), Some(Duration::ZERO)));
    assert_eq!(row.first_byte, Some(Duration::from_millis(400)), "from its own start");
    assert_eq!(row.latency, Some(Duration::from_millis(500)), "the client waited for both");
    assert!(rig.connections[0].closed && !rig.is_ejected(0), "there is nothing to read on");
}

#[test]
fn a_winner_that_breaks_off_breaks_the_response_off() {
    let mut rig = two(GET);
    rig.sends(SECOND, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
    assert!(rig.connections[0].is_over(), "there is nobody to go on");
    rig.ends(SECOND, StreamEnd::Reset);
    assert!(rig.client_got().ends_with("\r\n\r\nab"));
    let row = rig.row();
    assert_eq!((row.backend, row.fault), (Some(1), Some("response_truncated")));
    assert_eq!(rig.ending(), Some(CloseMode::Close));
}

#[test]
fn a_client_that_leaves_cancels_both() {
    for how in [StreamEnd::Reset, StreamEnd::Finished] {
        let mut rig = two(GET);
        rig.sends(SECOND, &OK[..20]);
        rig.client_ends(how);
        let row = rig.row();
        assert_eq!((row.status, row.fault, row.attempts), (499, Some("client_gone"), 2));
        assert!(rig.connections.iter().all(|connection| connection.closed));
        assert_eq!(outstanding(&rig), [0, 0]);
        let estimates = [0, 1].map(|backend| rig.estimate(backend));
        assert_eq!(estimates, [0, 1].map(|backend| Some(measure(backend))), "nobody is to blame");
        assert_eq!((row.hedge, row.hedge_backend), (None, Some(1)), "neither won nor lost");
    }
}

#[test]
fn a_stale_connection_is_replaced_whether_or_not_another_attempt_is_out() {
    for answers in [1, 2] {
        let mut rig = measured();
        rig.pool(0);
        rig.client(GET);
        assert!(rig.hedge());
        rig.ends(FIRST, StreamEnd::Finished);
        let backends: Vec<_> = rig.connections.iter().map(|c| c.backend).collect();
        assert_eq!((backends, rig.connections[0].closed), (vec![0, 1, 0], true));
        assert_eq!(rig.estimate(0), Some(measure(0)), "it was merely stale");
        rig.sends(Peer::Connection(answers), OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        let row = rig.row();
        let backend = u16::try_from(rig.connections[answers].backend).ok();
        assert_eq!((row.backend, row.attempts, row.fault), (backend, 3, None));
    }
}

#[test]
fn a_failure_waits_for_a_better_answer() {
    for status in [500, 501, 502, 503, 504, 508] {
        for (failed, other) in [(0, 1), (1, 0)] {
            let mut rig = two(GET);
            rig.sends(Peer::Connection(failed), failure(status));
            assert_eq!(rig.client_got(), "", "{status}");
            let is_blamed = !matches!(status, 500 | 501);
            assert_eq!(rig.estimate(failed) == Some(Duration::from_secs(10)), is_blamed);
            rig.advance_ms(99);
            rig.sends(Peer::Connection(other), OK);
            assert_eq!(rig.client_got(), OK_FORWARDED);
            let row = rig.row();
            assert_eq!((row.status, row.backend), (200, u16::try_from(other).ok()));
            assert!(rig.connections[failed].closed);
        }
    }
    // Any other status is an answer.
    for status in [404, 429] {
        let mut rig = two(GET);
        rig.sends(SECOND, failure(status));
        assert!(rig.client_got().starts_with(&format!("HTTP/1.1 {status} ")));
        assert_eq!(rig.row().backend, Some(1));
    }
}

#[test]
fn a_failure_is_the_answer_if_no_better_one_comes() {
    let fails: [fn(&mut ExchangeHarness, Peer); 4] = [
        |rig, peer| rig.ends(peer, StreamEnd::Reset),
        |rig, peer| rig.sends(peer, "junk\r\n\r\n"),
        |rig, peer| rig.sends(peer, &OK[..20]),
        |_, _| {},
    ];
    for fail in fails {
        for (failed, other) in [(0, 1), (1, 0)] {
            let mut rig = two(GET);
            rig.sends(Peer::Connection(failed), failure(503));
            fail(&mut rig, Peer::Connection(other));
            // It is waited for no longer than that, if need be.
            rig.advance_ms(100);
            let expected = answered("503 No", "", "Content-Length: 2\r\n", "no");
            assert_eq!(rig.client_got(), expected);
            let row = rig.row();
            assert_eq!((row.status, row.fault), (503, None));
            assert_eq!(row.backend, u16::try_from(failed).ok());
            assert_eq!(rig.servers[failed].pool, [failed]);
            assert!(rig.connections[other].is_over());
        }
    }
}

#[test]
fn of_two_failures_the_second_is_the_answer() {
    let outcome = Scene::new()
        .backends(2)
        .client(GET)
        .hedge()
        .sends(FIRST, failure(503))
        .sends(SECOND, failure(502))
        .play();
    assert_eq!(outcome.client, answered("502 No", "", "Content-Length: 2\r\n", "no"));
    assert_eq!(outcome.row().backend, Some(1));
}

#[test]
fn a_failure_that_waits_is_read_no_further() {
    let mut rig = two(GET);
    let body = "x".repeat(300_000);
    rig.sends(FIRST, format!("HTTP/1.1 503 No\r\nContent-Length: 300000\r\n\r\n{body}"));
    assert!(rig.unread(FIRST) > 200_000, "backpressure");
    rig.ends(SECOND, StreamEnd::Reset);
    assert!(rig.client_got().ends_with(&body));
    assert_eq!((rig.row().status, rig.unread(FIRST)), (503, 0));
}

#[test]
fn an_interim_response_is_passed_on_while_one_attempt_is_out() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.client(GET);
    rig.upstream(hints);
    assert_eq!(rig.client_got(), hints);
    assert!(rig.hedge());
    rig.sends(FIRST, hints);
    rig.sends(SECOND, hints);
    assert_eq!(rig.client_got(), "", "whose it was the response would not say");
    rig.ends(FIRST, StreamEnd::Reset);
    rig.sends(SECOND, hints.to_owned() + OK);
    assert_eq!(rig.client_got(), hints.to_owned() + OK_FORWARDED);
}

#[test]
fn each_attempt_has_its_own_time() {
    let mut rig = two(GET);
    rig.advance_ms(9_999);
    assert_eq!(rig.client_got(), "");
    rig.advance_ms(1);
    assert_reply(&rig.client_got(), 504, false);
    assert!(rig.connections.iter().all(|connection| connection.closed));

    let mut rig = two(GET);
    rig.advance_ms(9_900);
    assert_eq!((rig.connections[0].closed, rig.client_got().as_str()), (true, ""));
    assert_eq!(rig.estimate(0), Some(Duration::from_secs(10)));
    rig.advance_ms(99);
    rig.sends(SECOND, OK);
    assert_eq!((rig.client_got().as_str(), rig.row().backend), (OK_FORWARDED, Some(1)));
}

#[test]
fn the_proxy_that_stops_answers_once() {
    let closing = "Content-Length: 2\r\nConnection: close\r\n";
    let mut rig = two(GET);
    rig.draining = true;
    rig.sends(SECOND, OK);
    assert_eq!(rig.client_got(), answered("200 OK", "", closing, "ok"));
    assert_eq!(rig.ending(), Some(CloseMode::Close));

    let mut rig = two(GET);
    rig.sends(FIRST, failure(503));
    rig.act(Exchange::stop);
    rig.run();
    assert_reply(&rig.client_got(), 503, true);
    assert_eq!((rig.row().fault, outstanding(&rig)), (Some("stopped"), vec![0, 0]));
    assert!(rig.connections.iter().all(|connection| connection.closed));
}

#[test]
fn four_may_be_out_at_once_and_no_more() {
    let mut rig = ExchangeHarness::with(6, Policy::RoundRobin);
    rig.allow_hedges(3);
    rig.client(GET);
    assert!((0..3).all(|_| rig.hedge()));
    assert!(!rig.hedge());
    assert_eq!(outstanding(&rig), [1, 1, 1, 1, 0, 0]);
    rig.ends(Peer::Connection(1), StreamEnd::Reset);
    assert!(!rig.hedge(), "three were begun");
    rig.sends(Peer::Connection(2), failure(503));
    rig.sends(Peer::Connection(3), OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    let over: Vec<_> = rig.connections.iter().map(Connection::is_over).collect();
    assert_eq!(over, [true, true, true, false]);
    let row = rig.row();
    assert_eq!((row.backend, row.attempts), (Some(3), 4));
    assert_eq!((row.hedge, row.hedge_backend), (Some("won"), Some(3)));
    assert_eq!(outstanding(&rig), [0; 6]);
}
