//! The proxy stops: what is in flight is finished, and told that it is the last.

use super::*;

const CLOSING: &str = "Content-Length: 2\r\nConnection: close\r\n";

#[test]
fn an_answer_while_draining_ends_the_connection() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.draining = true;
    rig.upstream(OK);
    assert_eq!(rig.client_got(), answered("200 OK", "", CLOSING, "ok"));
    assert_eq!((rig.ending(), rig.row().fault), (Some(CloseMode::Close), None));
    assert_eq!(rig.servers[0].pool.len(), 1);
}

#[test]
fn a_request_that_comes_while_draining_is_still_served() {
    let mut rig = ExchangeHarness::new();
    rig.draining = true;
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), answered("200 OK", "", CLOSING, "ok"));
    assert_eq!(rig.row().status, 200);
}

#[test]
fn an_answer_of_ours_while_draining_ends_the_connection() {
    let mut rig = ExchangeHarness::new();
    rig.draining = true;
    rig.servers[0].dials = vec![Dial::Refuses];
    rig.client(GET);
    assert_reply(&rig.client_got(), 503, true);
    assert_eq!((rig.row().status, rig.ending()), (503, Some(CloseMode::Close)));
}

#[test]
fn before_it_drains_it_serves_as_ever_and_says_of_itself_that_it_stops() {
    let asked = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";
    let mut rig = ExchangeHarness::new();
    rig.leaving = true;
    rig.client(asked);
    let got = rig.client_got();
    assert_reply(&got, 503, false);
    assert!(got.ends_with("stopping\n"), "{got}");
    let row = rig.row();
    assert_eq!((row.status, row.fault, row.attempts), (503, Some("stopped"), 0));
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert_eq!((rig.over, rig.row().fault), (None, None));
    rig.draining = true;
    rig.client(asked);
    assert_reply(&rig.client_got(), 503, true);
}

#[test]
fn an_answer_that_began_before_is_finished() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no");
    rig.draining = true;
    rig.upstream("k");
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert_eq!((rig.over, rig.row().status), (None, 200));
}

#[test]
fn when_time_is_up_what_waits_gets_a_503() {
    let part = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx";
    for request in [GET, part, "GET / HT"] {
        let mut rig = ExchangeHarness::new();
        rig.client(request);
        rig.act(Exchange::stop);
        rig.run();
        assert_reply(&rig.client_got(), 503, true);
        let row = rig.row();
        assert_eq!((row.status, row.fault), (503, Some("stopped")));
        assert!(request.starts_with(&format!("{} {}", row.method, row.path)), "{row:?}");
    }
}

#[test]
fn when_time_is_up_an_answer_on_its_way_is_cut() {
    let (whole, old) = (GET, "GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    for (request, framing, how) in [
        (whole, "Content-Length: 10\r\n", CloseMode::Close),
        (whole, "", CloseMode::Close),
        (old, "", CloseMode::Reset),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(request);
        rig.upstream(format!("HTTP/1.1 200 OK\r\n{framing}\r\n01234"));
        rig.act(Exchange::stop);
        rig.run();
        let row = rig.row();
        assert_eq!((row.status, row.fault), (200, Some("stopped")));
        assert_eq!(rig.ending(), Some(how));
        let got = rig.client_got();
        let is_whole = read::whole_response(&got).is_some();
        assert_eq!(is_whole, request == old, "{got}");
    }
}

#[test]
fn when_time_is_up_a_client_that_reads_no_more_keeps_the_status_it_got() {
    for (window, status) in [(10, 200), (0, 499)] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.client.window = window;
        rig.upstream("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234");
        rig.act(Exchange::stop);
        rig.run();
        // So a worker ends what is left then.
        rig.exchange.closed(Side::Client, StreamEnd::Reset);
        rig.act(Exchange::work);
        rig.run();
        let row = rig.row();
        assert_eq!((row.status, row.fault), (status, Some("stopped")));
    }
}

#[test]
fn when_time_is_up_a_client_that_asked_nothing_is_told_nothing() {
    let mut rig = ExchangeHarness::new();
    rig.act(Exchange::stop);
    rig.run();
    assert_eq!((rig.client_got().as_str(), rig.rows()), ("", Vec::new()));
    assert_eq!(rig.over, Some(CloseMode::Close));
}
