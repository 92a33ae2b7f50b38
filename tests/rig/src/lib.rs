//! A worker and both of its peers without a socket: the exchange is driven as the worker drives it,
//! and everything it must never do is checked while it happens.
//!
//! It sees of the exchange no more than a worker does.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "panicking is what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::balance::{BackendId, Balancer, Membership, Options, Policy};
use tidegate::buffer::{BLOCK_BYTES, FreeList};
use tidegate::endpoint::Client;
use tidegate::http::Headers;
use tidegate::proxy;
use tidegate::proxy::budget::RetryBudget;
use tidegate::proxy::exchange::{
    AttemptId, CloseMode, Context, Exchange, HedgeEvent, MAX_ATTEMPTS, Phase, StreamEnd,
};
use tidegate::proxy::hedging::Hedger;
use tidegate::proxy::queue::{Queue, Wake, WorkerQueue};
use tidegate::proxy::settings::{Hedging, Settings};

mod actions;
mod backends;
mod moves;
mod peers;

pub use peers::{Connection, Dial, Log, Peer, Row, Server, Socket, peer, settings};

/// The date on which everything happens.
pub const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// How long an attempt is silent before another one may begin beside it.
pub const SILENCE: Duration = Duration::from_millis(100);

/// Rounds after which an exchange that still moves is taken to move for ever.
pub(crate) const MANY_ROUNDS: usize = 1_000_000;

/// Most that an exchange may hold, whatever the peers do: a block and as much again for each
/// direction, and a head. Each attempt beside the first has a block of its own.
const MOST_HELD_BYTES: usize = 5 * BLOCK_BYTES;

/// The harness looks for calls in each round.
#[derive(Debug)]
struct NoWake;

impl Wake for NoWake {
    fn wake(&self, _: usize) {}
}

/// See the module's description.
pub struct ExchangeHarness {
    /// What is driven.
    pub exchange: Exchange,
    /// What it runs by.
    pub settings: Settings,
    /// Which backends there are.
    membership: Membership,
    /// What chooses among them.
    pub balancer: Balancer,
    /// The id of each of [`ExchangeHarness::servers`].
    pub ids: Vec<BackendId>,
    /// What it may send again.
    pub budget: RetryBudget,
    /// When it may ask two backends.
    pub hedger: Hedger,
    /// Where it waits, as its worker has it and as another one does.
    pub queues: [WorkerQueue; 2],
    free: FreeList,
    headers: Headers,
    /// The client.
    pub peer: proxy::Peer,
    /// The simulated time.
    pub now: Instant,
    /// Whether the proxy is stopping.
    pub draining: bool,
    /// Whether it will be soon.
    pub leaving: bool,
    /// The client's connection.
    pub client: Socket,
    /// The backends.
    pub servers: Vec<Server>,
    /// Every connection ever made to a backend.
    pub connections: Vec<Connection>,
    /// Which of them serves which attempt.
    pub links: [Option<usize>; MAX_ATTEMPTS],
    /// Backends whose names were to be looked up again.
    pub refreshed: Vec<usize>,
    /// Second attempts that began, and that won, by backend.
    pub hedges: Vec<(usize, HedgeEvent)>,
    /// How often a test asked for one, see [`ExchangeHarness::hedge`].
    pub hedges_asked: usize,
    /// Attempts that failed while their request went on: the backend, and what went wrong.
    pub failures: Vec<(usize, &'static str)>,
    /// Which of them is kept for the client alone, and the backend it leads to.
    kept: Option<(usize, BackendId)>,
    /// The backend demanded last.
    demanded: Option<BackendId>,
    /// Most bytes that a peer takes at once.
    pub write_bytes: usize,
    rows: Vec<Row>,
    /// The client that the last row names.
    pub client_told: Option<Client>,
    /// Rows written so far, and so the place of the request in flight.
    rows_written: usize,
    /// Whether a request has begun whose row is not written.
    owes_row: bool,
    /// How the client's connection ended, if it did.
    pub over: Option<CloseMode>,
}

impl Default for ExchangeHarness {
    fn default() -> Self {
        Self::new()
    }
}

impl ExchangeHarness {
    /// One backend, round robin.
    #[must_use]
    pub fn new() -> Self {
        Self::with(1, Policy::RoundRobin)
    }

