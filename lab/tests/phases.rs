//! What a test backend does with its queue and by its script, over real sockets.
//!
//! Times in scripts are so long that nothing comes of them in a test, or come again and again and
//! are waited for. What is asserted is what came, and in which order.

use std::io::ErrorKind;
use std::net::TcpStream;

use socket2::{Domain, Socket, Type};
use support::clock::until;
use support::http::Connection;
use support::process::Backend;

const PING: &str = "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n";

fn get(query: &str) -> String {
    format!("GET /{query} HTTP/1.1\r\nHost: test\r\n\r\n")
}

fn start(script: &str, flags: &[&str]) -> Backend {
    Backend::start(&[&["--script", script], flags].concat())
}

/// A connection on which a request is under way.
fn asking(backend: &Backend, query: &str) -> Connection {
    let mut client = backend.connect();
    client.send(get(query));
    taken_in(backend);
    client
}

/// Waits until the backend has seen all that was sent to it before.
fn taken_in(backend: &Backend) {
    assert_eq!(backend.connect().ask(PING).status, 200);
}

fn accepts(backend: &Backend) -> bool {
    TcpStream::connect(backend.address).is_ok()
}

fn until_it_accepts(backend: &Backend) {
    until("its port is open", || accepts(backend).then_some(()));
}

fn until_it_refuses(backend: &Backend) {
    until("its port is closed", || (!accepts(backend)).then_some(()));
}

#[test]
fn requests_queue_for_slots_in_their_order_and_cost_what_they_say() {
    let backend = Backend::start(&["--service", "fixed:20ms", "--slots", "1"]);
    let [mut first, second, mut third] =
        ["?cost=5", "?cost=1", "?seed=3"].map(|query| asking(&backend, query));
    assert_eq!(third.answer().text(), "Hello from A – simulated 20ms");
    assert!(first.has_bytes() && second.has_bytes(), "they came first");
    assert_eq!(first.answer().text(), "Hello from A", "five times as long");
}

#[test]
fn a_long_poll_takes_no_slot() {
    let backend = Backend::start(&["--service", "fixed:1h", "--slots", "1"]);
    let [first, mut poll] = ["", "?wait=1ms"].map(|query| asking(&backend, query));
    assert_eq!(poll.answer().text(), "Hello from A");
    assert!(!first.has_bytes());
}

#[test]
fn the_shortest_is_the_first_where_cores_are_shared() {
    let backend = Backend::start(&["--service", "exp:1s", "--cores", "1"]);
    let mut clients = ["?cost=1000", "?cost=0.001"].map(|query| asking(&backend, query));
    assert_eq!(clients[1].answer().status, 200);
    assert!(!clients[0].has_bytes());
}

#[test]
fn a_seed_says_how_long_requests_take_one_after_the_other_but_a_hedge_is_drawn_apart() {
    let backend = Backend::start(&["--service", "exp:1ms", "--errors", "0.5"]);
    let status = |seed: u64| asking(&backend, &format!("?seed={seed}&cost=0.001")).answer().status;
    let seed = (0..1000).find(|&seed| (status(seed), status(seed + 1)) == (200, 503)).expect("one");
    let first = asking(&backend, &format!("?seed={seed}&cost=1e6"));
    assert_eq!(status(seed), 503, "as the next seed");
    first.reset();
    until("the first has left", || (status(seed) == 200).then_some(()));
}

#[test]
fn a_query_that_means_nothing_is_answered_with_what_is_allowed() {
    let backend = Backend::start(&["--profile", "0"]);
    let answer = backend.connect().ask(&get("?cost=cheap"));
    assert_eq!(answer.status, 400);
    let allowed = "seed is a whole number, cost a number above 0, wait a duration like 30s.\n";
    assert_eq!(answer.text(), allowed);
}

#[test]
fn a_slow_backend_takes_longer() {
    let backend = start("0s.. slow 1000000", &["--profile", "1"]);
    let long = asking(&backend, "");
    assert_eq!(asking(&backend, "?cost=0.000001").answer().status, 200);
    assert!(!long.has_bytes());
}

