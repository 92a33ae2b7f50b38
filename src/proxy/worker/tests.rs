//! A worker turned by hand, before real sockets: what one turn does for whom.

mod closing;
mod hedging;
mod moved;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::accept::{ACCEPTS_PER_TURN, LAST_TURNS};
use super::stages::ROUNDS_PER_TURN;
use super::*;
use crate::balance::Role;
use crate::buffer::BLOCK_BYTES;
use crate::console::Console;
use crate::endpoint::Endpoint;
use crate::journal::{self, Journal};
use crate::proxy::connection::RESTED;
use crate::proxy::listeners::ListenerId;
use crate::proxy::locate::Located;
use crate::proxy::mailbox::Command;
use crate::proxy::settings::{Address, Backend, Limits, Resolve, Timeouts};
use crate::reactor::Listener;

/// An answer of the proxy's own, so that no backend is needed.
const ASK: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n";

/// Turns of which each is looked at.
const TURNS: usize = 50;

/// Long enough for any machine; only a failing test waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(in crate::proxy) fn settings() -> Settings {
    Settings {
        cooldown: PATIENCE,
        cooldown_max: PATIENCE,
        probe_timeout: PATIENCE,
        timeouts: Timeouts {
            connect: PATIENCE,
            response: Some(PATIENCE),
            stream: Some(PATIENCE),
            tunnel: Some(PATIENCE),
            header: PATIENCE,
            body: PATIENCE,
            client_idle: PATIENCE,
            upstream_idle: PATIENCE,
            drain: PATIENCE,
            ..Timeouts::default()
        },
        limits: Limits { body_rate: None, ..Limits::default() },
        ..Settings::default()
    }
}

/// A worker, the address it listens on, and the backend behind it.
struct Bench {
    worker: Worker,
    address: SocketAddr,
    backend: TcpListener,
    metrics: Arc<Metrics>,
    resolver: Arc<Resolver>,
    _journal: Journal,
}

impl Bench {
    fn new() -> Self {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = backend.local_addr().unwrap().port();
        Self::before(&[Backend::tcp("127.0.0.1", port)], backend)
    }

    /// A worker before these backends.
    fn before(upstreams: &[Backend], backend: TcpListener) -> Self {
        Self::with(settings(), upstreams, backend)
    }

    /// The same, by these settings.
    fn with(settings: Settings, upstreams: &[Backend], backend: TcpListener) -> Self {
        let poller = Poller::new(1024).unwrap();
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).unwrap();
        let Endpoint::Tcp(address) = *listener.endpoint() else { panic!("{listener:?}") };
        let located = Located::all(upstreams, &settings).unwrap();
        let wakers = vec![poller.waker()];
        let mut backends = Backends::new(&settings, located, wakers, poller.now()).unwrap();
        let (shared, balancer) = (Shared::new(settings, &backends), backends.balancer());
        let (metrics, resolver) = (Arc::clone(&shared.metrics), Arc::clone(&shared.resolver));
        let (journal, mut senders) = Journal::start(journal::Options {
            decisions: None,
            path: None,
            meta: None,
            routing_mode: String::new(),
            connection: String::new(),
            workers: 1,
            verbose: false,
            console: Console::standard(),
        })
        .unwrap();
        let sender = senders.remove(0);
        let worker = Worker::new(
            0,
            vec![(ListenerId::default(), listener)],
            shared,
            balancer,
            sender,
            poller,
        );
        let worker = worker.unwrap();
        Self { worker, address, backend, metrics, resolver, _journal: journal }
    }

    /// A client's end of a connection, which waits for nothing.
    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_nonblocking(true).unwrap();
        client
    }

    /// A turn that does not wait: it is told that something has happened.
    fn turn(&mut self) {
        self.worker.poller.waker().wake().unwrap();
        self.worker.turn().unwrap();
    }

    /// Requests that the worker has answered.
    fn answered(&self) -> usize {
        usize::try_from(self.metrics.snapshot().total.traffic.requests()).unwrap()
    }

    /// Bytes that the worker has sent for the requests in flight. What a client has received of
    /// them is no measure of a turn, because the system delivers when it likes.
    fn sent(&self) -> u64 {
        let clients = self.worker.clients.keys().filter_map(|key| self.worker.clients.get(key));
        let in_flight = clients.filter_map(|client| {
            let exchange = &client.in_flight.as_ref()?.exchange;
            Some(exchange.record(client.peer.client(), self.worker.poller.now()).response_bytes)
        });
        in_flight.sum()
    }

    /// Turns until `done`.
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = self.worker.poller.now() + PATIENCE;
        while !done(self) {
            assert!(self.worker.poller.now() < deadline, "in vain: {what}");
            self.turn();
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no turn tells the time")]
fn await_without_a_turn(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
    }
}

/// Reads all there is.
fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => all,
        other => panic!("an end: {other:?}"),
    }
}

