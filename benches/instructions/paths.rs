//! The steps of a request between two sockets, each as something that can be done again and again.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::balance::{Choice, Membership, Options, Outcome, Policy, Tried};
use tidegate::buffer::FreeList;
use tidegate::console::Console;
use tidegate::endpoint::Client;
use tidegate::http::{
    Asked, BodyOut, Chunks, HeadSearch, Headers, Method, Part, RequestHop, ResponseHop,
    parse_request, parse_response, rewrite_request, rewrite_response,
};
use tidegate::journal::{self, Journal, Record};
use tidegate::proxy::Peer;
use tidegate::proxy::budget::RetryBudget;
use tidegate::proxy::exchange::{Action, Context, Exchange, Phase, Side};
use tidegate::proxy::hedging::Hedger;
use tidegate::proxy::metrics::Metrics;
use tidegate::proxy::queue::{Queue, Wake, WorkerQueue};
use tidegate::proxy::settings::{Limits, Settings};

/// A path's name, and what makes the step that is counted.
pub(crate) type Path = (&'static str, fn() -> Step);

/// Done once for each time that is counted; whatever is prepared once is captured.
pub(crate) type Step = Box<dyn FnMut()>;

/// In the order in which a request meets them; the last is all of them but the row's writing.
pub(crate) const PATHS: [Path; 14] = [
    ("request head, small", || request_head(SMALL)),
    ("request head, browser's", || request_head(BROWSER)),
    ("request rewritten", request_rewritten),
    ("select, round-robin", || select(Policy::RoundRobin)),
    ("select, adaptive_sma", || select(Policy::AdaptiveSma { window: 3 })),
    ("select, adaptive_ewma", || select(Policy::AdaptiveEwma { alpha: 0.2 })),
    ("select, least-conn", || select(Policy::LeastConn)),
    ("select, adaptive", || select(Policy::Adaptive)),
    ("select, adaptive, of 1024", || select_of(1024, Policy::Adaptive)),
    ("response head and rewrite", response_head),
    ("framing, 8 chunks", chunks),
    ("metrics, request counted", metrics),
    ("journal, record and row", journal_row),
    ("exchange, keep-alive", exchange),
];

pub(crate) const SMALL: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost:9090\r\n\r\n";

const BROWSER: &[u8] = b"GET /search?q=tide&page=2 HTTP/1.1\r\n\
    Host: www.example.org\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Cookie: session=7d1f0b6c5e; theme=dark; consent=yes\r\n\
    Referer: https://www.example.org/\r\n\r\n";

pub(crate) const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n\
    Hello\n";

const DATE: &[u8] = b"Thu, 01 Jan 2026 00:00:00 GMT";
const PEER: &[u8] = b"127.0.0.1";
const CLIENT: Client = Client::Ip(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000));
const HEAD_BYTES: usize = 16 * 1024;
const FIELDS: usize = 100;
pub(crate) const BACKENDS: u16 = 3;

fn request_head(head: &'static [u8]) -> Step {
    let mut headers = Headers::new(FIELDS);
    Box::new(move || {
        let end = HeadSearch::request().find(head, HEAD_BYTES).expect("no error").expect("an end");
        parse_request(&head[end.skip..end.end], &mut headers).expect("a valid head");
    })
}

fn request_rewritten() -> Step {
    let mut headers = Headers::new(FIELDS);
    let request = parse_request(SMALL, &mut headers).expect("a valid head");
    let mut out = Vec::new();
    let hop = RequestHop {
        peer: Some(PEER),
        pseudonym: "tidegate-0a1b2c3d",
        is_trusted: false,
        default_host: "localhost",
        close: false,
    };
    Box::new(move || {
        out.clear();
        rewrite_request(&mut out, SMALL, &headers, &request, &hop);
    })
}

fn response_head() -> Step {
    let mut headers = Headers::new(FIELDS);
    let mut out = Vec::new();
    let hop =
        ResponseHop { body: BodyOut::Length(6), close: false, keep_alive_10: false, date: DATE };
    Box::new(move || {
        out.clear();
        let end = HeadSearch::response().find(ANSWER, HEAD_BYTES).expect("no error");
        let head = &ANSWER[..end.expect("an end").end];
        let asked = Asked { method: Method::Get, protocols: b"" };
        let response = parse_response(head, &mut headers, asked).expect("a valid head");
        rewrite_response(&mut out, head, &headers, &response, &hop);
    })
}

