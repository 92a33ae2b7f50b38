//! Backends that can't be reached, go down, or come back.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;

use support::clock::until;
use support::http::{Connection, get};
use support::log::{Logged, ending, endings, rows, stop};
use support::origin::{Origin, Silent, ok};
use support::over::Over;
use support::process::{Backend, Proxy, tidegate};

#[test]
fn a_backend_that_refuses_costs_no_request_of_any_method() {
    for method in ["GET", "POST"] {
        let (down, serving) = (Silent::reserve(), Origin::echoing_targets());
        let flags = ["--cooldown", "1m", "--cooldown-max", "1m", "--workers", "1"];
        let proxy = Logged::start(&[down.address, serving.address], &flags);
        let mut client = Connection::connect(proxy.address());
        for n in 0..10 {
            let fields = "Host: a\r\nContent-Length: 5";
            client.send(format!("{method} /{n} HTTP/1.1\r\n{fields}\r\n\r\nhello"));
            assert_eq!(client.answer().text(), format!("/{n}"));
        }
        let rows = proxy.rows();
        // The first request meets the refusal.
        assert_eq!(ending(&rows[0]), ("200", "", "2"));
        assert_eq!(endings(&rows)[1..], [("200", "", "1"); 9]);
        let url = format!("http://{}", serving.address);
        assert!(rows.iter().all(|row| row["backend_url"] == url));
    }
}

#[test]
fn a_backend_that_answers_no_syn_costs_time_and_no_request() {
    let (hanging, serving) = (Silent::reserve().hang(), Origin::echoing_targets());
    let flags = ["--connect-timeout", "100ms", "--cooldown", "1m", "--cooldown-max", "1m"];
    let flags = [&flags[..], &["--workers", "1"]].concat();
    let proxy = Logged::start(&[hanging.address, serving.address], &flags);
    let mut client = Connection::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer().status, 200);
    assert_eq!(client.get("/").status, 200);
    assert_eq!(endings(&proxy.rows()), [("200", "", "2"), ("200", "", "1")]);

    let proxy = Logged::start(&[hanging.address], &flags);
    let answer = get(proxy.address(), "/");
    assert!(answer.status == 503 && answer.text().contains("timed out"), "{answer:?}");
    assert_eq!(endings(&proxy.rows()), [("503", "connect_timeout", "1")]);
}

#[test]
fn a_backend_that_is_down_is_ejected_and_found_again() {
    let (down, serving) = (Silent::reserve(), Origin::echoing_targets());
    let url = format!("http://{}", down.address);
    let flags = ["--cooldown", "50ms", "--cooldown-max", "50ms"];
    let proxy = Proxy::start(&[down.address, serving.address], &flags);
    assert_eq!(get(proxy.address(), "/").status, 200);
    let revived = down.serve(|mut connection| {
        while connection.request().is_some() {
            connection.send(ok("I am back"));
        }
    });
    until("the backend that came back", || {
        (get(proxy.address(), "/").text() == "I am back").then_some(())
    });
    assert_eq!(format!("http://{}", revived.address), url);
}