fn answers(stream: &mut TcpStream) -> usize {
    String::from_utf8(read(stream)).unwrap().matches("HTTP/1.1 200").count()
}

#[test]
fn a_client_that_pipelines_has_its_share_of_a_turn_and_no_more() {
    let mut bench = Bench::new();
    let (mut greedy, mut neighbour) = (bench.client(), bench.client());
    for turn in 0..TURNS {
        // More comes with each turn, so each brings an event beside what is left over.
        greedy.write_all(&ASK.repeat(2 * ROUNDS_PER_TURN)).unwrap();
        let before = bench.answered();
        bench.turn();
        let served = bench.answered() - before;
        assert!(served <= ROUNDS_PER_TURN, "{served} answers in turn {turn}");
    }
    assert_eq!(bench.worker.order.len(READY), 1, "a key is there once");
    neighbour.write_all(ASK).unwrap();
    let mut served = 0;
    bench.until("the neighbour's answer", |_| {
        served += answers(&mut greedy);
        answers(&mut neighbour) == 1
    });
    assert!(served > 0, "the other is served as well");
}

#[test]
fn a_fast_download_has_its_share_of_a_turn_and_no_more() {
    /// More than any machine sends in the time of the test.
    const LENGTH: u64 = 1 << 40;
    const ENOUGH: u64 = 1 << 29;
    const SHARE: u64 = (ROUNDS_PER_TURN * BLOCK_BYTES + 1024) as u64;
    /// By then a request has been looked at because it takes long, which is no reason for more.
    const LONG: Duration = Duration::from_millis(1100);
    let mut bench = Bench::new();
    let mut client = bench.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
    let (mut origin, _) = bench.backend.accept().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
    origin.write_all(head.as_bytes()).unwrap();
    origin.set_nonblocking(true).unwrap();
    let block = vec![b'x'; BLOCK_BYTES];
    let (mut busy, mut total, start) = (0, 0, bench.worker.poller.now());
    bench.until("fifty turns with a share used up", |bench| {
        read(&mut client);
        // On a thread of its own it might have no processor, and nothing for a turn therefore.
        while origin.write(&block).is_ok() {}
        let sent = bench.sent() - total;
        total += sent;
        assert!(sent <= SHARE, "{sent} bytes in a turn");
        busy += usize::from(bench.worker.order.len(READY) > 0);
        assert!(bench.worker.order.len(READY) <= 1, "a key is there once");
        let is_long = bench.worker.poller.now() >= start + LONG;
        // Where the system's buffers hold less than a share, none is ever used up.
        busy >= TURNS && is_long || total >= ENOUGH
    });
}

#[test]
fn a_listener_is_tried_once_in_a_turn_however_often_it_becomes_ready() {
    let mut bench = Bench::new();
    let mut clients = Vec::new();
    for turn in 0..8 {
        // Each brings an event for the listener, which has been left half done.
        clients.extend((0..ACCEPTS_PER_TURN + 10).map(|_| bench.client()));
        let before = bench.worker.clients.len();
        bench.turn();
        let admitted = bench.worker.clients.len() - before;
        assert!(admitted <= ACCEPTS_PER_TURN, "{admitted} let in in turn {turn}");
    }
    bench.until("all are in", |bench| bench.worker.clients.len() == clients.len());
}

#[test]
fn a_pooled_connection_is_not_used_again_once_its_time_is_up_or_its_backend_said_something() {
    for (said, after) in [(&b""[..], PATIENCE), (b"HTTP/1.1 408 Timeout\r\n", RESTED)] {
        let mut bench = Bench::new();
        let mut client = bench.client();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
        let (mut origin, _) = bench.backend.accept().unwrap();
        origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        bench.until("an answer", |_| answers(&mut client) == 1);
        let pooled = bench.worker.upstreams.keys().next().unwrap();
        let backend = bench.worker.upstreams.get(pooled).unwrap().backend;
        // No turn comes between what the backend says and the next use, so no event tells of it.
        origin.write_all(said).unwrap();
        let now = bench.worker.poller.now();
        assert_eq!(bench.worker.take_pooled(backend, now + after), None);
        assert!(bench.worker.upstreams.is_empty(), "it is closed");
    }
}

#[test]
fn a_connection_to_a_former_address_is_closed_at_once_if_idle_and_else_after_its_use() {
    for is_idle in [true, false] {
        let mut bench = Bench::new();
        let mut client = bench.client();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
        let (mut origin, _) = bench.backend.accept().unwrap();
        let mut answer = |bench: &mut Bench| {
            origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
            bench.until("an answer", |_| answers(&mut client) == 1);
        };
        if is_idle {
            answer(&mut bench);
        }
        let link = bench.worker.upstreams.keys().next().unwrap();
        let backend = bench.worker.upstreams.get(link).unwrap().backend;
        let (shared, mailboxes) = (bench.resolver.clone(), Arc::clone(&bench.worker.mailboxes));
        let own = bench.backend.local_addr().unwrap();
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        // With its address beside another one it stays.
        assert!(shared.publish(backend, &[other.into(), own.into()]));
        mailboxes.send_all(|| Command::Moved);
        bench.turn();
        assert_eq!(bench.worker.upstreams.keys().collect::<Vec<_>>(), [link]);
        assert!(shared.publish(backend, &[other.into()]));
        mailboxes.send_all(|| Command::Moved);
        bench.turn();
        if !is_idle {
            assert_eq!(bench.worker.upstreams.keys().collect::<Vec<_>>(), [link]);
            answer(&mut bench);
        }
        assert!(bench.worker.upstreams.is_empty(), "it is closed");
    }
}

