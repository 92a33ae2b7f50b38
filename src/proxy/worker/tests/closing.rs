//! Listeners that are closed behind the clients that wait at them.

use std::sync::mpsc::{TryRecvError, channel};

use super::*;
use crate::proxy::listeners::Listening;

/// More than one turn accepts, and than may be connected.
const WAITING: usize = 2 * ACCEPTS_PER_TURN + 10;

/// Clients that may be connected.
const LIMIT: usize = 8;

fn crowded() -> (Bench, Vec<TcpStream>) {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = Backend::tcp("127.0.0.1", backend.local_addr().unwrap().port());
    let limits = Limits { connections: LIMIT, ..settings().limits };
    let bench = Bench::with(Settings { limits, ..settings() }, &[upstream], backend);
    let clients = (0..WAITING).map(|_| bench.client()).collect();
    (bench, clients)
}

#[test]
fn those_who_wait_at_a_listener_that_is_closed_are_accepted_some_in_each_turn() {
    for is_end in [false, true] {
        let (mut bench, clients) = crowded();
        let (sender, done) = channel();
        let now = bench.worker.poller.now();
        if is_end {
            bench.worker.drain(now);
        } else {
            let listening = Listening { opened: vec![], all: [].into(), done: vec![sender] };
            bench.worker.listen(listening, now);
        }
        let mut accepted = bench.worker.clients.len();
        while accepted < clients.len() {
            assert!(is_end || done.try_recv() == Err(TryRecvError::Empty), "it is open");
            assert!(!bench.worker.has_ended());
            bench.turn();
            let more = bench.worker.clients.len() - accepted;
            assert!((1..=ACCEPTS_PER_TURN).contains(&more), "{more} accepted in a turn");
            accepted += more;
        }
        bench.until("its end", |bench| !bench.worker.listeners.has_closing());
        assert!(is_end || done.try_recv() == Err(TryRecvError::Disconnected));
        assert!(TcpStream::connect(bench.address).is_err());
    }
}

#[test]
fn a_listener_at_which_ever_more_wait_is_closed_all_the_same() {
    let (mut bench, mut clients) = crowded();
    let listening = Listening { opened: vec![], all: [].into(), done: vec![] };
    bench.worker.listen(listening, bench.worker.poller.now());
    for _ in 0..LAST_TURNS {
        // As many as leave.
        let more = (0..ACCEPTS_PER_TURN).map(|_| TcpStream::connect(bench.address).ok());
        clients = more.flatten().collect();
        bench.turn();
    }
    assert!(!bench.worker.listeners.has_closing());
    drop(clients);
}

#[test]
fn a_client_that_is_one_too_many_is_closed_after_its_answer() {
    let (mut bench, mut clients) = crowded();
    let listening = Listening { opened: vec![], all: [].into(), done: vec![] };
    bench.worker.listen(listening, bench.worker.poller.now());
    bench.until("all", |bench| bench.worker.clients.len() == WAITING);
    for client in &mut clients {
        client.write_all(ASK).unwrap();
    }
    bench.until("all answers", |bench| bench.answered() == WAITING);
    let mut texts = vec![Vec::new(); WAITING];
    let mut ended = [false; WAITING];
    bench.until("the ends of those that are too many", |_| {
        for ((client, text), ended) in clients.iter_mut().zip(&mut texts).zip(&mut ended) {
            let mut block = [0; 4096];
            match client.read(&mut block) {
                Ok(0) => *ended = true,
                Ok(count) => text.extend_from_slice(&block[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        ended.iter().filter(|ended| **ended).count() >= WAITING - LIMIT
    });
    assert!(texts.iter().all(|text| text.starts_with(b"HTTP/1.1 200 ")));
    assert_eq!(ended.iter().filter(|ended| !**ended).count(), LIMIT);
}
