//! What is in a state in which it can't be is cut, and its row says so.

use super::*;

#[test]
fn a_request_with_which_something_is_wrong_is_reset() {
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234";
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234";
    for (request, answer, status) in [
        ("GET /x", "", 500),
        (GET, "", 500),
        (post, "", 500),
        (GET, &long[..20], 500),
        (GET, long, 200),
    ] {
        let mut rig = ExchangeHarness::with(1, Policy::AdaptiveEwma { alpha: 1.0 });
        rig.client(request);
        if !answer.is_empty() {
            rig.upstream(answer);
        }
        let estimate = rig.estimate(0);
        rig.act(Exchange::abort);
        rig.run();
        let row = rig.row();
        assert_eq!((row.status, row.fault), (status, Some("internal")), "{request:?} {answer:?}");
        assert_eq!(rig.over, Some(CloseMode::Reset));
        assert!(rig.connections.iter().all(|connection| connection.reset));
        assert_eq!(rig.estimate(0), estimate, "the backend is not to blame");
    }
}

#[test]
fn all_attempts_are_cut_with_it() {
    let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
    rig.allow_hedges(1);
    rig.client(GET);
    assert!(rig.hedge());
    rig.act(Exchange::abort);
    rig.run();
    assert_eq!((rig.row().fault, rig.over), (Some("internal"), Some(CloseMode::Reset)));
    assert!(rig.connections.iter().all(|connection| connection.reset));
}

#[test]
fn where_no_request_is_in_flight_no_row_tells_of_it() {
    let mut rig = ExchangeHarness::new();
    rig.act(Exchange::abort);
    rig.run();
    assert_eq!((rig.rows(), rig.over), (Vec::new(), Some(CloseMode::Reset)));
    // The answer has left, and the client is read until it ends.
    let mut rig = ExchangeHarness::new();
    rig.client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    rig.upstream(OK);
    assert_eq!(rig.row().status, 200);
    rig.act(Exchange::abort);
    rig.run();
    assert_eq!((rig.rows(), rig.over), (Vec::new(), Some(CloseMode::Reset)));
}
