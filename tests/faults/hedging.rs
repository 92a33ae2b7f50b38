//! A backend that is silent, and another one that is asked beside it.

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;

use support::clock::{hear, pause, until};
use support::http::Connection;
use support::log::{Logged, Row, rows};
use support::origin::{Origin, ok};
use support::unix::UnixOrigin;

/// The delay is short, and a hedge is always allowed.
const HEDGE: [&str; 6] = ["--hedge", "100%", "--hedge-delay", "20ms", "--workers", "1"];

/// A backend, and its connections, each of which has got a request.
struct Backend {
    origin: Origin,
    asked: Receiver<Connection>,
}

impl Backend {
    fn start() -> Self {
        let (ask, asked) = channel();
        let origin = Origin::serve(move |mut connection| {
            if connection.request().is_some() {
                let _ = ask.send(connection);
            }
        });
        Self { origin, asked }
    }

    /// The connection of the next request.
    fn asked(&self) -> Connection {
        hear(&self.asked)
    }
}

fn told(row: &Row) -> [&str; 4] {
    ["status_code", "fault", "hedge", "attempts"].map(|column| row[column].as_str())
}

/// The backend of a hedge, by its place among these.
fn hedged(row: &Row, addresses: &[SocketAddr]) -> Option<usize> {
    addresses.iter().position(|address| row["hedge_backend_url"] == format!("http://{address}"))
}

/// A request that both backends have, and their connections.
struct Race {
    proxy: Logged,
    client: Connection,
    addresses: [SocketAddr; 2],
    asked: [Connection; 2],
}

fn race(flags: &[&str]) -> Race {
    let backends = [(); 2].map(|()| Backend::start());
    let addresses = backends.each_ref().map(|backend| backend.origin.address);
    let proxy = Logged::start(&addresses, &[&HEDGE, flags].concat());
    let client = ask(&proxy);
    Race { proxy, client, addresses, asked: backends.each_ref().map(Backend::asked) }
}

/// A client that has asked.
fn ask(proxy: &Logged) -> Connection {
    let mut client = Connection::connect(proxy.address());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client
}

#[test]
fn whichever_backend_answers_first_its_answer_is_sent_and_one_row_is_written() {
    for mode in ["persistent", "non-persistent"] {
        for winner in [0, 1] {
            let mut race = race(&["--connections", mode]);
            race.asked[winner].send(ok("first"));
            assert_eq!(race.client.answer().text(), "first");
            let rows = race.proxy.rows();
            let [row] = rows.as_slice() else { panic!("{rows:?}") };
            let outcome = if winner == 1 { "won" } else { "lost" };
            assert_eq!(told(row), ["200", "", outcome, "2"], "{mode}");
            assert_eq!(hedged(row, &race.addresses), Some(1));
            assert_eq!(row["backend_url"], format!("http://{}", race.addresses[winner]));
        }
    }
}

#[test]
fn a_request_that_may_not_be_sent_twice_waits() {
    let backends = [(); 2].map(|()| Backend::start());
    let addresses = backends.each_ref().map(|backend| backend.origin.address);
    let proxy = Logged::start(&addresses, &HEDGE);
    let mut post = Connection::connect(proxy.address());
    post.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let mut posted = backends[0].asked();
    // One that came later is hedged before the first one has any answer. It is answered where no
    // other request is, because only such a backend may have a hedge.
    let mut get = ask(&proxy);
    let mut asked = backends[1].asked();
    posted.send(ok("once"));
    assert_eq!(post.answer().text(), "once");
    let mut again = posted.request().map(|_| posted).expect("the hedge");
    asked.send(ok("first"));
    assert_eq!(get.answer().text(), "first");
    again.offer(ok("second"));
    let rows = proxy.rows();
    assert_eq!(told(&rows[0]), ["200", "", "", "1"]);
    assert_eq!(told(&rows[1]), ["200", "", "lost", "2"]);
}

#[test]
fn a_client_that_leaves_leaves_both_backends() {
    let Race { proxy, client, asked, .. } = race(&[]);
    drop(client);
    for mut connection in asked {
        assert!(connection.is_closed());
    }
    assert_eq!(told(&proxy.rows()[0]), ["499", "client_gone", "", "2"]);
}

#[test]
fn one_that_fails_leaves_the_other_alone_and_when_both_fail_the_client_is_told_once() {
    for failed in [0, 1] {
        let mut race = race(&[]);
        let [one, two] = race.asked;
        let (gone, mut other) = if failed == 0 { (one, two) } else { (two, one) };
        drop(gone);
        other.send(ok("late"));
        assert_eq!(race.client.answer().text(), "late");
        let outcome = if failed == 0 { "won" } else { "lost" };
        assert_eq!(told(&race.proxy.rows()[0]), ["200", "", outcome, "2"]);
    }
    let mut race = race(&[]);
    drop(race.asked);
    assert_eq!(race.client.answer().status, 502);
    assert_eq!(told(&race.proxy.rows()[0]), ["502", "upstream_closed", "lost", "2"]);
}

#[test]
fn when_both_have_failed_the_request_goes_to_a_third_backend() {
    // Either of the other two may get the hedge.
    let (tell, asked) = channel();
    let origins = [(); 3].map(|()| {
        let tell = tell.clone();
        Origin::serve(move |mut connection| {
            if connection.request().is_some() {
                let _ = tell.send(connection);
            }
        })
    });
    let proxy = Logged::start(&origins.each_ref().map(|origin| origin.address), &HEDGE);
    let mut client = ask(&proxy);
    drop([hear(&asked), hear(&asked)]);
    hear(&asked).send(ok("third"));
    assert_eq!(client.answer().text(), "third");
    let rows = proxy.rows();
    assert_eq!(told(&rows[0]), ["200", "", "lost", "3"]);
    assert_ne!(rows[0]["backend_url"], rows[0]["hedge_backend_url"]);
}

