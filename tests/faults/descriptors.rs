//! File descriptors run out: of the proxy, while it runs.

use std::time::Duration;

use rustix::process::Resource;

use crate::support::clock::pause;
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
    for n in 0..100 {
        assert_eq!(inside.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    assert!(!outside.iter().any(Connection::has_bytes));
    assert_eq!(process.stderr().matches("can't accept connections").count(), 1);
    // Nothing ends that could make room. A timer finds out that there is some again.
    process.limit(Resource::Nofile, given);
    for (n, client) in outside.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), format!("/{n}"));
    }
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 121]);
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
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 2 * CLIENTS]);
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
    assert_eq!(endings(&rows)[1..5], [("503", "own_resources", "1"); 4]);
    assert_eq!(endings(&rows)[5..], [("200", "", "1"); 4]);
    let urls = &column(&rows, "backend_url")[5..];
    assert!(urls[0] != urls[1] && urls[..2] == urls[2..], "both are asked: {urls:?}");
}
