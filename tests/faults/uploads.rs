//! Clients that send a request slowly: their time does not count against a backend.

use std::time::Duration;

use support::clock::{pause, until};
use support::http::{Connection, get};
use support::log::{Logged, endings};
use support::origin::{Origin, Silent, ok};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

/// A backend that answers every request with its name, after this delay.
fn named(name: &'static str, latency: Duration) -> Origin {
    Origin::serve(move |connection| serve(name, latency, connection))
}

fn serve(name: &str, latency: Duration, mut connection: Connection) {
    while connection.request().is_some() {
        pause(latency);
        connection.send(ok(name));
    }
}

/// Sends `count` requests, and returns which backends answered.
fn names(client: &mut Connection, count: usize) -> Vec<String> {
    (0..count).map(|_| client.get("/").text()).collect()
}

#[test]
fn slow_uploads_do_not_move_requests_to_a_slower_backend() {
    for policy in [["adaptive_sma", "--sma-window", "1"], ["adaptive_ewma", "--ewma-alpha", "1"]] {
        let fast = named("fast", Duration::ZERO);
        let slow = named("slow", Duration::from_millis(1500));
        let proxy = Logged::start(&[fast.address, slow.address], &policy);
        let mut client = Connection::connect(proxy.address());
        let first = names(&mut client, 2);
        assert!(first.contains(&"fast".to_owned()) && first.contains(&"slow".to_owned()));
        client.send(POST);
        for byte in ["0", "1", "2", "3", "4"] {
            pause(Duration::from_millis(400));
            client.send(byte);
        }
        assert_eq!(client.answer().text(), "fast");
        assert_eq!(names(&mut client, 20), ["fast"; 20], "{policy:?}");
    }
}

#[test]
fn an_upload_as_first_request_of_a_returning_backend_does_not_block_it() {
    let (gone, other) = (Silent::reserve(), named("other", Duration::ZERO));
    let flags = ["--cooldown", "50ms", "--cooldown-max", "50ms", "--probe-timeout", "1h"];
    let proxy = Logged::start(&[gone.address, other.address], &flags);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(names(&mut client, 2), ["other"; 2]);
    let _back = gone.serve(|connection| serve("back", Duration::ZERO, connection));
    // Uploads that never end, until one of them is the probe.
    let mut uploads = Vec::new();
    until("a request at the backend that is back", || {
        let mut upload = Connection::connect(proxy.address());
        upload.send(POST);
        uploads.push(upload);
        (client.get("/").text() == "back").then_some(())
    });
}

#[test]
fn an_upload_as_first_request_of_a_new_backend_does_not_block_it() {
    let backends = [named("one", Duration::ZERO), named("two", Duration::from_millis(5))];
    let addresses = backends.each_ref().map(|backend| backend.address);
    let proxy = Logged::start(&addresses, &["adaptive_ewma", "--probe-timeout", "1h"]);
    let uploads = [(); 2].map(|()| {
        let mut upload = Connection::connect(proxy.address());
        upload.send(POST);
        upload
    });
    until("all uploads at their backends", || {
        let arrived = backends.iter().map(Origin::accepted).sum::<usize>();
        (arrived == uploads.len()).then_some(())
    });
    let asked = names(&mut Connection::connect(proxy.address()), 10);
    assert!(asked.contains(&"one".to_owned()) && asked.contains(&"two".to_owned()), "{asked:?}");
}

#[test]
fn a_backend_that_sends_no_100_is_a_504() {
    let origin = Origin::serve(|mut connection| {
        let _ = connection.head();
        let _ = connection.rest();
    });
    let flags = ["--response-timeout", "300ms", "--body-timeout", "1h"];
    let proxy = Logged::start(&[origin.address], &flags);
    let mut client = Connection::connect(proxy.address());
    client.send(POST.replace("Host", "Expect: 100-continue\r\nHost"));
    assert_eq!(client.answer().status, 504);
    drop(client);
    assert_eq!(endings(&proxy.rows()), [("504", "response_timeout", "1")]);
}

#[test]
fn an_unanswered_probe_is_followed_by_another() {
    let answering = std::sync::atomic::AtomicBool::new(false);
    let origin = Origin::serve(move |mut connection| {
        let _ = connection.request();
        // The first one is never answered.
        if answering.swap(true, std::sync::atomic::Ordering::Relaxed) {
            connection.send(ok("new"));
        }
        let _ = connection.rest();
    });
    let known = named("known", Duration::from_millis(20));
    let flags = ["adaptive_sma", "--probe-timeout", "100ms"];
    let proxy = Logged::start(&[origin.address, known.address], &flags);
    let mut unlucky = Connection::connect(proxy.address());
    unlucky.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request at the backend", || (origin.accepted() == 1).then_some(()));
    until("another request there", || (get(proxy.address(), "/").text() == "new").then_some(()));
}