#[test]
fn a_paused_backend_accepts_and_goes_on_afterwards() {
    let endless = start("0s..1h pause", &["--profile", "1"]);
    let client = asking(&endless, "");
    assert!(!client.has_bytes());
    let short = start("0s..50ms every 100ms pause", &["--profile", "1"]);
    assert_eq!(asking(&short, "").answer().status, 200);
}

#[test]
fn failures_have_the_status_of_the_script() {
    let flags = ["--profile", "3600000", "--slots", "1"];
    let backend = start("0s.. fail 429 after 1ms", &flags);
    let mut clients = [asking(&backend, ""), asking(&backend, "")];
    for client in &mut clients {
        let answer = client.answer();
        assert_eq!((answer.status, &*answer.text()), (429, "A fails on purpose"));
    }
    let by_chance = Backend::start(&["--profile", "0", "--errors", "1"]);
    assert_eq!(by_chance.connect().ask(&get("")).status, 503);
}

#[test]
fn a_backend_that_hangs_takes_requests_until_their_clients_leave() {
    let backend = start("0s.. hang", &["--profile", "0"]);
    let mut client = asking(&backend, "");
    assert!(!client.has_bytes());
    client.finish();
    assert_eq!(client.rest(), b"");
}

#[test]
fn a_port_that_closes_ends_idle_connections_and_the_others_with_their_answer() {
    // What comes in the first second of two is answered in the second one.
    let backend = start("1s..2s every 2s refuse", &["--profile", "1000"]);
    until_it_refuses(&backend);
    until_it_accepts(&backend);
    let mut idle = backend.connect();
    let mut busy = backend.connect();
    busy.send(get(""));
    assert_eq!(idle.rest(), b"");
    let answer = busy.answer();
    assert_eq!(answer.text(), "Hello from A – simulated 1000ms");
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(busy.rest(), b"");
    until_it_accepts(&backend);
    assert_eq!(asking(&backend, "?cost=0.000001").answer().status, 200);
}

#[test]
fn nobody_else_gets_a_port_while_it_is_closed() {
    let backend = start("0s.. refuse", &["--profile", "0"]);
    until_it_refuses(&backend);
    let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let taken = other.bind(&backend.address.into()).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_restart_resets_all_connections_and_the_port_opens_again() {
    let backend = start("1s..2s every 2s restart", &["--profile", "3600000"]);
    until_it_refuses(&backend);
    until_it_accepts(&backend);
    let mut clients = [backend.connect(), backend.connect()];
    clients[0].send(get(""));
    for client in &mut clients {
        assert_eq!(client.end(), (vec![], Err(ErrorKind::ConnectionReset)));
    }
    until_it_accepts(&backend);
}

#[test]
fn an_absent_backend_s_port_begins_to_accept_when_it_joins() {
    let late = start("0s..1h absent", &["--profile", "0"]);
    assert!(!accepts(&late));
    let early = start("0s..500ms absent", &["--profile", "0"]);
    until_it_accepts(&early);
    assert_eq!(asking(&early, "").answer().status, 200);
}

#[test]
fn clients_that_leave_are_taken_out_of_the_queue() {
    let flags = ["--service", "cycle:300,3600000x2,0", "--slots", "1"];
    for leave in [|client: Connection| client.reset(), |client: Connection| drop(client)] {
        let backend = Backend::start(&flags);
        let [first, second, third] = [(); 3].map(|()| asking(&backend, ""));
        let mut last = asking(&backend, "");
        [second, third, first].into_iter().for_each(leave);
        assert_eq!(last.answer().text(), "Hello from A – simulated 0ms");
    }
}

#[test]
fn one_that_ignores_aborts_works_on_without_a_client() {
    let flags = ["--service", "cycle:3600000,0", "--slots", "1", "--ignore-aborts"];
    let backend = Backend::start(&flags);
    let files = backend.process.open_files();
    let first = asking(&backend, "");
    let second = asking(&backend, "");
    drop(first);
    // Only the connection of the second is left.
    until("the first is forgotten", || (backend.process.open_files() == files + 1).then_some(()));
    assert!(!second.has_bytes());
}
