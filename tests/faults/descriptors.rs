//! File descriptors run out: of the proxy, while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Resource;

use crate::support::clock::{pause, until};
use crate::support::http::Connection;
use crate::support::log::{Logged, column, endings};
use crate::support::origin::Origin;
use crate::support::process::Proxy;

/// No descriptor above standard error may be opened, while those that are stay open.
const NONE: Option<u64> = Some(3);

/// Takes all descriptors away that are not in use, and says how to give them back.
fn exhaust(proxy: &Proxy) -> Option<u64> {
    proxy.process.limit(Resource::Nofile, NONE)
}

#[test]
fn without_descriptors_accepting_pauses_and_those_inside_are_served() {
    const WATCHED: Duration = Duration::from_secs(1);
    /// Hundredths of a second of processor time; a loop that is busy takes a hundred.
    const TICKS: u64 = 20;
    let origin = Origin::echoing_targets();
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let process = &proxy.proxy.process;
    let mut inside = Connection::connect(proxy.address());
    assert_eq!(inside.get("/").status, 200);
    // Half a request: who is idle would make room.
    inside.send("GET /half");
    let given = exhaust(&proxy.proxy);
    let mut outside: Vec<Connection> =
        (0..20).map(|_| Connection::connect(proxy.address())).collect();
    for (n, client) in outside.iter_mut().enumerate() {
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    let before = process.processor_ticks();
    pause(WATCHED);
    let ticks = process.processor_ticks() - before;
    println!("{ticks} hundredths of a second in {WATCHED:?} with 20 clients outside");
    assert!(ticks < TICKS, "{ticks} ticks: it does not wait");
    inside.send(" HTTP/1.1\r\nHost: a\r\n\r\n");
    inside.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100));
    assert_eq!(inside.answer().text(), "/half");
    for _ in 0..100 {
        assert_eq!(inside.answer().text(), "/next");
    }
    assert!(!outside.iter().any(Connection::has_bytes));
    assert_eq!(process.stderr().matches("can't accept connections").count(), 1);
    // Nothing ends that could make room. A timer finds out that there is some again.
    process.limit(Resource::Nofile, given);
    for (n, client) in outside.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), format!("/{n}"));
    }
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 122]);
}

/// Starts a proxy and lets so many clients in, without a connection to a backend.
fn letting_in<const N: usize>(backends: &[SocketAddr]) -> (Logged, [Connection; N]) {
    let proxy = Logged::start(backends, &["--workers", "1"]);
    let inside = [(); N].map(|()| {
        let mut client = Connection::connect(proxy.address());
        client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        assert_eq!(client.answer().status, 200, "it is inside");
        client
    });
    (proxy, inside)
}

/// Lets no more descriptors be open than there are; numbers that were free among them are taken by
/// clients, which stay the newest.
fn allow_no_more(proxy: &Logged) -> Vec<Connection> {
    let process = &proxy.proxy.process;
    let limit = process.highest_file() + 1;
    process.limit(Resource::Nofile, Some(limit));
    let free = limit - process.open_files() as u64;
    let newest = (0..free).map(|_| Connection::connect(proxy.address())).collect();
    until("all descriptors are open", || (process.open_files() as u64 == limit).then_some(()));
    newest
}

/// The rows say that all was well.
fn all_served(proxy: Logged, count: usize) {
    assert_eq!(column(&proxy.rows(), "status_code"), vec!["200"; count]);
}

#[test]
fn an_idle_client_makes_room_for_who_comes() {
    let origin = Origin::echoing_targets();
    let (proxy, mut inside) = letting_in::<3>(&[origin.address]);
    assert_eq!(inside[2].get("/pooled").text(), "/pooled");
    let _newest = allow_no_more(&proxy);
    let mut outside = [(); 3].map(|()| Connection::connect(proxy.address()));
    for client in &mut outside {
        assert_eq!(client.get("/came").text(), "/came");
    }
    for mut client in inside {
        assert_eq!(client.rest(), b"", "an orderly end");
    }
    assert!(!proxy.proxy.process.stderr().contains("can't accept"), "nothing to complain of");
    all_served(proxy, 7);
}

#[test]
fn an_idle_client_makes_room_for_a_connection_to_a_backend() {
    let origin = Origin::echoing_targets();
    let (proxy, [mut idlest, mut idle, mut asking]) = letting_in(&[origin.address]);
    let _newest = allow_no_more(&proxy);
    assert_eq!(asking.get("/").text(), "/");
    assert_eq!(idlest.rest(), b"", "an orderly end");
    assert_eq!(idle.get("/").text(), "/");
    all_served(proxy, 5);
}

#[test]
fn a_pooled_connection_makes_room_for_one_to_another_backend() {
    let origins = [Origin::echoing_targets(), Origin::echoing_targets()];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let (proxy, [mut client]) = letting_in(&addresses);
    assert_eq!(client.get("/first").text(), "/first");
    // Half a request each: who is idle would make room.
    let mut newest = allow_no_more(&proxy);
    for client in &mut newest {
        client.send("GET /half");
    }
    for _ in 0..4 {
        assert_eq!(client.get("/").text(), "/");
    }
    assert!(origins.iter().all(|origin| origin.accepted() > 0), "both were asked");
    drop(newest);
}

#[test]
fn a_descriptor_that_becomes_free_goes_to_who_waits() {
    const CLIENTS: usize = 5;
    let origin = Origin::echoing_targets();
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let process = &proxy.proxy.process;
    let mut inside = [(); CLIENTS].map(|()| Connection::connect(proxy.address()));
    for client in &mut inside {
        assert_eq!(client.get("/").status, 200);
        // Half a request: who is idle would make room.
        client.send("GET /half");
    }
    let limit = process.highest_file() + 1;
    process.limit(Resource::Nofile, Some(limit));
    let mut outside = [(); CLIENTS].map(|()| Connection::connect(proxy.address()));
    for (n, client) in outside.iter_mut().enumerate() {
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    // They come in as they came; each that leaves makes room for the next.
    for ((n, client), leaving) in outside.iter_mut().enumerate().zip(inside) {
        drop(leaving);
        assert_eq!(client.answer().text(), format!("/{n}"));
        assert!(process.open_files() as u64 <= limit);
    }
    let rows = proxy.rows();
    let served = endings(&rows).into_iter().filter(|ending| *ending == ("200", "", "1")).count();
    assert_eq!(served, 2 * CLIENTS, "beside those that left in a request");
}

#[test]
fn a_connect_for_which_there_is_no_descriptor_is_no_fault_of_the_backend() {
    let origins = [Origin::echoing_targets(), Origin::echoing_targets()];
    let addresses = origins.each_ref().map(|origin| origin.address);
    // A backend that was held responsible would be left alone for a minute.
    let flags = ["--workers", "1", "--cooldown", "1m", "--cooldown-max", "1m"];
    let proxy = Logged::start(&addresses, &flags);
    let mut client = Connection::connect(proxy.address());
    client.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!(client.answer().status, 200, "it is inside");
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
    assert!(urls[0] != urls[1] && urls[..2] == urls[2..], "both are asked: {urls:?}");
}
