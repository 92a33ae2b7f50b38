//! Backends that are asked whether they are well.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use support::clock::{hear, until};
use support::http::Connection;
use support::log::{Logged, column, stop};
use support::origin::{Origin, Silent, ok};
use support::process::{Backend, Proxy};

/// Checks one after the other, for which a busy machine has time enough.
const OFTEN: [&str; 6] =
    ["--check-path", "/healthz", "--check-interval", "5ms", "--check-timeout", "1m"];

/// A backend that answers 200, and a check so too while it is well.
fn backend(name: &'static str, is_well: &Arc<AtomicBool>) -> Origin {
    let is_well = Arc::clone(is_well);
    Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let is_check = head.starts_with("GET /healthz ");
            if is_check && !is_well.load(Ordering::Relaxed) {
                connection.offer("HTTP/1.1 503 Ill\r\nContent-Length: 0\r\n\r\n");
            } else {
                connection.offer(ok(name));
            }
        }
    })
}

/// How many of the next requests each of these backends answers.
fn served<const N: usize>(client: &mut Connection, names: [&str; N]) -> [usize; N] {
    let answers: Vec<String> = (0..10).map(|_| client.get("/").text()).collect();
    names.map(|name| answers.iter().filter(|answer| answer.contains(name)).count())
}

#[test]
fn a_backend_whose_check_fails_gets_no_request_until_it_passes_and_checks_have_no_rows() {
    let [steady, changing] = [(); 2].map(|()| Arc::new(AtomicBool::new(true)));
    let origins = [backend("one", &steady), backend("two", &changing)];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let mut proxy = Logged::start(&addresses, &[&["--workers", "1"], &OFTEN[..]].concat());
    let mut client = Connection::connect(proxy.address());
    let url = format!("http://{}", addresses[1]);
    for _ in 0..2 {
        assert_eq!(served(&mut client, ["one", "two"]), [5, 5]);
        changing.store(false, Ordering::Relaxed);
        let line = proxy.proxy.process.line("is down");
        let why = "(failed checks in a row: 3; the last: status 503)";
        assert_eq!(line, format!("tidegate: {url} is down {why}\n"));
        assert_eq!(served(&mut client, ["one", "two"]), [10, 0]);
        changing.store(true, Ordering::Relaxed);
        let line = proxy.proxy.process.line("is up");
        assert_eq!(line, format!("tidegate: {url} is up (passed checks in a row: 2)\n"));
    }
    let rows = proxy.rows();
    assert_eq!(rows.len(), 40);
    assert!(column(&rows, "path").iter().all(|path| *path == "/"));
    assert!(rows.iter().all(|row| row["status_code"] == "200" && row["attempts"] == "1"));
}

#[test]
fn a_backend_that_is_stopped_is_down_before_a_request_meets_it() {
    let backends = ["halts", "serves"].map(|id| Backend::start(&["--profile", "0", "--id", id]));
    let addresses = backends.each_ref().map(|backend| backend.address);
    let checks = ["--check-path", "/", "--check-interval", "20ms", "--check-timeout", "200ms"];
    let mut proxy = Proxy::start(&addresses, &[&["--workers", "1"], &checks[..]].concat());
    backends[0].process.halt();
    let line = proxy.process.line(&format!("{} is down", addresses[0]));
    assert!(line.contains("the last: response_timeout"), "{line}");
    let mut client = Connection::connect(proxy.address());
    assert_eq!(served(&mut client, ["halts", "serves"]), [0, 10]);
    backends[0].process.signal(Signal::CONT);
    proxy.process.line(&format!("{} is up", addresses[0]));
    until("answers of both", || {
        served(&mut client, ["halts"]).iter().all(|count| *count > 0).then_some(())
    });
}

#[test]
fn with_every_check_failing_requests_are_answered_by_all_backends() {
    let is_well = Arc::new(AtomicBool::new(false));
    let origins = [backend("one", &is_well), backend("two", &is_well)];
    let addresses = origins.each_ref().map(|origin| origin.address);
    let mut proxy = Logged::start(&addresses, &[&["--workers", "1"], &OFTEN[..]].concat());
    proxy.proxy.process.line("is down");
    proxy.proxy.process.line("is down");
    let mut client = Connection::connect(proxy.address());
    assert_eq!(served(&mut client, ["one", "two"]), [5, 5]);
    let rows = proxy.rows();
    assert!(rows.iter().all(|row| row["status_code"] == "200" && row["reason"] == "cooling"));
}

#[test]
fn two_hundred_backends_are_checked_by_one_thread() {
    const BACKENDS: u8 = 200;
    let asked = Arc::new(Mutex::new(HashSet::new()));
    let hosts = Arc::clone(&asked);
    // Each address of the loopback is another backend.
    let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let origin = Silent::reserve_at(all).serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let host = head.lines().find(|line| line.starts_with("Host: "));
            hosts.lock().unwrap().insert(host.unwrap().to_owned());
            connection.offer(ok("here"));
        }
    });
    let port = origin.address.port();
    let addresses: Vec<_> = (1..=BACKENDS).map(|n| ([127, 0, 1, n], port).into()).collect();
    let without = Proxy::start(&addresses, &["--workers", "2"]);
    let checks = ["--check-path", "/healthz", "--check-interval", "1s", "--check-timeout", "1m"];
    let mut proxy = Proxy::start(&addresses, &[&["--workers", "2"], &checks[..]].concat());
    until("a check of each", || {
        (asked.lock().unwrap().len() == usize::from(BACKENDS)).then_some(())
    });
    let threads = |proxy: &Proxy| proxy.process.threads();
    until("one more thread", || {
        (threads(&proxy).len() == threads(&without).len() + 1).then_some(())
    });
    assert_eq!(threads(&proxy).iter().filter(|name| *name == "checks").count(), 1);
    assert!(!threads(&without).contains(&"checks".to_owned()), "and none without checks");
    stop(&mut proxy);
    assert!(!proxy.process.stderr().contains("is down"));
}

#[test]
fn a_check_that_hangs_does_not_keep_the_proxy_from_its_end() {
    let (told, tells) = channel();
    let origin = Origin::serve(move |mut connection| {
        connection.request();
        let _ = told.send(());
        connection.rest();
    });
    let mut proxy = Proxy::start(&[origin.address], &OFTEN);
    hear(&tells);
    stop(&mut proxy);
}
