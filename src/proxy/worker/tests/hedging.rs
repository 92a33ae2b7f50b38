//! What becomes of the connection of an attempt that was cancelled.

use super::*;
use crate::balance::Policy;
use crate::proxy::connection::Task;
use crate::proxy::settings::Hedging;

/// A worker before two backends that hedges at once, with a request that both have.
struct Race {
    bench: Bench,
    client: TcpStream,
    /// Their ends of the connections; the first one was asked first.
    origins: [TcpStream; 2],
    /// The connection of the first one.
    first: Key,
}

fn race() -> Race {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let backends = listeners.each_ref().map(|it| Backend::tcp("127.0.0.1", port(it)));
    let [first, second] = listeners;
    let delay = Some(Duration::from_millis(1));
    let hedging = Hedging { percent: Some(100), delay, ..Hedging::default() };
    // Nothing has to be measured first.
    let settings = Settings { hedging, policy: Policy::RoundRobin, ..settings() };
    let mut bench = Bench::with(settings, &backends, first);
    let mut client = bench.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    bench.until("a connection to the first one", |bench| !bench.worker.upstreams.is_empty());
    let first = bench.worker.upstreams.keys().next().unwrap();
    let (one, _) = bench.backend.accept().unwrap();
    bench.until("a connection to the second one", |bench| bench.worker.upstreams.len() == 2);
    let (two, _) = second.accept().unwrap();
    let mut origins = [one, two];
    for origin in &mut origins {
        origin.set_nonblocking(true).unwrap();
        bench.until("the request", |_| read(origin).starts_with(b"GET /"));
    }
    Race { bench, client, origins, first }
}

impl Race {
    /// The second backend answers, and the client has that.
    fn decide(&mut self) {
        self.origins[1].write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        self.bench.until("an answer", |_| answers(&mut self.client) == 1);
        let upstream = self.bench.worker.upstreams.get_mut(self.first).unwrap();
        assert!(matches!(upstream.task, Task::Discard(_)), "{:?}", upstream.task);
    }

    /// Whether both connections rest in the pool.
    fn is_pooled(bench: &Bench) -> bool {
        let upstreams = &bench.worker.upstreams;
        let mut tasks = upstreams.keys().filter_map(|link| upstreams.get(link));
        upstreams.len() == 2 && tasks.all(|upstream| matches!(upstream.task, Task::Rest))
    }
}

#[test]
fn it_serves_again_when_the_answer_has_ended() {
    let mut race = race();
    race.decide();
    // However long this machine takes.
    let upstream = race.bench.worker.upstreams.get_mut(race.first).unwrap();
    upstream.idle_until += PATIENCE;
    for piece in ["HTTP/1.1 200 OK\r\nContent-Le", "ngth: 3\r\n\r\na", "bc"] {
        assert!(!Race::is_pooled(&race.bench));
        race.origins[0].write_all(piece.as_bytes()).unwrap();
        race.bench.turn();
    }
    race.bench.until("its rest", |bench| Race::is_pooled(bench));
    let backend = race.bench.worker.upstreams.get(race.first).unwrap().backend;
    let now = race.bench.worker.poller.now();
    assert_eq!(race.bench.worker.take_pooled(backend, now), Some(race.first));
    race.bench.worker.drop_resting(race.first);
}

#[test]
fn it_is_closed_when_the_answer_breaks_off_or_is_too_long() {
    let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}", "x".repeat(70_000));
    for answer in ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "junk\r\n\r\n", &long, ""] {
        let mut race = race();
        race.decide();
        let origin = &mut race.origins[0];
        origin.set_nonblocking(false).unwrap();
        // The proxy may close before it has all.
        let _ = origin.write_all(answer.as_bytes());
        if answer.is_empty() {
            origin.shutdown(Shutdown::Write).unwrap();
        }
        race.bench.until("its end", |bench| bench.worker.upstreams.len() == 1);
    }
}

#[test]
fn it_is_closed_when_the_answer_takes_too_long() {
    let mut race = race();
    race.decide();
    race.bench.until("its end", |bench| bench.worker.upstreams.len() == 1);
}

#[test]
fn it_is_closed_when_the_answer_had_begun() {
    let mut race = race();
    race.origins[0].write_all(b"HTTP/1.1 2").unwrap();
    let client = race.bench.worker.clients.keys().next().unwrap();
    race.bench.until("its first bytes", |bench| {
        let in_flight = bench.worker.in_flight(client).unwrap();
        in_flight.exchange.held_bytes() > BLOCK_BYTES / 2
    });
    race.origins[1].write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    race.bench.until("an answer", |_| answers(&mut race.client) == 1);
    assert_eq!(race.bench.worker.upstreams.len(), 1);
}
