//! Pooled connections that a backend closes just as they are reused.
//!
//! There are three ways to notice it: the end is seen before the request, the end comes instead of
//! an answer, or writing the request fails.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tidegate::reactor::descriptors;

use support::clock::{hear, pause, until};
use support::http::Connection;
use support::log::{Logged, Row, column, endings};
use support::origin::{Origin, ok};

fn sent_again(rows: &[Row]) -> usize {
    column(rows, "attempts").iter().filter(|attempts| **attempts != "1").count()
}

#[test]
fn ten_thousand_requests_to_a_backend_with_short_keep_alive_are_all_answered() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 2500;
    let made = AtomicUsize::new(0);
    // It closes after a few requests, in order or with a reset, while the next may be on its way.
    let origin = Origin::serve(move |mut connection| {
        let number = made.fetch_add(1, Ordering::Relaxed);
        for _ in 0..5 + number % 5 {
            let Some((head, _)) = connection.request() else { return };
            connection.send(ok(head.split(' ').nth(1).unwrap()));
        }
        (0..number * 997 % 20_000).for_each(|_| std::hint::spin_loop());
        if number.is_multiple_of(2) {
            connection.reset();
        }
    });
    let proxy = Logged::start(&[origin.address], &[]);
    let ask = |client: usize| {
        let mut connection = Connection::connect(proxy.address());
        for n in 0..REQUESTS {
            let target = format!("/{client}/{n}");
            let answer = connection.get(&target);
            assert_eq!((answer.status, answer.text()), (200, target));
        }
    };
    thread::scope(|scope| (0..CLIENTS).for_each(|client| drop(scope.spawn(move || ask(client)))));
    let rows = proxy.rows();
    assert_eq!(rows.len(), CLIENTS * REQUESTS);
    assert!(rows.iter().all(|row| (&*row["status_code"], &*row["fault"]) == ("200", "")));
    let (connections, again) = (origin.accepted(), sent_again(&rows));
    println!("{} requests over {connections} connections, {again} sent again", rows.len());
    assert!(again > 0, "no connection was closed just as it was reused");
}

#[test]
fn thousands_of_ends_that_come_in_one_turn_with_a_request_are_all_seen_before_it() {
    // More events than the proxy gets from one system call.
    const POOLED: usize = 1500;
    descriptors::raise_limit().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let accept = || Connection::new(until("a connection", || listener.accept().ok()).0);
    let flags = ["--workers", "1", "--pool-size", "2000"];
    let proxy = Logged::start(&[listener.local_addr().unwrap()], &flags);
    let mut clients: Vec<Connection> =
        (0..POOLED).map(|_| Connection::connect(proxy.address())).collect();
    let ask = |client: &mut Connection| {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let mut upstream = accept();
        upstream.request().unwrap();
        upstream
    };
    let mut upstreams: Vec<Connection> = clients.iter_mut().map(ask).collect();
    for (client, upstream) in clients.iter_mut().zip(&mut upstreams) {
        upstream.send(ok("pooled"));
        assert_eq!(client.answer().text(), "pooled");
    }
    proxy.proxy.process.halt();
    clients[0].send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    // The one that would be reused next ends last.
    upstreams.clear();
    proxy.proxy.process.has_ends_from(listener.local_addr().unwrap());
    proxy.proxy.process.signal(Signal::CONT);
    let mut upstream = accept();
    upstream.request().unwrap();
    upstream.send(ok("fresh"));
    assert_eq!(clients[0].answer().text(), "fresh");
    assert_eq!(endings(&proxy.rows()), vec![("200", "", "1"); POOLED + 1]);
}

#[test]
fn an_end_that_comes_in_one_turn_with_a_request_is_seen_before_it() {
    let ((go, goes), (close, closed)) = (channel(), channel());
    let goes = Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        let Some(_) = connection.request() else { return };
        connection.send(ok("once"));
        hear(&goes.lock().unwrap());
        drop(connection);
        close.send(()).unwrap();
    });
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    for _ in 0..10 {
        // It must not be sent twice, so it must not be sent on a connection that has ended.
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        proxy.proxy.process.signal(Signal::CONT);
        assert_eq!(client.answer().text(), "once");
        proxy.proxy.process.halt();
        go.send(()).unwrap();
        hear(&closed);
        proxy.proxy.process.has_ends_from(origin.address);
    }
    proxy.proxy.process.signal(Signal::CONT);
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 10]);
}

#[test]
fn an_end_instead_of_an_answer_is_retried_for_a_get_only() {
    for resets in [false, true] {
        // The second request on each connection is read and then not answered.
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let origin = Origin::serve(move |mut connection| {
            let Some(_) = connection.request() else { return };
            connection.send(ok("first"));
            if connection.request().is_some() {
                count.fetch_add(1, Ordering::Relaxed);
            }
            if resets {
                connection.reset();
            }
        });
        let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
        let mut client = Connection::connect(proxy.address());
        for _ in 0..20 {
            assert_eq!(client.get("/").text(), "first");
        }
        assert_eq!(seen.load(Ordering::Relaxed), 19);
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.answer().status, 502);
        assert_eq!(seen.load(Ordering::Relaxed), 20);
        let rows = proxy.rows();
        let endings = endings(&rows);
        assert_eq!(endings[0], ("200", "", "1"));
        assert_eq!(endings[1..20], [("200", "", "2"); 19]);
        assert_eq!(endings[20], ("502", "upstream_closed", "1"));
    }
}

