//! How the proxy ends: in order, or at once after a second signal.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc::channel;
use std::thread;

use rustix::process::Signal;

use support::clock::{PATIENCE, until};
use support::http::{Connection, get};
use support::log::{Logged, endings, rows, stop, totals};
use support::origin::{Origin, ok};
use support::process::{Process, Proxy, tidegate};

/// An origin that reports a request to `/slow`, and answers it when the test says so.
fn on_demand() -> (Origin, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>) {
    let ((came, comes), (go, goes)) = (channel(), channel());
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET /slow") {
                came.send(()).unwrap();
                // The test may end without an answer.
                let _ = goes.lock().unwrap().recv();
            }
            connection.send(ok("done"));
        }
    });
    (origin, comes, go)
}

fn refuses(proxy: &Proxy) {
    until("a closed listener", || TcpStream::connect(proxy.address()).is_err().then_some(()));
}

#[test]
fn a_signal_lets_requests_in_flight_end_and_no_client_connect() {
    for signal in [Signal::TERM, Signal::INT] {
        let (origin, comes, go) = on_demand();
        let mut proxy = Proxy::start(&[origin.address], &[]);
        let mut idle = Connection::connect(proxy.address());
        assert_eq!(idle.get("/").status, 200);
        let mut busy = Connection::connect(proxy.address());
        busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        comes.recv().unwrap();
        proxy.process.signal(signal);
        refuses(&proxy);
        assert_eq!(idle.rest(), b"", "an idle connection is closed");
        assert!(!proxy.process.has_ended());
        go.send(()).unwrap();
        let answer = busy.answer();
        assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
        assert!(answer.head.contains("\r\nConnection: close\r\n"), "{}", answer.head);
        assert_eq!(busy.rest(), b"");
        assert!(proxy.process.ended().success());
        let said = proxy.process.stdout();
        assert!(said.ends_with("2 requests, 0 errors, 0 rows, 0 rows lost\n"), "{said}");
    }
}

#[test]
fn a_signal_that_is_repeated_at_once_counts_once() {
    let (origin, comes, go) = on_demand();
    let mut proxy = Proxy::start(&[origin.address], &[]);
    let mut busy = Connection::connect(proxy.address());
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    comes.recv().unwrap();
    // As `timeout` does: to the program, and then to its process group.
    proxy.process.signal(Signal::TERM);
    proxy.process.signal(Signal::INT);
    refuses(&proxy);
    go.send(()).unwrap();
    assert_eq!(busy.answer().status, 200);
    assert!(proxy.process.ended().success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (origin, comes, _go) = on_demand();
    let mut proxy = Proxy::start(&[origin.address], &[]);
    let mut busy = Connection::connect(proxy.address());
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    comes.recv().unwrap();
    proxy.process.signal(Signal::TERM);
    refuses(&proxy);
    until("its end", || {
        proxy.process.signal(Signal::INT);
        proxy.process.has_ended().then_some(())
    });
    assert_eq!(proxy.process.ended().code(), Some(128 + 2));
}

/// The exit status of `--health` for this proxy.
fn health(proxy: &Proxy) -> Option<i32> {
    let address = proxy.address().to_string();
    Process::spawn(&mut tidegate(&["--health", "--listen", &address])).ended().code()
}

#[test]
fn with_a_delay_health_checks_fail_first_and_clients_are_served_meanwhile() {
    let origin = Origin::echoing_targets();
    let mut proxy = Proxy::start(&[origin.address], &["--shutdown-delay", "1h"]);
    let mut accepted = Connection::connect(proxy.address());
    assert_eq!(accepted.get("/before").text(), "/before");
    assert_eq!(health(&proxy), Some(0));
    proxy.process.signal(Signal::TERM);
    until("a failing health check", || (health(&proxy) == Some(1)).then_some(()));
    accepted.send("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
    let answer = accepted.answer();
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("stopping"), "{}", answer.text());
    assert_eq!(accepted.get("/accepted").text(), "/accepted");
    assert_eq!(get(proxy.address(), "/new").text(), "/new");
    until("its end", || {
        proxy.process.signal(Signal::INT);
        proxy.process.has_ended().then_some(())
    });
    assert_eq!(proxy.process.ended().code(), Some(128 + 2), "a second signal");
}

#[test]
fn when_the_delay_is_over_it_stops_as_without_one() {
    let (origin, comes, go) = on_demand();
    let mut proxy = Proxy::start(&[origin.address], &["--shutdown-delay", "200ms"]);
    let mut busy = Connection::connect(proxy.address());
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    comes.recv().unwrap();
    proxy.process.signal(Signal::TERM);
    refuses(&proxy);
    go.send(()).unwrap();
    let answer = busy.answer();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("\r\nConnection: close\r\n"), "{}", answer.head);
    assert!(proxy.process.ended().success());
}

