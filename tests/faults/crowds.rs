//! More clients than the limit, and many idle ones.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use tidegate::reactor::descriptors;

use support::clock::{hear, pause, until};
use support::http::{Connection, get};
use support::log::{Logged, endings};
use support::origin::{Origin, ok};
use support::process::Proxy;

/// An origin that reports each request to `/held`, and answers it when the test says so.
fn holding() -> (Origin, Receiver<()>, Sender<()>) {
    let ((ask, asked), (go, goes)) = (channel(), channel::<()>());
    let goes = Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let target = head.split(' ').nth(1).unwrap();
            if target == "/held" {
                ask.send(()).unwrap();
                hear(&goes.lock().unwrap());
            }
            connection.send(ok(target));
        }
    });
    (origin, asked, go)
}

#[test]
fn beyond_the_limit_clients_wait_until_another_ends() {
    let (origin, asked, go) = holding();
    let flags = ["--max-connections", "3", "--workers", "1"];
    let proxy = Proxy::start(&[origin.address], &flags);
    let mut accepted: Vec<Connection> =
        (0..3).map(|_| Connection::connect(proxy.address())).collect();
    for connection in &mut accepted {
        connection.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(&asked);
    }
    let mut waiting = Connection::connect(proxy.address());
    waiting.send("GET /waited HTTP/1.1\r\nHost: a\r\n\r\n");
    // A client that is being served is not closed.
    pause(Duration::from_millis(500));
    assert!(!waiting.has_bytes());
    (0..3).for_each(|_| go.send(()).unwrap());
    for connection in &mut accepted {
        assert_eq!(connection.answer().text(), "/held");
    }
    assert_eq!(waiting.answer().text(), "/waited");
}

#[test]
fn the_client_idle_longest_is_closed_for_a_new_one() {
    let origin = Origin::echoing_targets();
    let flags = ["--max-connections", "3", "--workers", "1", "--header-timeout", "10m"];
    let proxy = Logged::start(&[origin.address], &flags);
    let mut silent = Connection::connect(proxy.address());
    let mut used = Connection::connect(proxy.address());
    assert_eq!(used.get("/1").text(), "/1");
    let mut second = Connection::connect(proxy.address());
    assert_eq!(second.get("/2").text(), "/2");
    assert_eq!(used.get("/3").text(), "/3");
    // They are closed in the order in which they became idle, one for each new client.
    let mut third = Connection::connect(proxy.address());
    assert_eq!(third.get("/4").text(), "/4");
    assert_eq!(silent.rest(), b"", "an orderly end");
    assert!(!second.has_bytes() && !used.has_bytes());
    let mut fourth = Connection::connect(proxy.address());
    assert_eq!(fourth.get("/5").text(), "/5");
    assert_eq!(second.rest(), b"");
    assert_eq!(used.get("/6").text(), "/6");
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 6]);
}

#[test]
fn an_idle_client_is_closed_on_whichever_worker() {
    const COMING: usize = 6;
    let (origin, asked, go) = holding();
    let flags = ["--max-connections", "1", "--workers", "2"];
    let proxy = Proxy::start(&[origin.address], &flags);
    let mut busy = Connection::connect(proxy.address());
    busy.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(&asked);
    // The system gives some of them to the worker that has no idle client.
    let mut idle = Vec::new();
    for n in 0..COMING {
        let mut client = Connection::connect(proxy.address());
        assert_eq!(client.get(&format!("/{n}")).text(), format!("/{n}"));
        idle.push(client);
    }
    go.send(()).unwrap();
    assert_eq!(busy.answer().text(), "/held");
}

#[test]
fn a_client_that_sends_nothing_is_closed_after_the_header_timeout() {
    let origin = Origin::echoing_targets();
    let flags = ["--header-timeout", "2s", "--client-idle-timeout", "10m"];
    let proxy = Logged::start(&[origin.address], &flags);
    let mut used = Connection::connect(proxy.address());
    assert_eq!(used.get("/").text(), "/");
    let mut silent = Connection::connect(proxy.address());
    assert_eq!(silent.rest(), b"");
    assert_eq!(used.get("/again").text(), "/again");
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 2]);
}

