//! The proxy runs out of file descriptors.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Resource;

use support::clock::{pause, until};
use support::http::Connection;
use support::log::{Logged, column, endings, stop};
use support::origin::{Origin, ok};
use support::process::Proxy;

/// A limit at which no descriptor can be opened; those that are open stay open.
const NONE: Option<u64> = Some(3);

/// Forbids further descriptors, and returns the limit with which to allow them again.
fn exhaust(proxy: &Proxy) -> Option<u64> {
    proxy.process.limit(Resource::Nofile, NONE)
}

#[test]
fn without_descriptors_accepting_pauses_and_accepted_clients_are_served() {
    const WATCHED: Duration = Duration::from_secs(1);
    /// Hundredths of a second of processor time; a busy loop takes a hundred.
    const TICKS: u64 = 20;
    let origin = Origin::echoing_targets();
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let process = &proxy.proxy.process;
    let mut accepted = Connection::connect(proxy.address());
    assert_eq!(accepted.get("/").status, 200);
    // Half a request, because an idle client would be closed.
    accepted.send("GET /half");
    let given = exhaust(&proxy.proxy);
    let mut waiting: Vec<Connection> =
        (0..20).map(|_| Connection::connect(proxy.address())).collect();
    for (n, client) in waiting.iter_mut().enumerate() {
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    let before = process.processor_ticks();
    pause(WATCHED);
    let ticks = process.processor_ticks() - before;
    println!("{ticks} hundredths of a second in {WATCHED:?} with 20 clients waiting");
    assert!(ticks < TICKS, "{ticks} ticks: it does not wait");
    accepted.send(" HTTP/1.1\r\nHost: a\r\n\r\n");
    accepted.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100));
    assert_eq!(accepted.answer().text(), "/half");
    for _ in 0..100 {
        assert_eq!(accepted.answer().text(), "/next");
    }
    assert!(!waiting.iter().any(Connection::has_bytes));
    assert_eq!(process.stderr().matches("can't accept connections").count(), 1);
    // No event tells that descriptors are free again; a timer finds out.
    process.limit(Resource::Nofile, given);
    for (n, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), format!("/{n}"));
    }
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 122]);
}

/// Starts a proxy with so many accepted clients, without a connection to a backend.
fn with_clients<const N: usize>(backends: &[SocketAddr]) -> (Logged, [Connection; N]) {
    let proxy = Logged::start(backends, &["--workers", "1"]);
    let accepted = [(); N].map(|()| {
        let mut client = Connection::connect(proxy.address());
        client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        assert_eq!(client.answer().status, 200, "it is accepted");
        client
    });
    (proxy, accepted)
}

/// Limits the descriptors to those that are open now. Free numbers among them are taken by clients,
/// which are the newest from then on.
fn allow_no_more(proxy: &Logged) -> Vec<Connection> {
    let process = &proxy.proxy.process;
    let limit = process.highest_file() + 1;
    process.limit(Resource::Nofile, Some(limit));
    let free = limit - process.open_files() as u64;
    let newest = (0..free).map(|_| Connection::connect(proxy.address())).collect();
    until("all descriptors are open", || (process.open_files() as u64 == limit).then_some(()));
    newest
}

/// Checks that all requests were answered 200.
fn all_served(proxy: Logged, count: usize) {
    assert_eq!(column(&proxy.rows(), "status_code"), vec!["200"; count]);
}

#[test]
fn an_idle_client_is_closed_for_a_new_one() {
    let origin = Origin::echoing_targets();
    let (proxy, mut accepted) = with_clients::<3>(&[origin.address]);
    assert_eq!(accepted[2].get("/pooled").text(), "/pooled");
    let _newest = allow_no_more(&proxy);
    let mut waiting = [(); 3].map(|()| Connection::connect(proxy.address()));
    for client in &mut waiting {
        assert_eq!(client.get("/came").text(), "/came");
    }
    for mut client in accepted {
        assert_eq!(client.rest(), b"", "an orderly end");
    }
    assert!(!proxy.proxy.process.stderr().contains("can't accept"), "there is no error");
    all_served(proxy, 7);
}

#[test]
fn an_idle_client_is_closed_for_a_connection_to_a_backend() {
    let origin = Origin::echoing_targets();
    let (proxy, [mut idlest, mut idle, mut asking]) = with_clients(&[origin.address]);
    let _newest = allow_no_more(&proxy);
    assert_eq!(asking.get("/").text(), "/");
    assert_eq!(idlest.rest(), b"", "an orderly end");
    assert_eq!(idle.get("/").text(), "/");
    all_served(proxy, 5);
}

