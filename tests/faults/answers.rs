//! Backends that answer wrongly, too slowly, or not at all.

use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::clock::{hear, pause};
use crate::support::http::Connection;
use crate::support::log::{Logged, Row, ending, endings};
use crate::support::origin::{Origin, ok};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Ample, so that a busy machine is not taken for a slow backend.
const TIMEOUT: &str = "3s";

/// What came of one request: what the client got until the end, how it ended, and the row.
struct Outcome {
    got: String,
    end: Result<(), ErrorKind>,
    row: Row,
}

impl Outcome {
    fn status(&self) -> &str {
        self.got.get(9..12).unwrap_or("")
    }
}

/// Sends `request` to a proxy in front of a backend that reads the head and then does `act`.
fn ask(request: &str, act: impl Fn(Connection) + Send + Sync + 'static) -> Outcome {
    let origin = Origin::serve(move |mut connection| {
        if connection.head().is_some() {
            act(connection);
        }
    });
    let flags = ["--workers", "1", "--response-timeout", TIMEOUT, "--stream-timeout", TIMEOUT];
    let proxy = Logged::start(&[origin.address], &flags);
    let mut client = Connection::connect(proxy.address());
    client.send(request);
    let (got, end) = client.end();
    let mut rows = proxy.rows();
    assert_eq!(rows.len(), 1);
    let got = String::from_utf8_lossy(&got).into_owned();
    Outcome { got, end, row: rows.remove(0) }
}

/// Sends `bytes` and breaks off.
fn then_reset(bytes: &'static str) -> impl Fn(Connection) + Send + Sync + 'static {
    move |mut connection| {
        connection.send(bytes);
        connection.reset();
    }
}

/// Sends `bytes` and ends the stream in order.
fn then_end(bytes: &'static str) -> impl Fn(Connection) + Send + Sync + 'static {
    move |mut connection| connection.send(bytes)
}

#[test]
fn a_backend_that_accepts_and_never_answers_is_a_504() {
    let outcome = ask(GET, |mut connection| assert_eq!(connection.head(), None));
    assert_eq!((outcome.status(), outcome.end), ("504", Ok(())));
    assert_eq!(ending(&outcome.row), ("504", "response_timeout", "1"));
}

#[test]
fn a_reset_in_the_head_is_a_502() {
    let outcome = ask(GET, then_reset("HTTP/1.1 200 OK\r\nConte"));
    assert_eq!((outcome.status(), outcome.end), ("502", Ok(())));
    assert_eq!(ending(&outcome.row), ("502", "upstream_closed", "1"));
}

#[test]
fn a_reset_in_the_body_breaks_the_clients_framing() {
    for (answer, arrived) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "\r\n\r\nhalf"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "4\r\nhalf\r\n"),
        // Of unknown length: as chunks, of which the last is missing.
        ("HTTP/1.1 200 OK\r\n\r\nhalf", "4\r\nhalf\r\n"),
    ] {
        let outcome = ask(GET, then_reset(answer));
        assert!(outcome.got.ends_with(arrived), "{}", outcome.got);
        assert_eq!((outcome.status(), outcome.end), ("200", Ok(())));
        assert_eq!(ending(&outcome.row), ("200", "response_truncated", "1"));
    }
}

#[test]
fn a_client_for_whom_the_end_is_the_framing_is_reset() {
    let request = "GET / HTTP/1.0\r\nHost: a\r\n\r\n";
    let outcome = ask(request, then_reset("HTTP/1.1 200 OK\r\n\r\nhalf"));
    assert_eq!(outcome.end, Err(ErrorKind::ConnectionReset));
    assert_eq!(ending(&outcome.row), ("200", "response_truncated", "1"));
    let outcome = ask(request, then_end("HTTP/1.1 200 OK\r\n\r\nwhole"));
    assert!(outcome.got.ends_with("\r\n\r\nwhole"), "{}", outcome.got);
    assert_eq!(outcome.end, Ok(()));
    assert_eq!(ending(&outcome.row), ("200", "", "1"));
}

#[test]
fn less_than_promised_breaks_the_clients_framing() {
    for (answer, arrived) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", "\r\n\r\nhalf"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "4\r\nhalf\r\n"),
    ] {
        let outcome = ask(GET, then_end(answer));
        assert!(outcome.got.ends_with(arrived), "{}", outcome.got);
        assert_eq!((outcome.status(), outcome.end), ("200", Ok(())));
        assert_eq!(ending(&outcome.row), ("200", "response_truncated", "1"));
    }
}

#[test]
fn garbage_is_a_502() {
    for (garbage, fault) in [
        ("\u{16}\u{3}\u{1}\u{2} this is no HTTP\r\n\r\n", "response_bad_status_line"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "response_bad_length",
        ),
        ("220 mail.example ESMTP\r\n\r\n", "response_bad_status_line"),
        // TLS says so in an alert, and has no lines.
        ("\u{15}\u{3}\u{1}\0\u{2}\u{2}\n", "response_bad_status_line"),
        ("hello", "response_bad_status_line"),
    ] {
        let outcome = ask(GET, then_end(garbage));
        assert_eq!((outcome.status(), outcome.end), ("502", Ok(())));
        assert_eq!(ending(&outcome.row), ("502", fault, "1"));
    }
    let framing = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n";
    let outcome = ask(GET, then_end(framing));
    assert_eq!(ending(&outcome.row).1, "response_bad_chunk_size");
    assert!(!outcome.got.ends_with("0\r\n\r\n"), "{}", outcome.got);
}

