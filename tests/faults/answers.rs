//! Backends that answer wrongly, too slowly, or not at all.

use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::time::Duration;

use support::clock::{hear, pause};
use support::http::Connection;
use support::log::{Logged, Row, ending, endings};
use support::origin::{Origin, ok};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Long, so that a busy machine does not look like a slow backend.
const TIMEOUT: &str = "3s";

/// The outcome of one request: what the client received, how that ended, and the row.
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

/// Sends `request` to a proxy whose backend reads the head and then does `act`.
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

/// Sends `bytes` and resets the connection.
fn then_reset(bytes: &'static str) -> impl Fn(Connection) + Send + Sync + 'static {
    move |mut connection| {
        connection.send(bytes);
        connection.reset();
    }
}

/// Sends `bytes` and closes in order.
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
        // Of unknown length: as chunks, without the last one.
        ("HTTP/1.1 200 OK\r\n\r\nhalf", "4\r\nhalf\r\n"),
    ] {
        let outcome = ask(GET, then_reset(answer));
        assert!(outcome.got.ends_with(arrived), "{}", outcome.got);
        assert_eq!((outcome.status(), outcome.end), ("200", Ok(())));
        assert_eq!(ending(&outcome.row), ("200", "response_truncated", "1"));
    }
}

#[test]
fn a_client_whose_connection_delimits_the_answer_is_reset() {
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
fn an_answer_shorter_than_its_length_breaks_the_clients_framing() {
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
        // A TLS alert, which has no line end.
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
    // It sends its greeting and waits for an answer.
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
fn an_endless_head_is_a_502_and_its_connection_is_closed() {
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
fn endless_interim_responses_are_a_502_and_their_connection_is_closed() {
    let (cut, is_cut) = channel();
    let outcome = ask(GET, move |mut connection| {
        while connection.offer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") {}
        cut.send(()).unwrap();
    });
    // Those that were still in the buffer are not sent before the 502.
    assert!(outcome.got.matches("HTTP/1.1 103 ").count() <= 100);
    assert_eq!(outcome.got.matches("HTTP/1.1 502 ").count(), 1);
    assert_eq!(ending(&outcome.row), ("502", "too_many_interim", "1"));
    hear(&is_cut);
}

#[test]
fn a_surplus_reaches_no_other_client() {
    const CLIENTS: usize = 25;
    let (send, said) = channel();
    let origin = Origin::serve(move |mut connection| {
        while let Some((head, _)) = connection.request() {
            let target = head.split(' ').nth(1).unwrap();
            let surplus = ok("the answer to another request");
            if target.starts_with("/at-once") {
                connection.send(ok(target) + &surplus);
                send.send(()).unwrap();
            } else {
                // Once the connection is back in the pool. If it had a new request by then, this
                // would look like the answer to it.
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
    assert_eq!(origin.accepted(), 2 * CLIENTS, "no such connection was reused");
}

#[test]
fn an_answer_before_the_end_of_the_request_is_forwarded() {
    const LENGTH: usize = 8 << 20;
    let (go, goes) = channel();
    let goes = std::sync::Mutex::new(goes);
    let origin = Origin::serve(move |mut connection| {
        let _ = connection.head();
        connection.send("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
        // It reads no more, and closes when the client has its answer.
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
fn an_answer_byte_by_byte_is_forwarded_for_longer_than_the_timeout() {
    const PAUSE: Duration = Duration::from_millis(350);
    let drip = |mut connection: Connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
        for byte in b"0123456789" {
            pause(PAUSE);
            connection.send([*byte]);
        }
    };
    // The timeout is for each byte, not for all of them.
    let outcome = ask(GET, drip);
    assert!(outcome.got.ends_with("\r\n\r\n0123456789"), "{}", outcome.got);
    assert_eq!(ending(&outcome.row), ("200", "", "1"));
    let latency: f64 = outcome.row["latency_ms"].parse().unwrap();
    assert!(latency > 3000.0, "{latency} ms is not longer than the timeout");
}

#[test]
fn an_answer_that_stalls_breaks_the_clients_framing() {
    let outcome = ask(GET, |mut connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
        assert_eq!(connection.head(), None);
    });
    assert!(outcome.got.ends_with("\r\n\r\n0123"), "{}", outcome.got);
    assert_eq!(ending(&outcome.row), ("200", "stream_timeout", "1"));
}
