//! Events at a bad time: while the proxy is stopped, or as it is about to close.

use std::time::Duration;

use rustix::process::Signal;

use support::clock::pause;
use support::http::Connection;
use support::origin::{Origin, ok};
use support::process::Proxy;

#[test]
fn what_arrived_before_a_timer_was_handled_is_in_time() {
    const TIMEOUT: &str = "2s";
    let (came, comes) = std::sync::mpsc::channel();
    let (go, goes) = std::sync::mpsc::channel::<()>();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            if head.starts_with("GET /slow") {
                came.send(()).unwrap();
                goes.lock().unwrap().recv().unwrap();
            }
            connection.send(ok("in time"));
            came.send(()).unwrap();
        }
    });
    let flags = ["--response-timeout", TIMEOUT, "--client-idle-timeout", TIMEOUT];
    let proxy = Proxy::start(&[origin.address], &[&flags[..], &["--workers", "1"]].concat());
    let mut idle = Connection::connect(proxy.address());
    assert_eq!(idle.get("/").status, 200);
    comes.recv().unwrap();
    let mut busy = Connection::connect(proxy.address());
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    comes.recv().unwrap();
    proxy.process.halt();
    go.send(()).unwrap();
    comes.recv().unwrap();
    idle.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    pause(Duration::from_millis(2100));
    proxy.process.signal(Signal::CONT);
    assert_eq!(busy.answer().text(), "in time");
    assert_eq!(idle.answer().text(), "in time");
}

#[test]
fn a_request_with_a_reset_behind_it_is_counted() {
    let origin = Origin::echoing_targets();
    let mut proxy = Proxy::start(&[origin.address], &["--workers", "1"]);
    proxy.process.halt();
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.reset();
    proxy.process.signal(Signal::CONT);
    proxy.process.signal(Signal::TERM);
    assert!(proxy.process.ended().success());
    let said = proxy.process.stdout();
    assert!(said.ends_with("1 requests, 1 errors, 0 rows, 0 rows lost\n"), "{said}");
}

#[test]
fn an_answer_is_not_lost_to_a_further_request_that_gets_none() {
    // More than the kernel's buffers hold, so that a reset would destroy a part of it.
    const LARGE: usize = 4 << 20;
    let (came, comes) = std::sync::mpsc::channel();
    let (go, goes) = std::sync::mpsc::channel::<()>();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            came.send(()).unwrap();
            goes.lock().unwrap().recv().unwrap();
            connection.send(ok(&"x".repeat(LARGE)));
        }
    });
    let proxy = Proxy::start(&[origin.address], &["--connections", "non-persistent"]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    comes.recv().unwrap();
    client.send("GET /too-much HTTP/1.1\r\nHost: a\r\n\r\n");
    go.send(()).unwrap();
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.len()), (200, LARGE));
    assert_eq!(client.rest(), b"", "an orderly end");
}
