//! Authentication of a connection: what a backend grants to one client it must not grant to the
//! next that comes over the same connection.

use super::*;

/// A request with these credentials.
fn with(credentials: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {credentials}\r\n\r\n")
}

fn challenge(scheme: &str) -> String {
    format!("HTTP/1.1 401 No\r\nWWW-Authenticate: {scheme}\r\nContent-Length: 0\r\n\r\n")
}

/// Which backend serves the request in flight, and over which connection.
fn attached(rig: &ExchangeHarness) -> (usize, usize) {
    let attached = rig.attached().expect("a connection to a backend");
    (rig.connections[attached].backend, attached)
}

#[test]
fn a_connection_that_was_authenticated_serves_its_client_alone() {
    for scheme in ["NTLM TlRM", "negotiate YII=", "Nego2 x", "NTLM"] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.client(with(scheme));
        let first = attached(&rig);
        rig.upstream(OK);
        assert_eq!(rig.row().backend, Some(0));
        assert!(rig.servers.iter().all(|server| server.pool.is_empty()), "{scheme}");
        // Round robin would go to the other one.
        for _ in 0..3 {
            rig.client(GET);
            assert_eq!(attached(&rig), first, "{scheme}");
            rig.upstream(OK);
            assert_eq!(rig.row().backend, Some(0));
        }
        rig.client_ends(StreamEnd::Finished);
        assert_eq!(rig.over, Some(CloseMode::Close));
        assert!(rig.connections[first.1].closed && rig.connections.len() == 1, "{scheme}");
    }
}

#[test]
fn a_connection_over_which_that_was_demanded_stays_with_its_client_too() {
    for scheme in ["NTLM", "Negotiate", "Basic realm=\"x\", NTLM", "Negotiate TlRM"] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.client(GET);
        rig.upstream(challenge(scheme));
        assert!(rig.servers.iter().all(|server| server.pool.is_empty()), "{scheme}");
        rig.client(with("NTLM x"));
        assert_eq!(attached(&rig), (0, 0), "{scheme}");
        rig.upstream(OK);
    }
}

#[test]
fn other_credentials_are_each_request_s_own() {
    for scheme in ["Basic eA==", "Bearer NTLM", "Digest realm=\"ntlm\"", "NTLMv3 x"] {
        let mut rig = ExchangeHarness::new();
        rig.client(with(scheme));
        rig.upstream(OK);
        assert_eq!(rig.servers[0].pool, [0], "{scheme}");
        rig.client(GET);
        rig.upstream(challenge(scheme));
        assert_eq!(rig.servers[0].pool, [0], "{scheme}");
    }
}

#[test]
fn a_handshake_is_the_same_however_its_bytes_are_cut() {
    let outcome = Scene::new()
        .set(|rig| rig.pool(0))
        .client(GET)
        .upstream(challenge("NTLM"))
        .client(with("NTLM 1"))
        .upstream(challenge("NTLM 2"))
        .client(with("NTLM 3") + GET)
        .upstream(OK)
        .upstream(OK)
        .client_ends(StreamEnd::Finished)
        .play();
    assert_eq!(outcome.upstreams.len(), 1);
    assert!(outcome.client.ends_with(&OK_FORWARDED.repeat(2)), "{}", outcome.client);
}

#[test]
fn a_bound_connection_that_ends_while_nothing_is_asked_is_let_go() {
    for end in [Some(StreamEnd::Finished), Some(StreamEnd::Reset), None] {
        let mut rig = ExchangeHarness::with(2, Policy::RoundRobin);
        rig.client(with("NTLM x"));
        rig.upstream(OK);
        // Bytes that nobody asked for are no better than the end.
        rig.connections[0].socket.inbox.extend(if end.is_none() { &b"x"[..] } else { b"" });
        rig.connections[0].socket.end = end;
        rig.client(GET);
        assert_eq!(attached(&rig), (1, 1), "the policy chooses again");
        assert!(rig.connections[0].closed);
        rig.upstream(OK);
        assert_eq!(rig.servers[1].pool, [1], "nothing binds the new one");
        rig.rows();
    }
}

#[test]
fn a_bound_connection_that_ends_instead_of_an_answer_is_replaced_as_any_other() {
    let mut rig = ExchangeHarness::new();
    rig.client(with("NTLM x"));
    rig.upstream(OK);
    rig.client(GET);
    rig.upstream_ends(StreamEnd::Finished);
    rig.upstream(OK);
    assert_eq!(rig.client_got(), OK_FORWARDED.repeat(2));
    assert_eq!(rig.rows().iter().map(|row| row.attempts).collect::<Vec<_>>(), [1, 2]);
    rig.client("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    rig.upstream_ends(StreamEnd::Finished);
    assert_reply(&rig.client_got(), 502, false);
}

#[test]
fn nothing_is_kept_for_a_client_that_leaves_or_a_backend_that_closes() {
    for (request, response) in [
        ("Connection: close\r\n", ""),
        ("", "Connection: close\r\n"),
        ("Content-Length: 1\r\nExpect: 100-continue\r\n", "Connection: close\r\n"),
    ] {
        let mut rig = ExchangeHarness::new();
        rig.client(format!("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n{request}\r\n"));
        rig.upstream(format!("HTTP/1.1 200 OK\r\n{response}Content-Length: 0\r\n\r\n"));
        assert!(rig.connections[0].closed && rig.servers[0].pool.is_empty(), "{request}");
    }
}

#[test]
fn where_connections_are_not_kept_none_is_bound() {
    let mut rig = ExchangeHarness::new();
    rig.settings.upstream_reuse = UpstreamReuse::NonPersistent;
    rig.client(with("NTLM x"));
    rig.upstream(OK);
    assert!(rig.connections[0].closed);
    assert_eq!(rig.ending(), Some(CloseMode::Close));
}