    /// So many backends, one of which the policy chooses.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "no other source of a first instant")]
    pub fn with(backends: usize, policy: Policy) -> Self {
        let now = Instant::now();
        let settings = settings(policy);
        let options = Options {
            policy,
            cooldown: settings.cooldown,
            cooldown_max: settings.cooldown_max,
            probe_timeout: settings.probe_timeout,
            ..Options::default()
        };
        let mut membership = Membership::new(options, now).expect("valid options");
        let mut add = |place| membership.add(&peers::name(place)).expect("a slot");
        let ids = (0..backends).map(&mut add).collect();
        let queue = Arc::new(Queue::new(2, Arc::new(NoWake)));
        let server = || Server { dials: vec![Dial::Answers], pool: Vec::new() };
        Self {
            exchange: Exchange::new(now),
            headers: Headers::new(settings.limits.headers),
            settings,
            balancer: membership.balancer(),
            membership,
            ids,
            budget: RetryBudget::new(20, now),
            hedger: Hedger::default(),
            queues: [0, 1].map(|worker| WorkerQueue::new(Arc::clone(&queue), worker)),
            free: FreeList::default(),
            peer: peer("192.0.2.7:4711"),
            now,
            draining: false,
            leaving: false,
            client: Socket::default(),
            servers: std::iter::repeat_with(server).take(backends).collect(),
            connections: Vec::new(),
            links: [None; MAX_ATTEMPTS],
            refreshed: Vec::new(),
            kept: None,
            failures: Vec::new(),
            hedges: Vec::new(),
            hedges_asked: 0,
            demanded: None,
            write_bytes: usize::MAX,
            rows: Vec::new(),
            client_told: None,
            rows_written: 0,
            owes_row: false,
            over: None,
        }
    }

    /// An idle connection to a backend waits in its pool.
    pub fn pool(&mut self, backend: usize) {
        self.servers[backend].pool.push(self.connections.len());
        self.connections.push(Connection::new(backend, None));
    }

    /// Closes idle connections that say something or end, as a worker does.
    pub fn notice_idle(&mut self) {
        let connections = &mut self.connections;
        for server in &mut self.servers {
            server.pool.retain(|index| {
                let Connection { socket, closed, .. } = &mut connections[*index];
                *closed = !socket.inbox.is_empty() || socket.end.is_some();
                !*closed
            });
        }
    }

    /// Closes idle connections whose time is up, as a worker does.
    pub(crate) fn retire_idle(&mut self) {
        let (connections, now) = (&mut self.connections, self.now);
        for server in &mut self.servers {
            server.pool.retain(|index| {
                let Connection { idle_until, closed, .. } = &mut connections[*index];
                *closed = idle_until.is_some_and(|until| until <= now);
                !*closed
            });
        }
    }

    /// Bytes arrive and wait to be read.
    #[track_caller]
    pub fn arrive(&mut self, from: Peer, bytes: &[u8]) {
        self.peer_socket(from).inbox.extend(bytes);
    }

    /// A peer sends.
    #[track_caller]
    pub fn sends(&mut self, from: Peer, bytes: impl AsRef<[u8]>) {
        self.arrive(from, bytes.as_ref());
        self.run();
    }

    /// A peer's stream ends, or takes no more.
    #[track_caller]
    pub fn ends(&mut self, peer: Peer, how: StreamEnd) {
        let socket = self.peer_socket(peer);
        match how {
            StreamEnd::WriteFailed => socket.broken = true,
            _ => socket.end = Some(how),
        }
        self.run();
    }

    /// The client sends.
    pub fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.sends(Peer::Client, bytes);
    }

    /// The backend in use sends.
    #[track_caller]
    pub fn upstream(&mut self, bytes: impl AsRef<[u8]>) {
        self.sends(Peer::Upstream, bytes);
    }

    /// The client's stream ends, or takes no more.
    pub fn client_ends(&mut self, how: StreamEnd) {
        self.ends(Peer::Client, how);
    }

    /// The stream of the backend in use ends, or takes no more.
    #[track_caller]
    pub fn upstream_ends(&mut self, how: StreamEnd) {
        self.ends(Peer::Upstream, how);
    }

    #[track_caller]
    fn peer_socket(&mut self, peer: Peer) -> &mut Socket {
        match peer {
            Peer::Client => &mut self.client,
            Peer::Upstream => self.upstream_socket(),
            Peer::Connection(index) => &mut self.connections[index].socket,
        }
    }

    /// Requests that begin from now on may get so many second attempts, each after [`SILENCE`].
    pub fn allow_hedges(&mut self, attempts: u8) {
        let delay = Some(SILENCE);
        self.settings.hedging = Hedging { percent: Some(100), delay, attempts, same: false };
    }

    /// The budget allows another attempt, and the last one is silent until then; whether it began.
    pub fn hedge(&mut self) -> bool {
        self.hedger.earn(&self.settings.hedging);
        self.hedges_asked += 1;
        let before = self.hedges.len();
        self.advance(SILENCE);
        self.hedges.len() > before
    }

    /// The drain limit of these backends expires.
    pub fn remove(&mut self, backends: &[BackendId]) {
        self.act(|exchange, context| exchange.backends_removed(backends, context));
        self.run();
    }

