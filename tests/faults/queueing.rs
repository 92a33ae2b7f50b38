//! Backends at their limits, and requests that wait for them.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};

use rustix::process::Signal;

use support::clock::{hear, until};
use support::http::{Answer, Connection};
use support::log::{Logged, Row, rows, stop};
use support::origin::{Origin, ok};

/// A backend that takes one request at a time and has one, before a proxy with these flags.
struct Busy {
    proxy: Logged,
    first: Connection,
    serving: Connection,
    asked: Receiver<Connection>,
    _origin: Origin,
}

fn busy(flags: &[&str]) -> Busy {
    let (ask, asked) = channel();
    let origin = Origin::serve(move |mut connection| {
        if connection.request().is_some() {
            let _ = ask.send(connection);
        }
    });
    let upstream = format!("http://{} max-in-flight=1", origin.address);
    let proxy = Logged::start(&[], &[&["--upstream", &upstream], flags].concat());
    let first = ask_it(&proxy);
    let serving = hear(&asked);
    Busy { proxy, first, serving, asked, _origin: origin }
}

/// A client that has asked.
fn ask_it(proxy: &Logged) -> Connection {
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client
}

impl Busy {
    /// Clients that fill the queue, which has so many places, and the answer of one more.
    fn fill(&self, places: usize) -> (Vec<Connection>, Answer) {
        let mut clients: Vec<_> = (0..=places).map(|_| ask_it(&self.proxy)).collect();
        let refused =
            until("an answer to one of them", || clients.iter().position(Connection::has_bytes));
        let answer = clients.remove(refused).answer();
        (clients, answer)
    }
}

/// An answer that is the last of its connection.
fn last(body: &str) -> String {
    ok(body).replacen("\r\n", "\r\nConnection: close\r\n", 1)
}

fn told(row: &Row) -> [&str; 3] {
    ["status_code", "fault", "attempts"].map(|column| row[column].as_str())
}

/// How long a request waited, in milliseconds.
fn queued(row: &Row) -> Option<f64> {
    row["queue_ms"].parse().ok()
}

