//! Connections that serve one client after the other: none may see what was meant for another.

use super::*;

const STRAY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";

#[test]
fn bytes_behind_a_response_reach_nobody_and_end_its_connection() {
    for response in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.upstream(response.to_owned() + STRAY);
        assert!(!rig.client_got().contains("stray"));
        assert!(rig.connections[0].closed, "{response}");
        assert_eq!(rig.row().fault, None);
        rig.client(GET);
        rig.upstream(OK);
        assert_eq!((rig.client_got().as_str(), rig.connections.len()), (OK_FORWARDED, 2));
    }
}

#[test]
fn bytes_behind_an_early_response_reach_nobody_either() {
    let mut rig = ExchangeHarness::new();
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx");
    rig.upstream(OK);
    rig.upstream(STRAY);
    rig.client("y");
    assert_eq!(rig.client_got(), OK_FORWARDED);
    assert!(rig.connections[0].closed);
}

#[test]
fn a_connection_is_used_again_only_if_both_messages_left_it_clean() {
    for (response, is_kept) in [
        (OK, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", true),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", false),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(GET);
        rig.upstream(response);
        assert_eq!(rig.servers[0].pool.len(), usize::from(is_kept), "{response}");
    }
}

#[test]
fn a_connection_not_kept_is_reset_only_where_that_can_lose_nothing() {
    let close = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy";
    for (request, response, is_reset) in [
        (GET, close, true),
        (GET, "HTTP/1.0 204 No Content\r\n\r\n", true),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", close, true),
        // A part of the body may not have been read.
        (post, close, false),
        // The rest of the response never came.
        (GET, "HTTP/1.1 200 OK\r\nContent-Length: -\r\n\r\n", false),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(request);
        rig.upstream(response);
        let connection = &rig.connections[0];
        assert_eq!((connection.closed, connection.reset), (true, is_reset), "{request}{response}");
    }
    let mut rig = ExchangeHarness::new();
    rig.settings.upstream_reuse = UpstreamReuse::NonPersistent;
    rig.client(GET);
    rig.upstream(OK);
    assert!(rig.connections[0].reset);
}

#[test]
fn the_connection_is_free_before_the_client_has_read_all() {
    let mut rig = ExchangeHarness::new();
    rig.client(GET);
    rig.client.window = 0;
    rig.upstream(OK);
    assert_eq!((rig.servers[0].pool.len(), rig.in_flight(0)), (1, 0));
    assert_eq!(rig.rows(), []);
    rig.client.window = usize::MAX;
    rig.run();
    assert_eq!((rig.client_got().as_str(), rig.row().status), (OK_FORWARDED, 200));
}

#[test]
fn a_reused_connection_costs_no_connect() {
    let mut rig = ExchangeHarness::new();
    rig.pool(0);
    rig.client(GET);
    rig.upstream(OK);
    assert_eq!((rig.row().connect, rig.connections.len()), (None, 1));
}

#[test]
fn a_connection_that_failed_a_request_is_never_used_again() {
    for response in ["HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "junk\r\n\r\n"] {
        let mut rig = ExchangeHarness::new();
        rig.pool(0);
        rig.client(GET);
        rig.upstream(response);
        assert_reply(&rig.client_got(), 502, false);
        assert!(rig.connections[0].closed);
    }
}
