//! What a backend says of its idle connections: until when it keeps them, and that it gave one up.

use super::*;

const TIMEOUT: &str = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

fn ok_with(fields: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 2\r\n\r\nok")
}

#[test]
fn a_connection_is_given_up_before_its_backend_does_so() {
    for (announced, rests_ms) in [
        ("", 30_000),
        ("Keep-Alive: timeout=5\r\n", 4_500),
        ("Keep-Alive: timeout=5, max=100\r\n", 4_500),
        ("keep-alive: max=100,TimeOut = 20\r\n", 18_000),
        ("Keep-Alive: timeout=20\r\nKeep-Alive: timeout=5\r\n", 4_500),
        ("Keep-Alive: timeout=1\r\n", 900),
        ("Keep-Alive: timeout=0\r\n", 0),
        ("Keep-Alive: timeout=5, max=0\r\n", 0),
        // Ours is less.
        ("Keep-Alive: timeout=60\r\n", 30_000),
        // What can't be read says nothing.
        ("Keep-Alive: timeout=-1\r\n", 30_000),
        ("Keep-Alive: timeout\r\n", 30_000),
        ("Keep-Alive: 5\r\n", 30_000),
        ("Keep-Alive: timeout=x, time=1\r\n", 30_000),
        ("Keep-Alive: timeout=99999999999999999999999\r\n", 30_000),
        ("Keep-Alive: timeout=18446744073709551615\r\n", 30_000),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.upstream(ok_with(announced));
        assert!(!rig.client_got().contains("eep-"), "{announced}: it is for this hop only");
        assert_eq!(rig.servers[0].pool.len(), usize::from(rests_ms > 0), "{announced}");
        if rests_ms == 0 {
            assert!(rig.connections[0].closed);
            continue;
        }
        // Each use starts its time anew.
        for (wait_ms, connections) in [(rests_ms - 1, 1), (rests_ms - 1, 1), (rests_ms, 2)] {
            rig.advance_ms(wait_ms);
            rig.client(POST);
            rig.upstream(ok_with(announced));
            assert_eq!(rig.connections.len(), connections, "{announced} after {wait_ms} ms");
        }
    }
}

#[test]
fn a_408_that_waits_on_a_pooled_connection_is_no_answer() {
    for limit in [3, 1] {
        let mut rig = ExchangeHarness::new();
        rig.settings.limits.attempts = limit;
        rig.pool(0);
        rig.client(GET);
        rig.upstream(TIMEOUT);
        if limit == 1 {
            assert!(rig.client_got().starts_with("HTTP/1.1 408 "));
            assert_eq!((rig.row().status, rig.connections.len()), (408, 1));
            continue;
        }
        assert_eq!((rig.client_got().as_str(), rig.connections[0].closed), ("", true));
        rig.upstream(OK);
        assert_eq!(rig.client_got(), OK_FORWARDED);
        let row = rig.row();
        assert_eq!((row.status, row.fault, row.attempts), (200, None, 2));
    }
    let outcome = Scene::new().set(|rig| rig.pool(0)).client(GET).upstream(TIMEOUT).upstream(OK);
    let outcome = outcome.play();
    assert_eq!(outcome.client, OK_FORWARDED);
    assert_eq!(outcome.upstreams, [GET_FORWARDED, GET_FORWARDED]);
}

#[test]
fn a_408_goes_to_the_client_where_sending_again_may_do_harm_or_would_not_help() {
    let timed_out = answered("408 Request Timeout", "", "Content-Length: 0\r\n", "");
    let pooled = |request: &str| {
        let mut rig = ExchangeHarness::new();
        rig.pool(0);
        rig.client(request);
        rig
    };
    // Once it was sent, who knows what became of it?
    let mut rig = pooled(POST);
    rig.upstream(TIMEOUT);
    assert_eq!((rig.client_got(), rig.connections.len()), (timed_out.clone(), 1));
    // Nothing of it was sent.
    let mut rig = ExchangeHarness::new();
    rig.pool(0);
    rig.connections[0].socket.window = 0;
    rig.client(POST);
    rig.upstream(TIMEOUT);
    assert_eq!((rig.client_got().as_str(), rig.connections.len()), ("", 2));
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED);
    // On a new connection it is the answer, the second time as well.
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.upstream(TIMEOUT);
    assert_eq!((rig.client_got(), rig.row().attempts), (timed_out.clone(), 1));
    let mut rig = pooled(GET);
    rig.upstream(TIMEOUT);
    rig.upstream(TIMEOUT);
    assert_eq!((rig.client_got(), rig.row().attempts), (timed_out, 2));
    // A backend that has said something about the request has read it.
    let mut rig = pooled(GET);
    rig.upstream("HTTP/1.1 103 Early Hints\r\n\r\n");
    rig.upstream(TIMEOUT);
    assert!(rig.client_got().contains("\r\n\r\nHTTP/1.1 408 "));
    assert_eq!((rig.row().status, rig.connections.len()), (408, 1));
}