#[test]
fn a_request_waits_for_a_backend_at_its_limit_and_its_row_says_how_long() {
    for workers in ["1", "2"] {
        let mut busy = busy(&["--queue", "3", "--workers", workers]);
        let (mut clients, _) = busy.fill(3);
        busy.serving.send(last("first"));
        assert_eq!(busy.first.answer().text(), "first");
        for _ in 0..3 {
            let mut serving = hear(&busy.asked);
            assert!(busy.asked.try_recv().is_err(), "it has one at a time");
            serving.send(last("next"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().text(), "next");
        }
        let rows = busy.proxy.rows();
        let served: Vec<_> = rows.iter().filter(|row| told(row) == ["200", "", "1"]).collect();
        assert_eq!((rows.len(), served.len()), (5, 4));
        let waited = served.iter().filter(|row| queued(row).is_some()).count();
        assert_eq!(waited, 3, "{rows:?}");
    }
}

#[test]
fn the_choice_for_a_request_that_waited_is_in_the_decision_log() {
    let folder = tempfile::tempdir().unwrap();
    let choices = folder.path().join("choices.jsonl");
    let logged = ["--decisions", choices.to_str().unwrap(), "--decision-sample", "1000000"];
    let mut busy = busy(&[&["--queue", "1", "--workers", "1"], &logged[..]].concat());
    let (mut clients, _) = busy.fill(1);
    busy.serving.send(last("first"));
    hear(&busy.asked).send(last("next"));
    assert_eq!(clients[0].answer().text(), "next");
    stop(&mut busy.proxy.proxy);
    let text = std::fs::read_to_string(&choices).unwrap();
    let recorded: Vec<_> = text.lines().filter_map(|line| line.split_once("recorded")).collect();
    let why = recorded.iter().filter_map(|(_, rest)| rest.split('"').nth(2)).collect::<Vec<_>>();
    assert_eq!(why, ["sample", "unusual"], "the first choice and that after the wait: {text}");
}

#[test]
fn what_is_too_much_for_the_queue_is_refused() {
    let mut busy = busy(&["--queue", "1", "--workers", "1"]);
    let (mut clients, refused) = busy.fill(1);
    assert_eq!((refused.status, refused.header("Retry-After")), (503, Some("1")));
    busy.serving.send(ok("first"));
    assert!(busy.serving.request().is_some());
    busy.serving.send(ok("second"));
    assert_eq!(clients[0].answer().text(), "second");
    let rows = busy.proxy.rows();
    assert_eq!(told(&rows[0]), ["503", "queue_full", "0"]);
    assert_eq!((rows[0]["backend_url"].as_str(), queued(&rows[0])), ("", None));
}

#[test]
fn whoever_waits_too_long_is_told_when_to_come_back() {
    let mut busy = busy(&["--queue", "1", "--queue-timeout", "30ms", "--workers", "1"]);
    let answer = ask_it(&busy.proxy).answer();
    assert_eq!((answer.status, answer.header("Retry-After")), (503, Some("1")));
    busy.serving.send(ok("first"));
    assert_eq!(busy.first.answer().text(), "first");
    let rows = busy.proxy.rows();
    assert_eq!(told(&rows[0]), ["503", "queue_timeout", "0"]);
    assert!(queued(&rows[0]).is_some_and(|ms| ms >= 30.0), "{rows:?}");
}

#[test]
fn a_client_that_leaves_while_it_waits_is_taken_out() {
    let mut busy = busy(&["--queue", "1", "--workers", "1"]);
    let (clients, _) = busy.fill(1);
    drop(clients);
    busy.proxy.has_rows(2);
    // Its place is another one's.
    let (mut clients, _) = busy.fill(1);
    busy.serving.send(ok("first"));
    assert!(busy.serving.request().is_some());
    busy.serving.send(ok("next"));
    assert_eq!(clients[0].answer().text(), "next");
    let rows = busy.proxy.rows();
    assert_eq!(told(&rows[1]), ["499", "client_gone", "0"]);
    assert!(queued(&rows[1]).is_some() && rows[1]["latency_ms"].is_empty(), "{rows:?}");
}

#[test]
fn a_request_that_failed_waits_for_another_backend() {
    let (ask, asked) = channel();
    let [one, two] = [(); 2].map(|()| {
        let ask = ask.clone();
        Origin::serve(move |mut connection| {
            if connection.request().is_some() {
                let _ = ask.send(connection);
            }
        })
    });
    let [one, two] = [&one, &two].map(|it| format!("http://{} max-in-flight=1", it.address));
    let flags = ["--upstream", &one, "--upstream", &two, "--queue", "2", "--workers", "1"];
    let proxy = Logged::start(&[], &[&["round-robin"], &flags[..]].concat());
    let mut clients = [(); 2].map(|()| ask_it(&proxy));
    let [mut serving, failing] = [(); 2].map(|()| hear(&asked));
    drop(failing);
    // The request of the other one is sent to where the first one is answered.
    serving.send(ok("late"));
    assert!(serving.request().is_some());
    serving.send(ok("late"));
    for client in &mut clients {
        assert_eq!(client.answer().text(), "late");
    }
    let rows = proxy.rows();
    let again = rows.iter().find(|row| row["attempts"] == "2").expect("a second attempt");
    assert!(again["reason"] == "retry" && told(again)[0] == "200", "{again:?}");
}

#[test]
fn a_proxy_that_drains_serves_those_that_wait() {
    let mut busy = busy(&["--queue", "1", "--workers", "1", "--drain-timeout", "1m"]);
    let (mut clients, _) = busy.fill(1);
    busy.proxy.proxy.process.signal(Signal::TERM);
    until("the end of accepting", || {
        TcpStream::connect(busy.proxy.address()).is_err().then_some(())
    });
    busy.serving.send(ok("first"));
    assert_eq!(busy.first.answer().text(), "first");
    assert!(busy.serving.request().is_some());
    busy.serving.send(ok("second"));
    let answer = clients[0].answer();
    assert_eq!((answer.text().as_str(), answer.header("Connection")), ("second", Some("close")));
    assert!(busy.proxy.proxy.process.ended().success());
    let rows = rows(&busy.proxy.path());
    assert!(rows[1..].iter().all(|row| told(row) == ["200", "", "1"]), "{rows:?}");
}

#[test]
fn a_proxy_that_drains_for_too_long_tells_those_that_wait_and_ends() {
    let mut busy = busy(&["--queue", "4", "--workers", "2", "--drain-timeout", "300ms"]);
    let (mut clients, _) = busy.fill(4);
    busy.proxy.proxy.process.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.answer().status, 503);
    }
    assert!(busy.proxy.proxy.process.ended().success());
    let rows = rows(&busy.proxy.path());
    // What one worker cuts may give its place to one that waits on the other, which is cut, too.
    let stopped = rows.iter().filter(|row| told(row)[..2] == ["503", "stopped"]);
    assert_eq!(stopped.filter(|row| queued(row).is_some()).count(), 4, "{rows:?}");
}