/// How often each target was asked for.
type Seen = Arc<Mutex<HashMap<String, usize>>>;

/// Answers the first `count` connections together, so that as many go into the pool, and resets all
/// of them as soon as one is reused. Serves the connections after that.
fn breaking_all_at_once(count: usize) -> (Origin, Seen) {
    let seen = Seen::default();
    let (counts, made) = (Arc::clone(&seen), AtomicUsize::new(0));
    let pooled = Mutex::new(Vec::new());
    let origin = Origin::serve(move |mut connection| {
        if made.fetch_add(1, Ordering::Relaxed) < count {
            let Some(_) = connection.request() else { return };
            let mut pooled = pooled.lock().unwrap();
            pooled.push(connection);
            if pooled.len() == count {
                pooled.iter_mut().for_each(|connection| connection.send(ok("warm")));
                until("a connection that is reused", || {
                    pooled.iter().any(Connection::has_bytes).then_some(())
                });
                pooled.drain(..).for_each(Connection::reset);
            }
            return;
        }
        while let Some((head, _)) = connection.request() {
            let target = head.split(' ').nth(1).unwrap();
            *counts.lock().unwrap().entry(target.to_owned()).or_default() += 1;
            connection.send(ok(target));
        }
    });
    (origin, seen)
}

#[test]
fn connections_that_break_in_the_turn_that_reuses_them_cost_no_get_and_double_no_post() {
    const CLIENTS: usize = 200;
    for method in ["GET", "POST"] {
        let (origin, seen) = breaking_all_at_once(CLIENTS);
        let flags = ["--workers", "1", "--retry-budget", "100"];
        let proxy = Logged::start(&[origin.address], &flags);
        let mut clients: Vec<Connection> =
            (0..CLIENTS).map(|_| Connection::connect(proxy.address())).collect();
        for client in &mut clients {
            client.send("GET /warm HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        assert!(clients.iter_mut().all(|client| client.answer().text() == "warm"));
        // All requests come in one turn of the proxy. Some are written before their connections
        // break; for the others the write fails.
        proxy.proxy.process.halt();
        for (n, client) in clients.iter_mut().enumerate() {
            let fields = "Host: a\r\nContent-Length: 0";
            client.send(format!("{method} /{n} HTTP/1.1\r\n{fields}\r\n\r\n"));
        }
        proxy.proxy.process.signal(Signal::CONT);
        let mut lost = 0;
        for (n, client) in clients.iter_mut().enumerate() {
            let (answer, target) = (client.answer(), format!("/{n}"));
            let served = seen.lock().unwrap().get(&target).copied().unwrap_or(0);
            if answer.status == 200 {
                assert_eq!((answer.text(), served), (target, 1));
            } else {
                assert_eq!((method, answer.status, served), ("POST", 502, 0));
                lost += 1;
            }
        }
        let rows = proxy.rows();
        let again = sent_again(&rows);
        println!("{method}: {lost} of {CLIENTS} lost, {again} in a second attempt");
        let faults = rows.iter().filter(|row| row["fault"] == "upstream_closed").count();
        assert_eq!((rows.len(), faults), (2 * CLIENTS, lost));
    }
}

#[test]
fn a_connection_is_not_used_for_longer_than_its_backend_announced() {
    // A request after the announced time is read and not answered.
    let origin = Origin::serve(|mut connection| {
        let Some(_) = connection.request() else { return };
        connection.send("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok");
        let _ = connection.request();
    });
    let proxy = Logged::start(&[origin.address], &["--upstream-idle-timeout", "1m"]);
    let mut client = Connection::connect(proxy.address());
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        assert_eq!(client.answer().status, 200);
        pause(Duration::from_secs(1));
    }
    assert_eq!(origin.accepted(), 2);
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 2]);
}

#[test]
fn a_408_for_a_connection_that_was_idle_is_no_answer_to_a_request() {
    // The backend sends the 408 when the second request comes, as if both had crossed.
    let origin = Origin::serve(|mut connection| {
        let Some(_) = connection.request() else { return };
        connection.send(ok("first"));
        if connection.request().is_some() {
            connection
                .send("HTTP/1.1 408 Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let proxy = Logged::start(&[origin.address], &["--workers", "1", "--retry-budget", "100"]);
    let mut client = Connection::connect(proxy.address());
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "first");
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer().status, 408);
    let rows = proxy.rows();
    let endings = endings(&rows);
    assert_eq!((endings[0], endings[20]), (("200", "", "1"), ("408", "", "1")));
    assert_eq!(endings[1..20], [("200", "", "2"); 19]);
}
