//! Backends that are checked while the proxy serves, and what of it is counted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use tidegate::balance::Role;
use tidegate::proxy::metrics::BackendSnapshot;
use tidegate::proxy::settings::{Address, Backend, Plan, Resolve};

use crate::live::{Live, plan};
use support::clock::{hear, pause, until};
use support::http::Connection;
use support::origin::{Origin, Silent, ok};
use support::unix::UnixOrigin;

/// A plan of which the backends are checked all the time.
fn checked(backends: &[SocketAddr]) -> Plan {
    let mut plan = plan(backends);
    plan.settings.checks.path = Some("/healthz".to_owned());
    plan.settings.checks.interval = Duration::from_millis(5);
    plan.settings.checks.timeout = Duration::from_secs(30);
    plan
}

/// A backend that answers requests with its name, and checks with a status that changes.
struct Named {
    origin: Origin,
    is_well: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

fn named(name: &'static str, is_well: bool) -> Named {
    let (is_well, checks) = (Arc::new(AtomicBool::new(is_well)), Arc::new(AtomicUsize::new(0)));
    let (well, count) = (Arc::clone(&is_well), Arc::clone(&checks));
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if !head.starts_with("GET /healthz ") {
                connection.send(ok(name));
                continue;
            }
            assert!(head.contains("\r\nUser-Agent: tidegate-check\r\n"), "{head}");
            count.fetch_add(1, Ordering::Relaxed);
            let status = if well.load(Ordering::Relaxed) { "200 OK" } else { "503 Ill" };
            connection.offer(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    Named { origin, is_well, checks }
}

impl Named {
    fn set_well(&self, is_well: bool) {
        self.is_well.store(is_well, Ordering::Relaxed);
    }

    fn address(&self) -> SocketAddr {
        self.origin.address
    }

    fn checks(&self) -> usize {
        self.checks.load(Ordering::Relaxed)
    }

    /// Waits until it has been checked so many times more.
    fn is_checked(&self, times: usize) {
        let before = self.checks();
        until("more checks", || (self.checks() >= before + times).then_some(()));
    }
}

/// The names of the backends that answer the next ten requests, each once.
fn answering(proxy: &Live) -> Vec<String> {
    let mut client = Connection::connect(proxy.address);
    let mut names: Vec<String> = (0..10).map(|_| client.get("/").text()).collect();
    names.sort();
    names.dedup();
    names
}

fn until_answering(proxy: &Live, names: &[&str]) {
    until("answers of these alone", || (answering(proxy) == names).then_some(()));
}

/// What was counted of the backends, by how often they were checked.
fn counted(proxy: &Live) -> Vec<BackendSnapshot> {
    proxy.counted().backends.into_values().collect()
}

#[test]
fn one_whose_check_fails_gets_no_requests_until_it_passes_and_checks_are_no_requests() {
    let (first, second) = (named("first", true), named("second", true));
    let proxy = Live::start(&checked(&[first.address(), second.address()]));
    assert_eq!(answering(&proxy), ["first", "second"]);
    for _ in 0..3 {
        second.set_well(false);
        until_answering(&proxy, &["first"]);
        second.is_checked(10);
        assert_eq!(answering(&proxy), ["first"]);
        second.set_well(true);
        until_answering(&proxy, &["first", "second"]);
    }
    // Each is counted when its answer has come, a moment after it was asked.
    let asked = (first.checks() + second.checks()) as u64;
    let total = until("all checks", || {
        let total = proxy.counted().total;
        (total.checks >= asked).then_some(total)
    });
    assert!(total.checks <= (first.checks() + second.checks()) as u64);
    assert_eq!((total.opened, total.unmade_checks), (2, 0), "a check has its own connection");
    let failed = &total.failed_checks;
    assert!(failed.len() == 1 && failed["status"] >= 9, "{failed:?}");
    assert_eq!(total.traffic.errors(), 0);
    first.is_checked(10);
    assert_eq!(proxy.counted().total.traffic.requests(), total.traffic.requests());
}

#[test]
fn one_that_is_added_while_the_proxy_runs_is_checked_and_one_that_is_removed_is_not() {
    let (stays, comes) = (named("stays", true), named("comes", false));
    let proxy = Live::start(&checked(&[stays.address()]));
    stays.is_checked(2);
    assert_eq!(comes.checks(), 0);
    proxy.apply(&checked(&[stays.address(), comes.address()]));
    until_answering(&proxy, &["stays"]);
    comes.is_checked(10);
    assert_eq!(answering(&proxy), ["stays"]);
    comes.set_well(true);
    until_answering(&proxy, &["comes", "stays"]);
    // One that is only adjusted is the same backend, of which the checks go on.
    let mut adjusted = checked(&[stays.address(), comes.address()]);
    adjusted.backends[1].role = Role { weight: 3, ..Role::default() };
    comes.set_well(false);
    until_answering(&proxy, &["stays"]);
    proxy.apply(&adjusted);
    assert_eq!(answering(&proxy), ["stays"]);
    proxy.apply(&checked(&[stays.address()]));
    until("its end", || (proxy.controller.draining() == 0).then_some(()));
    stays.is_checked(10);
    let before = comes.checks();
    stays.is_checked(50);
    assert_eq!(comes.checks(), before);
    let other = named("other", true);
    proxy.apply(&checked(&[stays.address(), other.address()]));
    until_answering(&proxy, &["other", "stays"]);
    let counts = counted(&proxy);
    assert_eq!(counts.len(), 2);
    assert!(counts.iter().all(|count| count.failed_checks.is_empty()), "{counts:?}");
    assert!(proxy.counted().total.failed_checks["status"] >= 10, "the total has them");
}

#[test]
fn checks_can_be_turned_on_and_off_while_the_proxy_runs() {
    let (first, second) = (named("first", true), named("second", false));
    let addresses = [first.address(), second.address()];
    let (off, on) = (plan(&addresses), checked(&addresses));
    let proxy = Live::start(&off);
    for _ in 0..3 {
        assert_eq!(answering(&proxy), ["first", "second"]);
        let before = second.checks();
        proxy.apply(&on);
        until_answering(&proxy, &["first"]);
        assert!(second.checks() >= before + 3);
        proxy.apply(&off);
        // What a check once found does not keep it down for ever.
        until_answering(&proxy, &["first", "second"]);
    }
    let checks = (first.checks(), second.checks());
    assert_eq!(answering(&proxy), ["first", "second"]);
    let (again, later) = (first.checks(), second.checks());
    assert!(again <= checks.0 + 1 && later <= checks.1 + 1, "nothing is checked any more");
}

#[test]
fn settings_of_checks_hold_at_once() {
    let (first, second) = (named("first", true), named("second", true));
    let mut plan = checked(&[first.address(), second.address()]);
    plan.settings.checks.interval = Duration::from_secs(3600);
    let proxy = Live::start(&plan);
    second.set_well(false);
    plan.settings.checks.interval = Duration::from_millis(5);
    plan.settings.checks.statuses = "200,503".parse().unwrap();
    proxy.apply(&plan);
    second.is_checked(20);
    assert_eq!(answering(&proxy), ["first", "second"], "a 503 is a pass");
    plan.settings.checks.statuses = "200".parse().unwrap();
    plan.settings.checks.fall = 1;
    proxy.apply(&plan);
    until_answering(&proxy, &["first"]);
}

#[test]
fn with_all_down_requests_are_served_all_the_same() {
    let (first, second) = (named("first", false), named("second", false));
    let proxy = Live::start(&checked(&[first.address(), second.address()]));
    first.is_checked(10);
    second.is_checked(10);
    assert_eq!(answering(&proxy), ["first", "second"], "in turn");
}

/// A backend that has read a check's request before it acts.
fn acting(act: impl Fn(&mut Connection) + Send + Sync + 'static) -> Origin {
    Origin::serve(move |mut connection| {
        if connection.head().is_some() {
            act(&mut connection);
        }
    })
}

fn sending(bytes: &'static [u8]) -> Origin {
    acting(move |connection| {
        connection.offer(bytes);
    })
}

#[test]
fn each_kind_of_failure_is_counted_by_its_name_and_costs_no_request() {
    let silent = Silent::reserve();
    let dribbling = acting(|connection| {
        connection.offer("HTTP/1.1 200 OK\r\nX: ");
        while connection.offer("y") {
            pause(Duration::from_millis(5));
        }
    });
    let endless = acting(|connection| {
        connection.offer("HTTP/1.1 200 OK\r\n");
        while connection.offer("X: and so on\r\n") {}
    });
    let origins = [
        ("upstream_closed", Origin::serve(drop)),
        ("upstream_closed", sending(b"")),
        ("upstream_closed", sending(b"HTTP/1.1 200 OK\r\nContent-")),
        ("response_bad_status_line", sending(b"SSH-2.0-x\r\n")),
        ("response_bad_length", sending(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n")),
        ("response_timeout", acting(|connection| drop(connection.rest()))),
        ("response_timeout", dribbling),
        ("response_head_too_large", endless),
        ("status", sending(b"HTTP/1.1 404 Not Found\r\n\r\n")),
    ];
    for (label, address) in [("connect_refused", silent.address)]
        .into_iter()
        .chain(origins.iter().map(|(label, origin)| (*label, origin.address)))
    {
        let serving = named("serving", true);
        let mut plan = checked(&[serving.address(), address]);
        plan.settings.checks.timeout = Duration::from_millis(300);
        let proxy = Live::start(&plan);
        until("three failures", || {
            let failed = proxy.counted().total.failed_checks;
            (failed.get(label) >= Some(&3)).then_some(())
        });
        until_answering(&proxy, &["serving"]);
        let failed = proxy.counted().total.failed_checks;
        assert!(failed.contains_key(label), "{label}: {failed:?}");
    }
}

#[test]
fn the_body_of_an_answer_is_dropped_up_to_a_limit_and_says_nothing() {
    let (ended, ends) = channel();
    let origin = acting(move |connection| {
        connection.offer("HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n");
        while connection.offer([b'x'; 1024]) {}
        let _ = ended.send(());
    });
    let proxy = Live::start(&checked(&[origin.address]));
    for _ in 0..5 {
        hear(&ends);
    }
    let total = proxy.counted().total;
    assert!(total.checks >= 5 && total.failed_checks.is_empty(), "{total:?}");
}

#[test]
fn a_unix_socket_is_checked_and_one_that_is_not_there_is_down_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let serving = named("serving", true);
    let mut plan = checked(&[serving.address()]);
    let url = format!("unix:{}", path.display());
    let address = Address::Unix(path.clone());
    plan.backends.push(Backend { url, address, role: Role::default(), resolve: Resolve::One });
    let proxy = Live::start(&plan);
    until("failures", || {
        (proxy.counted().total.failed_checks.get("connect_refused") >= Some(&3)).then_some(())
    });
    assert_eq!(answering(&proxy), ["serving"]);
    let origin = UnixOrigin::serve(&path, |mut connection| {
        while let Some((head, _)) = connection.request() {
            let is_check = head.starts_with("GET /healthz ");
            assert_eq!(is_check, head.contains("\r\nHost: localhost\r\n"), "{head}");
            connection.offer(ok("unix"));
        }
    });
    until_answering(&proxy, &["serving", "unix"]);
    assert!(origin.accepted() >= 2);
}

#[test]
fn each_address_of_a_name_is_tried() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let origin = Silent::reserve_at(ip).serve(|mut connection| {
            while connection.request().is_some() {
                connection.offer(ok("here"));
            }
        });
        let mut plan = checked(&[]);
        plan.backends = vec![Backend::tcp("localhost", origin.address.port())];
        if ("localhost", 80).to_socket_addrs().unwrap().all(|found| found.ip() != ip) {
            println!("skipped: localhost is not {ip} here");
            continue;
        }
        let proxy = Live::start(&plan);
        until("checks", || (proxy.counted().total.checks >= 20).then_some(()));
        let failed = proxy.counted().total.failed_checks;
        assert!(failed.is_empty(), "{ip}: {failed:?}");
    }
}