#[test]
fn nothing_is_sent_over_a_bound_connection_before_it_is_known_to_be_alive() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM x\r\n\r\n").unwrap();
    bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
    let (mut origin, _) = bench.backend.accept().unwrap();
    origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    bench.until("an answer", |_| answers(&mut client) == 1);
    // The client has an exchange from here on, and none has to be taken for its next request.
    client.write_all(b"\r\n").unwrap();
    bench.until("the empty line", |bench| {
        let key = bench.worker.clients.keys().next().unwrap();
        bench.worker.clients.get(key).unwrap().in_flight.is_some()
    });
    origin.shutdown(Shutdown::Write).unwrap();
    client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody").unwrap();
    bench.backend.set_nonblocking(true).unwrap();
    let mut next = None;
    bench.until("another connection", |bench| {
        next = next.take().or_else(|| bench.backend.accept().ok());
        next.is_some()
    });
    let (mut next, _) = next.unwrap();
    next.set_nonblocking(true).unwrap();
    let mut got = Vec::new();
    bench.until("the request", |_| {
        got.extend(read(&mut next));
        got.starts_with(b"POST /") && got.ends_with(b"\r\n\r\nbody")
    });
}

#[test]
fn backends_that_can_not_be_reached_are_tried_without_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let missing = ["a", "b", "c"].map(|name| {
        let path = folder.path().join(name);
        let url = format!("unix:{}", path.display());
        let (role, resolve) = (Role::default(), Resolve::One);
        Backend { url, address: Address::Unix(path), role, resolve }
    });
    let mut bench = Bench::before(&missing, TcpListener::bind("127.0.0.1:0").unwrap());
    let mut client = bench.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    bench.until("an answer", |bench| bench.answered() == 1);
    let mut got = Vec::new();
    bench.until("its bytes", |_| {
        got.extend(read(&mut client));
        got.ends_with(b"\n")
    });
    assert!(got.starts_with(b"HTTP/1.1 503 "), "{}", got.escape_ascii());
}

#[test]
fn an_answer_gives_its_connection_to_the_request_that_came_in_the_same_turn() {
    let mut bench = Bench::new();
    let (mut first, mut second) = (bench.client(), bench.client());
    first.write_all(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
    let (mut origin, _) = bench.backend.accept().unwrap();
    bench.until("both clients", |bench| bench.worker.clients.len() == 2);
    // The request's event comes first.
    second.write_all(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let asking = |bench: &Bench| {
        let clients = bench.worker.clients.keys().filter_map(|key| bench.worker.clients.get(key));
        clients.into_iter().any(|client| client.stream.has_unread())
    };
    await_without_a_turn("the request", || asking(&bench));
    origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    let link = bench.worker.upstreams.keys().next().unwrap();
    let upstream = bench.worker.upstreams.get(link).unwrap();
    await_without_a_turn("the answer", || upstream.stream.has_unread());
    bench.turn();
    assert_eq!(
        bench.worker.upstreams.keys().collect::<Vec<_>>(),
        [link],
        "no other one was opened"
    );
    assert!(
        bench.worker.upstreams.get(link).unwrap().client().is_some(),
        "the second request has it"
    );
    bench.until("the first answer", |_| answers(&mut first) == 1);
}

#[test]
fn a_client_that_reads_nothing_is_not_served_over_and_over() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    bench.until("a connection to the backend", |bench| !bench.worker.upstreams.is_empty());
    let (mut origin, _) = bench.backend.accept().unwrap();
    let sending = thread::spawn(move || {
        origin.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").unwrap();
        // It ends with the proxy's connection.
        let block = vec![b'x'; BLOCK_BYTES];
        while origin.write_all(&block).is_ok() {}
    });
    bench.until("full buffers", |bench| {
        let client = bench.worker.clients.keys().next().unwrap();
        let client = bench.worker.clients.get(client).unwrap();
        let is_full = client.in_flight.as_ref().is_some_and(|it| {
            it.links.iter().any(|(id, _)| !it.exchange.wants(Side::Upstream(id)))
        });
        is_full && !client.stream.can_write() && bench.worker.order.is_empty(READY)
    });
    drop((bench, client));
    sending.join().unwrap();
}