#[test]
fn a_pooled_connection_is_closed_for_one_to_another_backend() {
    let origins = [Origin::echoing_targets(), Origin::echoing_targets()];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let (proxy, [mut client]) = with_clients(&addresses);
    assert_eq!(client.get("/first").text(), "/first");
    // Half a request each, because an idle client would be closed.
    let mut newest = allow_no_more(&proxy);
    for client in &mut newest {
        client.send("GET /half");
    }
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "/");
    }
    assert!(origins.iter().all(|origin| origin.accepted() > 0), "both got requests");
    drop(newest);
}

#[test]
fn a_descriptor_that_becomes_free_goes_to_a_waiting_client() {
    const CLIENTS: usize = 5;
    let origin = Origin::echoing_targets();
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let process = &proxy.proxy.process;
    let mut accepted = [(); CLIENTS].map(|()| Connection::connect(proxy.address()));
    for client in &mut accepted {
        assert_eq!(client.get("/").status, 200);
        // Half a request, because an idle client would be closed.
        client.send("GET /half");
    }
    let limit = process.highest_file() + 1;
    process.limit(Resource::Nofile, Some(limit));
    let mut waiting = [(); CLIENTS].map(|()| Connection::connect(proxy.address()));
    for (n, client) in waiting.iter_mut().enumerate() {
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    // They are accepted in their order; each client that leaves frees a descriptor for the next.
    for ((n, client), leaving) in waiting.iter_mut().enumerate().zip(accepted) {
        drop(leaving);
        assert_eq!(client.answer().text(), format!("/{n}"));
        assert!(process.open_files() as u64 <= limit);
    }
    let rows = proxy.rows();
    let served = endings(&rows).into_iter().filter(|ending| *ending == ("200", "", "1")).count();
    assert_eq!(served, 2 * CLIENTS, "apart from those that left in a request");
}

#[test]
fn a_connect_without_a_descriptor_does_not_count_against_the_backend() {
    let origins = [Origin::echoing_targets(), Origin::echoing_targets()];
    let addresses = origins.each_ref().map(|origin| origin.address);
    // A backend against which it counted would be ejected for a minute.
    let flags = ["--workers", "1", "--cooldown", "1m", "--cooldown-max", "1m"];
    let proxy = Logged::start(&addresses, &flags);
    let mut client = Connection::connect(proxy.address());
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(client.answer().status, 200, "it is accepted");
    let given = exhaust(&proxy.proxy);
    for _ in 0..4 {
        let answer = client.get("/");
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("no resources"), "{}", answer.text());
    }
    proxy.proxy.process.limit(Resource::Nofile, given);
    for _ in 0..4 {
        assert_eq!(client.get("/again").text(), "/again");
    }
    let rows = proxy.rows();
    assert_eq!(endings(&rows)[1..5], [("503", "resource_exhausted", "1"); 4]);
    assert_eq!(endings(&rows)[5..], [("200", "", "1"); 4]);
    let urls = &column(&rows, "backend_url")[5..];
    assert!(urls[0] != urls[1] && urls[..2] == urls[2..], "both get requests: {urls:?}");
}

#[test]
fn a_check_without_a_descriptor_is_no_verdict_on_the_backend() {
    let origin = Origin::serve(|mut connection| {
        while connection.request().is_some() {
            connection.offer(ok("here"));
        }
    });
    let flags = ["--check-path", "/healthz", "--check-interval", "1ms", "--check-timeout", "1m"];
    let mut proxy = Proxy::start(&[origin.address], &flags);
    let is_checked = |more: usize| {
        let before = origin.accepted();
        until("checks", || (origin.accepted() >= before + more).then_some(()));
    };
    is_checked(10);
    let given = exhaust(&proxy);
    let mut seen = usize::MAX;
    until("the checks that had begun", || {
        let before = std::mem::replace(&mut seen, origin.accepted());
        (before == seen).then_some(())
    });
    pause(Duration::from_millis(300));
    assert_eq!(origin.accepted(), seen, "no check can be made");
    proxy.process.limit(Resource::Nofile, given);
    is_checked(10);
    assert_eq!(Connection::connect(proxy.address()).get("/").text(), "here");
    stop(&mut proxy);
    assert!(!proxy.process.stderr().contains("is down"), "and none has failed");
}