#[test]
fn with_every_backend_down_the_answer_is_503_until_one_is_back() {
    let backends = [(); 2].map(|()| Backend::start(&["--profile", "0"]));
    let addresses = backends.each_ref().map(|backend| backend.address);
    let proxy = Logged::start(&addresses, &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(client.get("/up").status, 200);
    drop(backends);
    for _ in 0..10 {
        let answer = client.get("/down");
        assert_eq!(answer.status, 503);
        let text = answer.text();
        assert!(text.contains("refused") && !text.contains("127.0.0.1"), "{text}");
    }
    // All are ejected, so the one whose ejection ends first is tried.
    let _back = Backend::start_on(addresses[1].port(), &["--profile", "0"]);
    until("an answer", || (client.get("/back").status == 200).then_some(()));
    let rows = proxy.rows();
    let down = rows.iter().filter(|row| row["path"] == "/down");
    assert!(down.clone().count() == 10 && down.clone().all(|row| row["status_code"] == "503"));
    assert!(down.clone().all(|row| row["fault"] == "connect_refused"));
}

#[test]
fn a_backend_that_is_stopped_costs_its_own_requests_until_it_continues() {
    let backends = ["halts", "serves"].map(|id| Backend::start(&["--profile", "0", "--id", id]));
    let addresses = backends.each_ref().map(|backend| backend.address);
    let proxy = Logged::start(&addresses, &["--response-timeout", "2s", "--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    let mut ask = |path: &str| [(); 4].map(|()| client.get(path).status);
    assert_eq!(ask("/before"), [200; 4]);
    backends[0].process.halt();
    // It accepts and sends nothing. A request that it may be working on is not sent to another.
    assert_eq!(ask("/halted"), [504, 200, 504, 200]);
    backends[0].process.signal(Signal::CONT);
    assert_eq!(ask("/after"), [200; 4]);
    let rows = proxy.rows();
    let (lost, served) = (("504", "response_timeout", "1"), ("200", "", "1"));
    assert_eq!(endings(&rows)[4..8], [lost, served, lost, served]);
    let halted = format!("http://{}", addresses[0]);
    assert!([4, 6].iter().all(|n| rows[*n]["backend_url"] == halted));
}

#[test]
fn a_backend_that_goes_down_repeatedly_costs_no_get() {
    const CLIENTS: usize = 4;
    const FLAPS: usize = 10;
    let steady = Backend::start(&["--profile", "0"]);
    let mut flapping = Backend::start(&["--profile", "1"]);
    let flags = ["--cooldown", "1ms", "--cooldown-max", "20ms"];
    let proxy = Logged::start(&[flapping.address, steady.address], &flags);
    let (address, is_over) = (proxy.address(), AtomicBool::new(false));
    let ask = || {
        let mut client = Connection::connect(address);
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(client.get("/").status, 200);
        }
    };
    thread::scope(|scope| {
        let _over = Over(&is_over);
        (0..CLIENTS).for_each(|_| drop(scope.spawn(ask)));
        let (port, url) = (flapping.address.port(), format!("http://{}", flapping.address));
        for _ in 0..FLAPS {
            // It has been found again and has served before it goes down.
            let served = || fs::read_to_string(proxy.path()).unwrap().matches(&url).count();
            let before = served();
            until("the backend in use", || (served() > before + 5).then_some(()));
            drop(flapping);
            flapping = Backend::start_on(port, &["--profile", "1"]);
        }
    });
    let rows = proxy.rows();
    assert!(rows.iter().all(|row| (&*row["status_code"], &*row["fault"]) == ("200", "")));
    let again = rows.iter().filter(|row| row["attempts"] != "1").count();
    println!("{} requests, {again} of them in more than one attempt", rows.len());
    assert!(again > 0, "no request met it");
}

/// The proxy on a system where `localhost` has both addresses; if needed, in a mount namespace.
fn with_both_localhosts(folder: &Path, flags: &[&str]) -> Option<Command> {
    const BIND: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    let proxy = tidegate(flags);
    let families = ("localhost", 80).to_socket_addrs().unwrap().map(|found| found.is_ipv6());
    if families.collect::<HashSet<_>>().len() == 2 {
        return Some(proxy);
    }
    let hosts = folder.join("hosts");
    fs::write(&hosts, "::1 localhost\n127.0.0.1 localhost\n").unwrap();
    let unshare = |program: &OsStr| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", BIND]).arg(&hosts).arg(program);
        command
    };
    let output = unshare("true".as_ref()).output();
    let works = output.is_ok_and(|output| output.status.success());
    works.then(|| {
        let mut command = unshare(proxy.get_program());
        command.args(proxy.get_args());
        command
    })
}

#[test]
fn localhost_is_found_on_whichever_family_it_listens() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let origin = Silent::reserve_at(ip).serve(|mut connection| {
            while connection.request().is_some() {
                connection.send(ok("here"));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.csv");
        let url = format!("http://localhost:{}", origin.address.port());
        let flags = ["--upstream", &url, "--max-attempts", "1", "--log", log.to_str().unwrap()];
        let listen = ["--listen", "127.0.0.1:0", "--connections", "non-persistent"];
        let command = with_both_localhosts(folder.path(), &[&listen[..], &flags].concat());
        let Some(mut command) = command else {
            println!("skipped: localhost has one address, and `unshare` can't give it another");
            return;
        };
        let mut proxy = Proxy::spawn(&mut command);
        for _ in 0..5 {
            assert_eq!(get(proxy.address(), "/").text(), "here", "{ip}");
        }
        stop(&mut proxy);
        let rows = rows(&log);
        assert_eq!(rows.len(), 5);
        // The second address of a backend is no second attempt.
        assert!(rows.iter().all(|row| row["attempts"] == "1" && row["backend_url"] == url));
    }
}

#[test]
fn a_killed_backend_and_its_successor_serve_the_same_clients() {
    let backend = Backend::start(&["--profile", "0", "--id", "one"]);
    let spare = Backend::start(&["--profile", "0", "--id", "two"]);
    let proxy = Proxy::start(&[backend.address, spare.address], &["--cooldown", "50ms"]);
    let mut connection = Connection::connect(proxy.address());
    let mut ask = |count: usize| -> Vec<String> {
        (0..count)
            .map(|_| {
                let answer = connection.get("/");
                assert_eq!(answer.status, 200);
                answer.text().split(' ').nth(2).unwrap().to_owned()
            })
            .collect()
    };
    assert_eq!(ask(4), ["one", "two", "one", "two"]);
    let port = backend.address.port();
    drop(backend);
    assert!(ask(50).iter().all(|id| id == "two"));
    let _successor = Backend::start_on(port, &["--profile", "0", "--id", "three"]);
    until("the successor", || ask(2).contains(&"three".to_owned()).then_some(()));
}

#[test]
fn a_backend_that_fails_fast_is_not_preferred() {
    let failing = Arc::new(AtomicBool::new(true));
    let origin = {
        let failing = Arc::clone(&failing);
        Origin::serve(move |mut connection| {
            while connection.request().is_some() {
                let is_failing = failing.load(Ordering::Relaxed);
                let status = if is_failing { "503 Busy" } else { "200 OK" };
                connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
            }
        })
    };
    let slow = Backend::start(&["--profile", "20"]);
    let proxy = Proxy::start(&[origin.address, slow.address], &["adaptive_ewma"]);
    let mut connection = Connection::connect(proxy.address());
    let failed = (0..20).filter(|_| connection.get("/").status == 503).count();
    assert_eq!(failed, 1, "it is measured once");
    assert!(failing.load(Ordering::Relaxed));
}

#[test]
fn a_backend_that_accepts_and_closes_at_once_costs_few_requests_under_every_policy() {
    const REQUESTS: usize = 300;
    let closing = Origin::serve(|mut connection| drop(connection.request()));
    let steady = [Origin::echoing_targets(), Origin::echoing_targets()];
    let addresses = [closing.address, steady[0].address, steady[1].address];
    for policy in ["round-robin", "adaptive_sma", "adaptive_ewma", "least-conn", "adaptive"] {
        // It is ejected for longer than this takes.
        let flags = [policy, "--workers", "1", "--cooldown", "1m", "--cooldown-max", "1m"];
        let proxy = Proxy::start(&addresses, &flags);
        let mut client = Connection::connect(proxy.address());
        let mut failed = 0;
        for _ in 0..REQUESTS {
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
            let status = client.answer().status;
            assert!([200, 502].contains(&status), "{policy}: {status}");
            failed += usize::from(status == 502);
        }
        assert!(failed <= 3, "{policy}: {failed} of {REQUESTS}");
    }
}
