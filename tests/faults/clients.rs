//! Clients that leave, are slow, or read nothing.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use support::clock::{hear, pause, until};
use support::http::Connection;
use support::log::{Logged, ending, endings};
use support::origin::{Origin, ok};
use support::process::Backend;

/// An origin that reports what happens on each of its connections: that a head came, then how many
/// bytes followed and how the stream ended. After the head it sends `answer` and nothing else.
fn watching(answer: &'static [u8]) -> (Origin, Receiver<String>) {
    let (tell, told) = channel();
    let origin = Origin::serve(move |mut connection| {
        while connection.head().is_some() {
            tell.send("a head".to_owned()).unwrap();
            connection.send(answer);
            let (rest, end) = connection.end();
            tell.send(format!("{} bytes, then {end:?}", rest.len())).unwrap();
        }
    });
    (origin, told)
}

/// With this, a client that ends its half of the connection is answered.
const ALLOW: [&str; 2] = ["--client-half-close", "allow"];

#[test]
fn a_client_that_resets_in_its_request_ends_the_backends_work() {
    let (origin, told) = watching(b"");
    let proxy = Logged::start(&[origin.address], &[]);
    let mut client = Connection::connect(proxy.address());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(hear(&told), "a head");
    client.reset();
    // The backend did not receive what could pass for the whole body.
    assert_eq!(hear(&told), "4 bytes, then Ok(())");
    assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1")]);
    assert_eq!(origin.accepted(), 1);
}

#[test]
fn a_client_that_resets_in_the_answer_ends_the_backends_work() {
    let (origin, told) = watching(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
    let proxy = Logged::start(&[origin.address], &[]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = client.head();
    assert_eq!(client.take(4), b"half");
    assert_eq!(hear(&told), "a head");
    client.reset();
    assert_eq!(hear(&told), "0 bytes, then Ok(())");
    assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1")]);
}

#[test]
fn a_client_that_has_closed_when_it_is_written_to_has_left() {
    let (go, goes) = channel();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        let _ = connection.head();
        goes.lock().unwrap().recv().unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20);
        connection.send(head);
        while connection.offer([b'x'; 4096]) {}
    });
    let proxy = Logged::start(&[origin.address], &ALLOW);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    until("the request at the origin", || (origin.accepted() == 1).then_some(()));
    // Its end counts as that of its half; that it closed shows when the answer is written.
    drop(client);
    go.send(()).unwrap();
    proxy.has_rows(1);
    assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1")]);
}

#[test]
fn a_client_that_closes_while_it_waits_ends_the_backends_work() {
    for mode in ["persistent", "non-persistent"] {
        let (origin, told) = watching(b"");
        let proxy = Logged::start(&[origin.address], &["--connections", mode]);
        for _ in 0..3 {
            let mut client = Connection::connect(proxy.address());
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(hear(&told), "a head");
            drop(client);
            assert_eq!(hear(&told), "0 bytes, then Ok(())");
        }
        proxy.has_rows(3);
        assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1"); 3], "{mode}");
    }
}

#[test]
fn a_client_that_closes_after_its_next_request_has_left_as_well() {
    let (origin, told) = watching(b"");
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(hear(&told), "a head");
    client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    client.finish();
    assert_eq!(hear(&told), "0 bytes, then Ok(())");
    proxy.has_rows(1);
    assert_eq!(endings(&proxy.rows()), [("499", "client_gone", "1")]);
}

#[test]
fn a_client_that_closes_once_its_answer_began_may_still_read_it() {
    let (go, goes) = channel();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        let _ = connection.head();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        goes.lock().unwrap().recv().unwrap();
        connection.send("late");
        let _ = connection.rest();
    });
    let proxy = Logged::start(&[origin.address], &[]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let _ = client.head();
    client.finish();
    go.send(()).unwrap();
    assert_eq!(client.take(4), b"late");
    assert_eq!(client.rest(), b"");
    assert_eq!(endings(&proxy.rows()), [("200", "", "1")]);
}

#[test]
fn a_client_that_ends_its_stream_after_a_request_is_answered_where_that_is_allowed() {
    let (go, goes) = channel();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        while let Some((_, body)) = connection.request() {
            goes.lock().unwrap().recv().unwrap();
            connection.send(ok(&String::from_utf8(body).unwrap()));
        }
    });
    let proxy = Logged::start(&[origin.address], &ALLOW);
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut client = Connection::connect(proxy.address());
        client.send(request);
        client.finish();
        go.send(()).unwrap();
        let answer = client.answer();
        assert!(answer.status == 200 && request.ends_with(&answer.text()), "{answer:?}");
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 2]);
}