#[test]
fn many_clients_beyond_the_limit_are_served_a_few_at_a_time() {
    const FLOOD: usize = 400;
    const LIMIT: usize = 10;
    let origin = Origin::echoing_targets();
    let flags = ["--max-connections", &LIMIT.to_string(), "--workers", "1"];
    let proxy = Logged::start(&[origin.address], &flags);
    let idle = proxy.proxy.process.open_files();
    let mut flood: Vec<Connection> =
        (0..FLOOD).map(|_| Connection::connect(proxy.address())).collect();
    for (n, client) in flood.iter_mut().enumerate() {
        client.send(format!("GET /{n} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    }
    for (n, client) in flood.iter_mut().enumerate() {
        assert_eq!(client.answer().text(), format!("/{n}"));
        let open = proxy.proxy.process.open_files();
        // A new client is accepted before the one that it replaces is closed.
        assert!(open <= idle + 2 * LIMIT + 1, "{open} descriptors, {idle} of them from before");
    }
    assert_eq!(endings(&proxy.rows()), vec![("200", "", "1"); FLOOD]);
}

/// Opens so many connections that send nothing, from several threads.
fn connect_all(proxy: &Logged, count: usize) -> Vec<Connection> {
    const THREADS: usize = 4;
    thread::scope(|scope| {
        let open = || (0..count / THREADS).map(|_| Connection::connect(proxy.address())).collect();
        let threads = [(); THREADS].map(|()| scope.spawn(open));
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
    })
}

/// Sends a request on each, so that everything that a request allocates was allocated for each.
fn all_ask(clients: &mut [Connection]) {
    const THREADS: usize = 4;
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for part in clients.chunks_mut(clients.len().div_ceil(THREADS)) {
            scope.spawn(|| {
                start.wait();
                for (n, client) in part.iter_mut().enumerate() {
                    assert_eq!(client.get(&format!("/{n}")).text(), format!("/{n}"));
                }
            });
        }
    });
}

#[test]
fn ten_thousand_idle_connections_cost_little_and_slow_no_request() {
    const WANTED: usize = 10_000;
    /// The goal for the proxy's own memory per connection, without the kernel's for a socket.
    const BYTES_EACH: u64 = 1024;
    // Both ends need descriptors, and so do other tests of this process.
    let limit = usize::try_from(descriptors::raise_limit().unwrap()).unwrap_or(usize::MAX);
    let count = WANTED.min(limit.saturating_sub(2000)) / 4 * 4;
    let origin = Origin::echoing_targets();
    let flags = ["--workers", "1", "--header-timeout", "10m"];
    let proxy = Logged::start(&[origin.address], &flags);
    let process = &proxy.proxy.process;
    let mut busy = Connection::connect(proxy.address());
    assert_eq!(busy.get("/").status, 200);
    let before = process.status().vmrss.unwrap();
    let mut idle = connect_all(&proxy, count);
    until("all connections", || (process.open_files() > count).then_some(()));
    let silent = process.status().vmrss.unwrap().saturating_sub(before) * 1024 / count as u64;
    for n in 0..1000 {
        assert_eq!(busy.get(&format!("/{n}")).text(), format!("/{n}"));
    }
    all_ask(&mut idle);
    let used = process.status().vmrss.unwrap().saturating_sub(before) * 1024 / count as u64;
    println!("{count} idle connections: {silent} bytes each, {used} once they were used");
    assert!(silent < BYTES_EACH && used < BYTES_EACH, "{silent} and {used} bytes each");
    assert_eq!(busy.get("/still").text(), "/still");
    drop(idle);
    until("closed connections", || (process.open_files() < 100).then_some(()));
    assert_eq!(get(proxy.address(), "/after").text(), "/after");
    assert_eq!(endings(&proxy.rows()), vec![("200", "", "1"); count + 1003]);
}