#[test]
fn a_signal_that_comes_while_names_are_resolved_ends_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap().to_string();
        let flags = ["--listen", "127.0.0.1:0", "--log", "none", "--upstream", "http://nowhere"];
        let flags = [&flags[..], &["--resolver", &address]].concat();
        let mut process = Process::spawn(&mut tidegate(&flags));
        // A name server that never answers.
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        server.recv_from(&mut [0; 512]).unwrap();
        // The log is not open yet, so these have no effect.
        process.signal(Signal::HUP);
        process.signal(Signal::USR1);
        process.signal(signal);
        assert!(process.ended().success(), "{}", process.stderr());
        let said = process.stdout();
        assert!(said.starts_with("stopped by SIG") && said.contains("resolving"), "{said}");
    }
}

#[test]
fn a_request_that_outlasts_the_drain_timeout_is_answered_503() {
    let (origin, comes, _go) = on_demand();
    let mut proxy = Logged::start(&[origin.address], &["--drain-timeout", "300ms"]);
    let mut busy = Connection::connect(proxy.address());
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    comes.recv().unwrap();
    proxy.proxy.process.signal(Signal::TERM);
    assert_eq!(busy.answer().status, 503);
    assert!(proxy.proxy.process.ended().success());
    assert_eq!(totals(&proxy.proxy.process.stdout()), [1, 1, 1, 0]);
    assert_eq!(endings(&rows(&proxy.path())), [("503", "stopped", "1")]);
}

#[test]
fn a_client_that_connected_before_the_signal_is_served() {
    // More than are accepted in one turn, so that the listeners close with some still in the queue.
    const CLIENTS: usize = 500;
    let origin = Origin::echoing_targets();
    let mut proxy = Proxy::start(&[origin.address], &["--workers", "1"]);
    proxy.process.halt();
    let mut connections: Vec<Connection> =
        (0..CLIENTS).map(|_| Connection::connect(proxy.address())).collect();
    for connection in &mut connections {
        connection.send("GET /served HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    proxy.process.signal(Signal::TERM);
    proxy.process.signal(Signal::CONT);
    for connection in &mut connections {
        assert_eq!(connection.answer().text(), "/served");
        assert_eq!(connection.rest(), b"");
    }
    assert!(proxy.process.ended().success());
}

#[test]
fn it_stops_despite_clients_that_send_nothing() {
    let origin = Origin::echoing_targets();
    let mut proxy = Proxy::start(&[origin.address], &[]);
    let mut silent = Connection::connect(proxy.address());
    assert_eq!(get(proxy.address(), "/").status, 200);
    proxy.process.signal(Signal::TERM);
    assert_eq!(silent.rest(), b"");
    assert!(proxy.process.ended().success());
}

/// What a client under load got.
#[derive(Default)]
struct Load {
    answered: usize,
    /// Connections that the kernel accepted, but the proxy no longer did.
    untaken: usize,
}

/// Sends requests until the listener is closed: if `kept`, on one connection as long as it is kept,
/// else each on a new one.
fn ask_until_closed(address: SocketAddr, client: usize, kept: bool) -> Load {
    let mut load = Load::default();
    while let Ok(stream) = TcpStream::connect(address) {
        let mut connection = Connection::new(stream);
        for n in 0.. {
            let target = format!("/{client}/{}", load.answered);
            let close = if kept { "" } else { "Connection: close\r\n" };
            let sent = connection.offer(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{close}\r\n"));
            if n == 0 && !(sent && connection.has_answer()) {
                load.untaken += 1;
                break;
            }
            // Only the first request of a connection may remain without an answer.
            let answer = connection.answer();
            assert_eq!((answer.status, answer.text()), (200, target));
            load.answered += 1;
            if answer.head.contains("\r\nConnection: close\r\n") {
                assert_eq!(connection.rest(), b"");
                break;
            }
            assert!(kept, "{}", answer.head);
        }
    }
    load
}

#[test]
fn under_load_every_accepted_request_is_answered_and_has_its_row() {
    const CLIENTS: usize = 8;
    let origin = Origin::echoing_targets();
    let mut proxy = Logged::start(&[origin.address], &["--workers", "2"]);
    let (address, log) = (proxy.address(), proxy.path());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| thread::spawn(move || ask_until_closed(address, client, client % 2 == 0)))
        .collect();
    proxy.has_rows(500);
    let said = stop(&mut proxy.proxy);
    let loads: Vec<Load> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    let answered: usize = loads.iter().map(|load| load.answered).sum();
    let untaken: usize = loads.iter().map(|load| load.untaken).sum();
    println!("{answered} answered, {untaken} came as the listeners closed");
    assert_eq!(totals(&said), [answered, 0, answered, 0]);
    let rows = rows(&log);
    assert_eq!(endings(&rows), vec![("200", "", "1"); answered]);
}