#[test]
fn a_hedge_over_a_connection_that_is_stale_is_sent_over_another_one() {
    let backends = [(); 2].map(|()| Backend::start());
    let addresses = backends.each_ref().map(|backend| backend.origin.address);
    let proxy = Logged::start(&addresses, &HEDGE);
    // Both backends have served a request, which is not hedged, and its connections rest.
    let [_one, mut two] = backends.each_ref().map(|backend| {
        let mut client = Connection::connect(proxy.address());
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        let mut asked = backend.asked();
        asked.send(ok("before"));
        assert_eq!(client.answer().text(), "before");
        asked
    });
    let mut client = ask(&proxy);
    assert!(two.request().is_some(), "the hedge");
    drop(two);
    backends[1].asked().send(ok("anew"));
    assert_eq!(client.answer().text(), "anew");
    let rows = proxy.rows();
    assert_eq!(told(rows.last().unwrap()), ["200", "", "won", "3"]);
}

#[test]
fn both_attempts_count_at_the_limits_of_their_backends_until_one_is_answered() {
    let backends = [(); 2].map(|()| Backend::start());
    let [one, two] = backends
        .each_ref()
        .map(|backend| format!("http://{} max-in-flight=1", backend.origin.address));
    let flags = ["--upstream", &one, "--upstream", &two, "--connections", "non-persistent"];
    let proxy = Logged::start(&[], &[&HEDGE[..], &flags].concat());
    for winner in [0, 1] {
        let mut first = ask(&proxy);
        let mut asked = backends.each_ref().map(Backend::asked);
        assert_eq!(ask(&proxy).answer().status, 503, "both are full");
        asked[winner].send(ok("first"));
        assert_eq!(first.answer().text(), "first");
        assert!(asked[1 - winner].is_closed());
    }
    let rows = proxy.rows();
    let told: Vec<_> = rows.iter().map(|row| [0, 1, 2].map(|at| told(row)[at])).collect();
    let full = ["503", "backends_full", ""];
    assert_eq!([told[0], told[2]], [full, full]);
    assert!([1, 3].iter().all(|at| told[*at][0] == "200" && !told[*at][2].is_empty()), "{told:?}");
}

#[test]
fn two_workers_send_no_more_hedges_than_the_budget_allows() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 50;
    let backends = [(); 2].map(|()| {
        Origin::serve(|mut connection| {
            while connection.request().is_some() {
                pause(Duration::from_millis(5));
                connection.offer(ok("slow"));
            }
        })
    });
    let addresses = backends.each_ref().map(|origin| origin.address);
    let flags = ["adaptive", "--hedge", "25%", "--hedge-delay", "1ms", "--workers", "2"];
    let proxy = Logged::start(&addresses, &flags);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Connection::connect(proxy.address());
                for _ in 0..REQUESTS {
                    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
                    assert_eq!(client.answer().text(), "slow");
                }
            });
        }
    });
    let rows = proxy.rows();
    let hedged = rows.iter().filter(|row| !row["hedge"].is_empty()).count();
    assert!((1..=CLIENTS * REQUESTS / 4).contains(&hedged), "{hedged}");
}

#[test]
fn a_winner_that_breaks_off_is_not_replaced() {
    let mut race = race(&[]);
    let [_slow, mut broken] = race.asked;
    broken.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    let head = race.client.head().unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    drop(broken);
    assert_eq!(race.client.end().0, b"half");
    assert_eq!(told(&race.proxy.rows()[0]), ["200", "response_truncated", "won", "2"]);
}

#[test]
fn a_proxy_that_drains_ends_without_the_answer_that_lost() {
    let mut race = race(&[]);
    race.proxy.proxy.process.signal(Signal::TERM);
    until("the end of accepting", || {
        TcpStream::connect(race.proxy.address()).is_err().then_some(())
    });
    race.asked[1].send(ok("last"));
    assert_eq!(race.client.answer().text(), "last");
    assert!(race.proxy.proxy.process.ended().success());
    assert!(race.asked[0].is_closed());
    let rows = rows(&race.proxy.path());
    assert_eq!(told(rows.last().unwrap()), ["200", "", "won", "2"]);
}

#[test]
fn backends_behind_unix_sockets_are_hedged_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (tell, asked) = channel();
    let slow = UnixOrigin::serve(&folder.path().join("slow.sock"), move |mut connection| {
        connection.request();
        let _ = tell.send(connection);
    });
    let fast = UnixOrigin::serve(&folder.path().join("fast.sock"), |mut connection| {
        while connection.request().is_some() {
            connection.send(ok("fast"));
        }
    });
    let (slow, fast) = (slow.name(), fast.name());
    let flags = ["--upstream", &slow, "--upstream", &fast];
    let proxy = Logged::start(&[], &[&HEDGE[..], &flags].concat());
    assert_eq!(ask(&proxy).answer().text(), "fast");
    drop(hear(&asked));
    let rows = proxy.rows();
    assert_eq!(told(&rows[0]), ["200", "", "won", "2"]);
    assert_eq!(rows[0]["hedge_backend_url"], fast);
}

#[test]
fn a_line_tells_of_the_second_attempt() {
    let mut race = race(&["-v"]);
    race.proxy.proxy.process.line(&format!("(hedge) -> {}", race.addresses[1].port()));
    race.asked[0].send(ok("first"));
    assert_eq!(race.client.answer().text(), "first");
}