    /// The connection that serves the exchange; of several, the first attempt's.
    #[must_use]
    pub fn attached(&self) -> Option<usize> {
        self.links.into_iter().flatten().next()
    }

    /// The attempts that have a connection, each with its own.
    fn linked(&self) -> impl Iterator<Item = (AttemptId, usize)> + use<> {
        AttemptId::ALL.into_iter().zip(self.links).filter_map(|(id, link)| Some((id, link?)))
    }

    /// The connection that serves the exchange.
    #[track_caller]
    pub fn upstream_socket(&mut self) -> &mut Socket {
        let attached = self.attached().expect("a connection to a backend");
        &mut self.connections[attached].socket
    }

    /// Bytes that a peer has sent and nobody has read.
    #[must_use]
    pub fn unread(&self, from: Peer) -> usize {
        let connection = |index: usize| self.connections[index].socket.inbox.len();
        match from {
            Peer::Client => self.client.inbox.len(),
            Peer::Upstream => self.attached().map_or(0, connection),
            Peer::Connection(index) => connection(index),
        }
    }

    /// What the client received since it was last asked.
    pub fn client_got(&mut self) -> String {
        let bytes = std::mem::take(&mut self.client.received);
        String::from_utf8(bytes).expect("text")
    }

    /// What the last connection to a backend that got anything received since it was last asked.
    pub fn upstream_got(&mut self) -> String {
        let last = self.connections.iter_mut().rev().find(|c| !c.socket.received.is_empty());
        let bytes = last.map(|c| std::mem::take(&mut c.socket.received)).unwrap_or_default();
        String::from_utf8(bytes).expect("text")
    }

    /// How the client sees its connection end, if it does. The end of the stream is one, although
    /// what the client still sends is read on until it ends its own.
    #[must_use]
    pub fn ending(&self) -> Option<CloseMode> {
        self.over.or(self.client.finished.then_some(CloseMode::Close))
    }

    /// The one row written since it was last asked.
    #[track_caller]
    pub fn row(&mut self) -> Row {
        let rows = self.rows();
        let [row] = rows.as_slice() else { panic!("one row, not {rows:?}") };
        row.clone()
    }

    /// The rows written since it was last asked.
    pub fn rows(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.rows)
    }

    /// Time passes; every deadline on the way is met exactly.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        for _ in 0..MANY_ROUNDS {
            match self.exchange.deadline(&self.settings.timeouts) {
                Some(at) if at <= end && self.over.is_none() => {
                    self.now = self.now.max(at);
                    self.act(Exchange::expired);
                    self.run();
                }
                _ => return self.now = end,
            }
        }
        panic!("a deadline that is never met");
    }

    /// As [`ExchangeHarness::advance`].
    pub fn advance_ms(&mut self, millis: u64) {
        self.advance(Duration::from_millis(millis));
    }

    /// The time of an idle client is up. No request begins by it.
    pub fn close_idle(&mut self) {
        self.act(Exchange::close_idle);
        self.owes_row = false;
        self.run();
    }

    /// Calls the exchange with what a worker lends it.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut Exchange, &mut Context<'_>) -> T) -> T {
        let was_idle = self.exchange.is_idle();
        let mut context = Context {
            now: self.now,
            settings: &self.settings,
            balancer: &mut self.balancer,
            budget: &mut self.budget,
            hedger: &self.hedger,
            queue: &self.queues[0],
            free: &mut self.free,
            headers: &mut self.headers,
            date: DATE.as_bytes(),
            peer: &self.peer,
            phase: match (self.draining, self.leaving) {
                (true, _) => Phase::Draining,
                (false, true) => Phase::Leaving,
                (false, false) => Phase::Serving,
            },
        };
        let result = act(&mut self.exchange, &mut context);
        if was_idle && !self.exchange.is_idle() {
            assert!(!self.owes_row);
            self.owes_row = true;
        }
        let more = self.linked().skip(1).count() * BLOCK_BYTES;
        assert!(self.exchange.held_bytes() <= MOST_HELD_BYTES + more, "it holds too much");
        result
    }
}

impl Drop for ExchangeHarness {
    /// However a test leaves it, the request in flight gets its row and no lease is left.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.client_ends(StreamEnd::Reset);
        assert!(!self.owes_row, "a request without a row");
        assert!(self.over.is_some(), "the client's connection outlives the client");
        for backend in 0..self.servers.len() {
            assert_eq!(self.in_flight(backend), 0, "a lease was not released");
        }
        let open = self.connections.iter().filter(|connection| !connection.is_over()).count();
        let pooled: usize = self.servers.iter().map(|server| server.pool.len()).sum();
        assert_eq!(open, pooled, "a backend's connection was forgotten");
        assert!(self.queues[0].is_empty(), "a place in the queue was not given up");
    }
}
