//! Backends that are not there, not there any more, or there again.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::log::{logging, rows, stop};
use crate::support::clock::until;
use crate::support::http::{Connection, get};
use crate::support::origin::{Origin, Silent, ok};
use crate::support::process::{Backend, Proxy, tidegate};

#[test]
fn a_backend_that_is_down_costs_no_request() {
    let (dead, alive) = (Silent::reserve(), Origin::echoing_targets());
    let proxy = Proxy::start(&[dead.address, alive.address], &["--workers", "1"]);
    let mut connection = Connection::connect(proxy.address());
    for n in 0..50 {
        assert_eq!(connection.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    // For nothing was sent, this holds for any method.
    connection.send("POST /post HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(connection.answer().text(), "/post");
}

#[test]
fn a_backend_that_is_down_is_left_alone_and_found_again() {
    let (dead, alive) = (Silent::reserve(), Origin::echoing_targets());
    let url = format!("http://{}", dead.address);
    let flags = ["--cooldown", "1m", "--cooldown-max", "1m", "-v", "--workers", "1"];
    let mut proxy = Proxy::start(&[dead.address, alive.address], &flags);
    for _ in 0..20 {
        assert_eq!(get(proxy.address(), "/").status, 200);
    }
    let said = stop(&mut proxy);
    let tries = said.lines().filter(|line| line.ends_with(&format!("-> {}", dead.address.port())));
    assert_eq!(tries.count(), 1, "one failure is enough for a minute: {said}");

    let flags = ["--cooldown", "50ms", "--cooldown-max", "50ms"];
    let proxy = Proxy::start(&[dead.address, alive.address], &flags);
    assert_eq!(get(proxy.address(), "/").status, 200);
    let revived = dead.serve(|mut connection| {
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
fn with_every_backend_down_the_answer_is_503_until_one_is_up() {
    let (first, second) = (Silent::reserve(), Silent::reserve());
    let proxy = Proxy::start(&[first.address, second.address], &[]);
    let mut connection = Connection::connect(proxy.address());
    for _ in 0..10 {
        let answer = connection.get("/");
        assert_eq!(answer.status, 503);
        let text = answer.text();
        assert!(text.contains("refused") && !text.contains("127.0.0.1"), "{text}");
    }
    let _up = second.serve(|mut connection| {
        while connection.request().is_some() {
            connection.send(ok("up"));
        }
    });
    // All are cooling off, so the one due soonest is tried all the same.
    until("an answer", || (connection.get("/").status == 200).then_some(()));
}

/// The proxy, where `localhost` has both addresses: in a mount namespace of its own if it has not.
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
fn a_backend_that_closes_idle_connections_costs_no_request() {
    // Answers twice on each connection and closes it then, without a word of it before.
    let origin = Origin::serve(|mut connection| {
        for _ in 0..2 {
            let Some((head, _)) = connection.request() else { return };
            connection.send(ok(head.split(' ').nth(1).unwrap()));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.csv");
    let mut proxy = logging(&origin, &log, &["--workers", "1"]);
    let mut connection = Connection::connect(proxy.address());
    for n in 0..2000 {
        assert_eq!(connection.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    let totals = stop(&mut proxy);
    assert!(totals.ends_with("2000 requests, 0 errors, 2000 rows, 0 rows lost\n"), "{totals}");
    assert_eq!(origin.accepted(), 1000);
}

#[test]
fn a_connection_that_dies_as_it_is_used_again_is_replaced_for_a_get_only() {
    // The second request on each connection is read and then not answered.
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let origin = Origin::serve(move |mut connection| {
        let Some(_) = connection.request() else { return };
        connection.send(ok("first"));
        if connection.request().is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let proxy = Proxy::start(&[origin.address], &["--workers", "1"]);
    let mut connection = Connection::connect(proxy.address());
    for _ in 0..20 {
        assert_eq!(connection.get("/").text(), "first");
    }
    assert_eq!(seen.load(Ordering::Relaxed), 19);
    connection.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(connection.answer().status, 502);
    assert_eq!(seen.load(Ordering::Relaxed), 20);
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
fn a_slow_backend_is_not_waited_for_longer_than_told() {
    let silent = Origin::serve(|mut connection| while connection.head().is_some() {});
    let proxy = Proxy::start(&[silent.address], &["--response-timeout", "200ms"]);
    let mut connection = Connection::connect(proxy.address());
    let answer = connection.get("/");
    assert_eq!(answer.status, 504);
    assert_eq!(connection.get("/").status, 504, "the client's connection goes on");
}

#[test]
fn a_backend_that_fails_at_once_does_not_win_by_speed() {
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