#[test]
fn a_client_that_ends_its_stream_in_a_request_is_answered_400() {
    let (origin, told) = watching(b"");
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    for part in ["GET / HTTP", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"] {
        let mut client = Connection::connect(proxy.address());
        client.send(part);
        if part.starts_with("POST") {
            assert_eq!(hear(&told), "a head");
        }
        client.finish();
        assert_eq!(client.answer().status, 400);
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(hear(&told), "4 bytes, then Ok(())");
    let fault = "request_incomplete";
    assert_eq!(endings(&proxy.rows()), [("400", fault, "0"), ("400", fault, "1")]);
}

/// Sends `byte` at this pace until the peer closes or answers.
fn drip(client: &mut Connection, byte: &str, pace: Duration) {
    while client.offer(byte) {
        pause(pace);
        if client.has_bytes() {
            return;
        }
    }
}

#[test]
fn a_head_byte_by_byte_has_a_limited_time_in_all() {
    let origin = Origin::echoing_targets();
    let flags =
        ["--header-timeout", "400ms", "--body-timeout", "1m", "--client-idle-timeout", "1m"];
    let proxy = Logged::start(&[origin.address], &flags);
    let mut client = Connection::connect(proxy.address());
    client.send("GET /slow HTTP/1.1\r\nX-Drip: ");
    drip(&mut client, "x", Duration::from_millis(20));
    assert_eq!(client.answer().status, 408);
    client.finish();
    assert_eq!(client.rest(), b"");
    assert_eq!(origin.accepted(), 0, "no backend was involved");
    let rows = proxy.rows();
    assert_eq!(endings(&rows), [("408", "header_timeout", "0")]);
    assert_eq!((&*rows[0]["method"], &*rows[0]["path"]), ("GET", "/slow"));
}

#[test]
fn a_body_must_keep_up_its_rate() {
    let origin = Origin::serve(|mut connection| {
        while let Some(head) = connection.head() {
            // If the body is too slow, the stream ends first.
            let length = support::http::field(&head, "content-length").unwrap();
            if connection.read_up_to(length.parse().unwrap()) {
                connection.send(ok("thanks"));
            }
        }
    });
    let flags = ["--body-timeout", "2s", "--min-body-rate", "1000", "--workers", "1"];
    let proxy = Logged::start(&[origin.address], &flags);
    let request =
        |length| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut slow = Connection::connect(proxy.address());
    slow.send(request(100_000));
    drip(&mut slow, "x", Duration::from_millis(20));
    assert_eq!(slow.answer().status, 408);
    slow.finish();
    assert_eq!(slow.rest(), b"");
    // A body that keeps up the rate may take longer than the timeout.
    let mut steady = Connection::connect(proxy.address());
    steady.send(request(25_000));
    for _ in 0..10 {
        pause(Duration::from_millis(250));
        steady.send([b'x'; 2500]);
    }
    assert_eq!(steady.answer().text(), "thanks");
    assert_eq!(endings(&proxy.rows()), [("408", "body_timeout", "1"), ("200", "", "1")]);
}

#[test]
fn a_client_that_reads_nothing_of_a_gigabyte_costs_no_memory_and_is_reset() {
    const GIGABYTE: u64 = 1 << 30;
    const MEMORY_KIB: u64 = 32 * 1024;
    let backend = Backend::start(&["--profile", "0", "--body-size", &GIGABYTE.to_string()]);
    let proxy = Logged::start(&[backend.address], &["--body-timeout", "500ms"]);
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    proxy.has_rows(1);
    let peak = proxy.proxy.process.status().vmhwm.unwrap();
    println!("{peak} KiB at most, with 1 GiB to send");
    assert!(peak < MEMORY_KIB, "{peak} KiB");
    let rows = proxy.rows();
    assert_eq!(ending(&rows[0]), ("200", "client_stalled", "1"));
    let sent: u64 = rows[0]["response_bytes"].parse().unwrap();
    assert!(sent < GIGABYTE / 10, "{sent} bytes sent, but not read");
    // What it received does not look complete.
    let (got, end) = client.end();
    assert!((got.len() as u64) < GIGABYTE && end.is_err(), "{} bytes, then {end:?}", got.len());
}

#[test]
fn empty_lines_do_not_extend_a_clients_time() {
    let origin = Origin::echoing_targets();
    let flags = ["--client-idle-timeout", "500ms", "--header-timeout", "500ms"];
    for asks_first in [false, true] {
        let proxy = Logged::start(&[origin.address], &flags);
        let mut client = Connection::connect(proxy.address());
        if asks_first {
            assert_eq!(client.get("/").status, 200);
        }
        drip(&mut client, "\r\n", Duration::from_millis(100));
        client.finish();
        assert_eq!(client.end().0, b"", "there was no request to answer");
        assert_eq!(proxy.rows().len(), usize::from(asks_first));
    }
}

#[test]
fn empty_lines_do_not_keep_a_proxy_from_stopping() {
    let origin = Origin::echoing_targets();
    let mut proxy = Logged::start(&[origin.address], &["--drain-timeout", "5m"]);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(client.get("/").status, 200);
    proxy.proxy.process.signal(rustix::process::Signal::TERM);
    drip(&mut client, "\r\n", Duration::from_millis(100));
    assert!(proxy.proxy.process.ended().success());
}

#[test]
fn more_empty_lines_than_any_client_needs_are_refused() {
    let origin = Origin::echoing_targets();
    let proxy = Logged::start(&[origin.address], &["--header-timeout", "5m"]);
    let mut client = Connection::connect(proxy.address());
    client.send("\r\n".repeat(65));
    assert_eq!(client.answer().status, 400);
    assert_eq!(endings(&proxy.rows()), [("400", "too_many_empty_lines", "0")]);
}

#[test]
fn a_client_that_speaks_another_protocol_is_refused_at_once() {
    let origin = Origin::echoing_targets();
    let proxy = Logged::start(&[origin.address], &["--header-timeout", "5m", "--workers", "1"]);
    for bytes in [&b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"[..], b"SSH-2.0-x\r\n", b"\0\0\0\x08"]
    {
        let mut client = Connection::connect(proxy.address());
        client.send(bytes);
        assert_eq!(client.answer().status, 400);
        assert_eq!(client.rest(), b"");
    }
    assert_eq!(endings(&proxy.rows()), [("400", "bad_request_line", "0"); 3]);
}