fn chunks() -> Step {
    let mut body = Vec::new();
    for _ in 0..8 {
        body.extend_from_slice(b"400\r\n");
        body.extend_from_slice(&[b'x'; 0x400]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    Box::new(move || {
        let (mut chunks, mut rest) = (Chunks::new(HEAD_BYTES), &body[..]);
        loop {
            let (count, part) = chunks.next(rest).expect("valid chunks");
            rest = &rest[count..];
            if part == Part::End {
                break;
            }
        }
        assert!(rest.is_empty(), "the end is where the body ends");
    })
}

#[expect(clippy::disallowed_methods, reason = "no other source of a first instant")]
fn start() -> Instant {
    Instant::now()
}

fn membership(backends: u16, policy: Policy, now: Instant) -> Membership {
    let options = Options { policy, ..Options::default() };
    let mut membership = Membership::new(options, now).expect("valid options");
    for index in 0..backends {
        membership.add(&format!("http://localhost:{}", 8081 + index)).expect("a slot");
    }
    membership
}

/// A choice, what comes of it, and its end.
fn select(policy: Policy) -> Step {
    select_of(BACKENDS, policy)
}

/// The same among so many backends, all of which were measured.
fn select_of(backends: u16, policy: Policy) -> Step {
    let mut now = start();
    let mut membership = membership(backends, policy, now);
    let mut balancer = membership.balancer();
    let tried = Tried::default();
    for member in membership.roster().members() {
        let Choice::Go(mut lease) = balancer.acquire_bound(member.id(), now) else {
            panic!("a backend")
        };
        balancer.observe(&mut lease, Outcome::Answered, now + Duration::from_micros(100));
        balancer.release(lease);
    }
    Box::new(move || {
        let Choice::Go(mut lease) = balancer.acquire(&tried, now) else { panic!("a backend") };
        now += Duration::from_micros(100);
        balancer.observe(&mut lease, Outcome::Answered, now);
        balancer.release(lease);
    })
}

/// A request over a pooled connection as a worker counts it.
fn metrics() -> Step {
    let now = start();
    let mut membership = membership(BACKENDS, Policy::RoundRobin, now);
    let backend = membership.roster().members()[0].id();
    let mut worker = Metrics::new(1, membership.registry()).worker(0);
    let record = record(now);
    Box::new(move || {
        worker.record(std::hint::black_box(&record), Some(backend));
        worker.clients(20, 3);
    })
}

/// Into the ring, out of it in the writer's thread, and into the file as a row.
fn journal_row() -> Step {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (journal, feeds) = Journal::start(journal::Options {
        decisions: None,
        path: Some(folder.path().join("log.csv")),
        meta: None,
        routing_mode: "round-robin".to_owned(),
        connection: "persistent".to_owned(),
        workers: 1,
        verbose: false,
        console: Console::standard(),
    })
    .expect("a journal");
    let mut feed = feeds.into_iter().next().expect("a feed for the worker");
    let mut now = start();
    // Dropped with the step: first the journal, which writes what is left, then its folder.
    let held = (journal, folder);
    Box::new(move || {
        let _held = &held;
        now += Duration::from_micros(12);
        feed.record(&record(now));
    })
}

fn record(now: Instant) -> Record<'static> {
    let us = Duration::from_micros;
    Record {
        client: CLIENT,
        backend: Some("http://localhost:8081"),
        status: 200,
        method: b"GET",
        path: b"/",
        request_bytes: 40,
        response_bytes: 120,
        latency: Some(us(180)),
        first_byte: Some(us(175)),
        attempts: 1,
        dispatched: now.checked_sub(us(185)),
        in_flight: Some(3),
        reason: Some("turn"),
        ..Record::new(now)
    }
}

/// Nobody waits, so nobody is woken.
#[derive(Debug)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self, _: usize) {}
}

/// A small request over a pooled connection, from the client's bytes to the next request's turn,
/// with the exchange worked as a worker does it.
fn exchange() -> Step {
    let mut now = start();
    let settings = Settings {
        pseudonym: "tidegate-0a1b2c3d".to_owned(),
        limits: Limits { head_bytes: HEAD_BYTES, headers: FIELDS, ..Limits::default() },
        ..Settings::default()
    };
    let mut balancer = membership(BACKENDS, Policy::RoundRobin, now).balancer();
    let mut exchange = Exchange::new(now);
    let (mut budget, mut free) = (RetryBudget::new(20, now), FreeList::default());
    let hedger = Hedger::default();
    let queue = WorkerQueue::new(Arc::new(Queue::new(1, Arc::new(NoWake))), 0);
    let mut headers = Headers::new(FIELDS);
    let peer = Peer::new(CLIENT);
    Box::new(move || {
        now += Duration::from_micros(12);
        let context = &mut Context {
            now,
            settings: &settings,
            balancer: &mut balancer,
            budget: &mut budget,
            hedger: &hedger,
            queue: &queue,
            free: &mut free,
            headers: &mut headers,
            date: DATE,
            peer: &peer,
            phase: Phase::Serving,
        };
        receive(&mut exchange, Side::Client, SMALL, context);
        let Some(Action::Dial { attempt, .. }) = exchange.next_action() else {
            panic!("no connection is asked for")
        };
        exchange.reused(attempt);
        send(&mut exchange, Side::Upstream(attempt), context);
        release_buffers(&mut exchange, context);
        receive(&mut exchange, Side::Upstream(attempt), ANSWER, context);
        assert!(matches!(exchange.next_action(), Some(Action::Recycle { .. })));
        send(&mut exchange, Side::Client, context);
        assert_eq!(exchange.next_action(), Some(Action::Report));
        assert_eq!(exchange.record(CLIENT, now).status, 200);
        exchange.reported(context);
        assert!(exchange.is_idle());
        release_buffers(&mut exchange, context);
    })
}

fn receive(exchange: &mut Exchange, from: Side, bytes: &[u8], context: &mut Context<'_>) {
    exchange.space(from, context.free)[..bytes.len()].copy_from_slice(bytes);
    exchange.received(from, bytes.len());
    exchange.work(context);
}

fn send(exchange: &mut Exchange, to: Side, context: &mut Context<'_>) {
    let count = exchange.pending(to).map(<[u8]>::len).iter().sum();
    exchange.sent(to, count, context.now);
    exchange.work(context);
}

/// What a worker does with an exchange that has to wait.
fn release_buffers(exchange: &mut Exchange, context: &mut Context<'_>) {
    exchange.release_buffers(context.free);
    if !exchange.is_idle() {
        std::hint::black_box(exchange.begin_waits(context));
    }
}