#[test]
fn a_backend_that_speaks_another_protocol_is_not_waited_for() {
    // It says its line, and waits for an answer to that.
    let origin = Origin::serve(|mut connection| {
        connection.send("220 mail.example ESMTP\r\n");
        let _ = connection.end();
    });
    let proxy = Logged::start(&[origin.address], &["--response-timeout", "5m"]);
    let mut client = Connection::connect(proxy.address());
    assert_eq!(client.get("/").status, 502);
    assert_eq!(endings(&proxy.rows()), [("502", "response_bad_status_line", "1")]);
}

#[test]
fn an_endless_head_is_a_502_and_its_sender_is_cut_off() {
    let (cut, is_cut) = channel();
    let outcome = ask(GET, move |mut connection| {
        connection.send("HTTP/1.1 200 OK\r\n");
        while connection.offer("X-More: and more, and more, and more\r\n") {}
        cut.send(()).unwrap();
    });
    assert_eq!((outcome.status(), outcome.end), ("502", Ok(())));
    assert_eq!(ending(&outcome.row), ("502", "response_head_too_large", "1"));
    hear(&is_cut);
}

#[test]
fn endless_interim_responses_are_a_502_and_their_sender_is_cut_off() {
    let (cut, is_cut) = channel();
    let outcome = ask(GET, move |mut connection| {
        while connection.offer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") {}
        cut.send(()).unwrap();
    });
    // Those of which nothing had left by then are not sent before the refusal.
    assert!(outcome.got.matches("HTTP/1.1 103 ").count() <= 100);
    assert_eq!(outcome.got.matches("HTTP/1.1 502 ").count(), 1);
    assert_eq!(ending(&outcome.row), ("502", "too_many_interim", "1"));
    hear(&is_cut);
}

#[test]
fn more_than_promised_reaches_no_other_client() {
    const CLIENTS: usize = 25;
    let (send, said) = channel();
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let target = head.split(' ').nth(1).unwrap();
            let surplus = ok("the answer to somebody else's question");
            if target.starts_with("/at-once") {
                connection.send(ok(target) + &surplus);
                send.send(()).unwrap();
            } else {
                // When the connection has gone back to the pool. Had it a new request by then,
                // nobody could tell this from its answer.
                connection.send(ok(target));
                pause(Duration::from_millis(5));
                let _ = connection.offer(surplus);
                send.send(()).unwrap();
            }
        }
    });
    let proxy = Logged::start(&[origin.address], &["--workers", "1"]);
    let mut clients: Vec<Connection> =
        (0..CLIENTS).map(|_| Connection::connect(proxy.address())).collect();
    for when in ["at-once", "later"] {
        for (n, client) in clients.iter_mut().enumerate() {
            let target = format!("/{when}/{n}");
            assert_eq!(client.get(&target).text(), target);
            hear(&said);
        }
    }
    drop(clients);
    assert_eq!(endings(&proxy.rows()), [("200", "", "1"); 2 * CLIENTS]);
    assert_eq!(origin.accepted(), 2 * CLIENTS, "no such connection was used twice");
}

#[test]
fn an_answer_before_the_end_of_the_request_gets_through() {
    const LENGTH: usize = 8 << 20;
    let (go, goes) = channel();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        let _ = connection.head();
        connection.send("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        // It reads no more, and closes when the client has seen its answer.
        goes.lock().unwrap().recv().unwrap();
    });
    let proxy = Logged::start(&[origin.address], &[]);
    let mut client = Connection::connect(proxy.address());
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n"));
    client.send(vec![b'x'; LENGTH]);
    let answer = client.answer();
    assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    assert_eq!(client.end(), (Vec::new(), Ok(())));
    drop(client);
    go.send(()).unwrap();
    assert_eq!(endings(&proxy.rows()), [("413", "", "1")]);
}

#[test]
fn a_drip_is_passed_on_as_it_comes_for_longer_than_the_timeout() {
    const PAUSE: Duration = Duration::from_millis(350);
    let drip = |mut connection: Connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for byte in b"0123456789" {
            pause(PAUSE);
            connection.send([*byte]);
        }
    };
    // The timeout is for a byte and not for all of them.
    let outcome = ask(GET, drip);
    assert!(outcome.got.ends_with("\r\n\r\n0123456789"), "{}", outcome.got);
    assert_eq!(ending(&outcome.row), ("200", "", "1"));
    let latency: f64 = outcome.row["latency_ms"].parse().unwrap();
    assert!(latency > 3000.0, "{latency} ms is no longer than the timeout");
}

#[test]
fn a_drip_that_dries_up_breaks_the_clients_framing() {
    let outcome = ask(GET, |mut connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
        assert_eq!(connection.head(), None);
    });
    assert!(outcome.got.ends_with("\r\n\r\n0123"), "{}", outcome.got);
    assert_eq!(ending(&outcome.row), ("200", "stream_timeout", "1"));
}
