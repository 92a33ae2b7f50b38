//! How often a request is sent: a failed connect does not count, everything else has a budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::clock::now;
use support::http::Connection;
use support::log::{Logged, column, endings};
use support::origin::{Origin, Silent};

/// An origin that reads each request and closes without an answer, and how many it has read.
fn silent() -> (Origin, Arc<AtomicUsize>) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let origin = Origin::serve(move |mut connection| {
        if connection.request().is_some() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (origin, seen)
}

#[test]
fn requests_sent_again_have_a_budget() {
    const REQUESTS: usize = 300;
    /// Three a second are always allowed, and ten seconds of them accumulate.
    const RESERVE: usize = 30;
    let ((one, by_one), (two, by_two)) = (silent(), silent());
    let proxy = Logged::start(&[one.address, two.address], &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    let began = now();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/").status, 502);
    }
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    let seen = by_one.load(Ordering::Relaxed) + by_two.load(Ordering::Relaxed);
    let rows = proxy.rows();
    let attempts = column(&rows, "attempts");
    let told: usize = attempts.iter().map(|count| count.parse::<usize>().unwrap()).sum();
    assert_eq!(told, seen, "the log has each");
    let again = seen - REQUESTS;
    println!("{again} of {REQUESTS} requests were sent again");
    assert!((RESERVE..=REQUESTS / 5 + RESERVE + 3 * seconds).contains(&again), "{again}");
    assert!(rows.iter().all(|row| row["fault"] == "upstream_closed"));
}

#[test]
fn a_request_that_is_not_idempotent_is_sent_once() {
    let ((one, by_one), (two, by_two)) = (silent(), silent());
    let proxy = Logged::start(&[one.address, two.address], &["--retry-budget", "100"]);
    let mut client = Connection::connect(proxy.address());
    for method in ["POST", "PATCH", "OTHER"] {
        let fields = "Host: a\r\nContent-Length: 5";
        client.send(format!("{method} / HTTP/1.1\r\n{fields}\r\n\r\nhello"));
        assert_eq!(client.answer().status, 502);
    }
    assert_eq!(by_one.load(Ordering::Relaxed) + by_two.load(Ordering::Relaxed), 3);
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.answer().status, 502);
    assert_eq!(by_one.load(Ordering::Relaxed) + by_two.load(Ordering::Relaxed), 5);
    let [single, double] = ["1", "2"].map(|attempts| ("502", "upstream_closed", attempts));
    assert_eq!(endings(&proxy.rows()), [single, single, single, double]);
}

#[test]
fn a_connect_that_fails_is_no_retry_and_costs_no_request_of_any_method() {
    const REQUESTS: usize = 40;
    let (down, serving) = (Silent::reserve(), Origin::echoing_targets());
    // It is probed with nearly each request, and nothing may be sent twice.
    let flags = ["--retry-budget", "0", "--cooldown", "1ms", "--cooldown-max", "1ms"];
    let proxy = Logged::start(&[down.address, serving.address], &flags);
    let mut client = Connection::connect(proxy.address());
    for n in 0..REQUESTS {
        let method = if n % 2 == 0 { "POST" } else { "GET" };
        let fields = "Host: a\r\nContent-Length: 5";
        client.send(format!("{method} /{n} HTTP/1.1\r\n{fields}\r\n\r\nhello"));
        assert_eq!(client.answer().text(), format!("/{n}"));
    }
    let rows = proxy.rows();
    assert!(rows.iter().all(|row| (&*row["status_code"], &*row["fault"]) == ("200", "")));
    let second = column(&rows, "attempts").iter().filter(|attempts| **attempts == "2").count();
    assert!(second > 0, "the backend that is down was never tried");
}

#[test]
fn attempts_are_limited() {
    let down = [(); 4].map(|()| Silent::reserve());
    let addresses = down.each_ref().map(|silent| silent.address);
    for (limit, attempts) in [("1", "1"), ("2", "2"), ("9", "4")] {
        let proxy = Logged::start(&addresses, &["--max-attempts", limit]);
        let mut client = Connection::connect(proxy.address());
        assert_eq!(client.get("/").status, 503);
        assert_eq!(endings(&proxy.rows()), [("503", "connect_refused", attempts)]);
    }
}
