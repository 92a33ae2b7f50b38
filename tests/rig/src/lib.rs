//! A worker and both of its peers without a socket: the exchange is driven as the worker drives it,
//! and everything it must never do is checked while it happens.
//!
//! It sees of the exchange no more than a worker does.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "panicking is what it is for")]

use std::time::{Duration, Instant};

use tidegate::balance::{BackendId, Balancer, Membership, Options, Policy};
use tidegate::buffer::{BLOCK_BYTES, FreeList};
use tidegate::endpoint::Client;
use tidegate::http::Headers;
use tidegate::proxy::Peer;
use tidegate::proxy::budget::RetryBudget;
use tidegate::proxy::exchange::{
    CloseMode, ConnectFailure, Context, Exchange, Phase, Side, StreamEnd,
};
use tidegate::proxy::settings::{Backend, Settings};

mod actions;
mod backends;
mod peers;

pub use peers::{Connection, Dial, Log, Row, Server, Socket, settings};

/// The date on which everything happens.
pub const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

/// A client, as the log names it.
#[must_use]
pub fn peer(client: &str) -> Peer {
    Peer::new(client.parse().expect("a client"))
}

/// Rounds after which an exchange that still moves is taken to move for ever.
const MANY_ROUNDS: usize = 1_000_000;

/// Most that an exchange may hold, whatever the peers do: a block and as much again for each
/// direction, and a head.
const MOST_HELD_BYTES: usize = 5 * BLOCK_BYTES;

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
    free: FreeList,
    headers: Headers,
    /// The client.
    pub peer: Peer,
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
    /// Which of them serves the exchange.
    pub attached: Option<usize>,
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
        let settings = settings(backends, policy);
        let options = Options {
            policy,
            resample_after: None,
            cooldown: settings.cooldown,
            cooldown_max: settings.cooldown_max,
            probe_timeout: settings.probe_timeout,
            ..Options::default()
        };
        let mut membership = Membership::new(options, now).expect("valid options");
        let mut add = |backend: &Backend| membership.add(&backend.url).expect("a slot");
        let ids = settings.backends.iter().map(&mut add).collect();
        let server = || Server { dials: vec![Dial::Answers], pool: Vec::new() };
        Self {
            exchange: Exchange::new(now),
            headers: Headers::new(settings.limits.headers),
            settings,
            balancer: membership.balancer(),
            membership,
            ids,
            budget: RetryBudget::new(20, now),
            free: FreeList::default(),
            peer: peer("192.0.2.7:4711"),
            now,
            draining: false,
            leaving: false,
            client: Socket::default(),
            servers: std::iter::repeat_with(server).take(backends).collect(),
            connections: Vec::new(),
            attached: None,
            kept: None,
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
    pub fn arrive(&mut self, from: Side, bytes: &[u8]) {
        match from {
            Side::Client => self.client.inbox.extend(bytes),
            Side::Upstream => self.upstream_socket().inbox.extend(bytes),
        }
    }

    /// The client sends.
    pub fn client(&mut self, bytes: impl AsRef<[u8]>) {
        self.arrive(Side::Client, bytes.as_ref());
        self.run();
    }

    /// The backend in use sends.
    #[track_caller]
    pub fn upstream(&mut self, bytes: impl AsRef<[u8]>) {
        self.arrive(Side::Upstream, bytes.as_ref());
        self.run();
    }

    /// The client's stream ends, or takes no more.
    pub fn client_ends(&mut self, how: StreamEnd) {
        match how {
            StreamEnd::WriteFailed => self.client.broken = true,
            _ => self.client.end = Some(how),
        }
        self.run();
    }

    /// The stream of the backend in use ends, or takes no more.
    #[track_caller]
    pub fn upstream_ends(&mut self, how: StreamEnd) {
        let socket = self.upstream_socket();
        match how {
            StreamEnd::WriteFailed => socket.broken = true,
            _ => socket.end = Some(how),
        }
        self.run();
    }

    /// The connection that serves the exchange.
    #[track_caller]
    pub fn upstream_socket(&mut self) -> &mut Socket {
        let attached = self.attached.expect("a connection to a backend");
        &mut self.connections[attached].socket
    }

    /// Bytes that a peer has sent and nobody has read.
    #[must_use]
    pub fn unread(&self, side: Side) -> usize {
        match (side, self.attached) {
            (Side::Client, _) => self.client.inbox.len(),
            (Side::Upstream, Some(attached)) => self.connections[attached].socket.inbox.len(),
            (Side::Upstream, None) => 0,
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
        assert!(self.exchange.held_bytes() <= MOST_HELD_BYTES, "it holds too much");
        result
    }

    /// Moves everything that can be moved.
    pub fn run(&mut self) {
        for _ in 0..MANY_ROUNDS {
            if !self.round() {
                return;
            }
        }
        panic!("it never rests");
    }

    /// One round of the worker; whether anything moved.
    pub fn round(&mut self) -> bool {
        if self.over.is_some() {
            return false;
        }
        let left = match self.client.end {
            Some(StreamEnd::Finished) => self.exchange.ends_with_client(&self.settings),
            end => end == Some(StreamEnd::Reset),
        };
        let moved = if left {
            self.act(|exchange, context| exchange.closed(Side::Client, StreamEnd::Reset, context));
            true
        } else {
            let received = self.receive(Side::Client);
            let upstream = self.send_upstream() | self.receive(Side::Upstream);
            received | upstream | self.send(Side::Client)
        };
        let demanded = self.run_actions();
        if self.client.ended_by_bytes {
            assert!(self.client.finished || self.over.is_some(), "ended without being told to");
        }
        if self.over.is_none() && self.exchange.is_untouched() && !(moved || demanded) {
            // A worker keeps no exchange for an idle client.
            self.exchange.reset(self.now);
            self.exchange.release_buffers(&mut self.free);
            assert_eq!(self.exchange.held_bytes(), 0, "an idle client costs memory");
        }
        moved || demanded
    }

    fn socket(&mut self, side: Side) -> Option<&mut Socket> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Upstream => {
                let connection = &mut self.connections[self.attached?];
                connection.step.is_none().then_some(&mut connection.socket)
            }
        }
    }

    fn receive(&mut self, side: Side) -> bool {
        let nothing_new = |socket: &Socket| socket.inbox.is_empty() && socket.end.is_none();
        if self.socket(side).is_none_or(|socket| nothing_new(socket)) {
            return false;
        }
        let space = self.exchange.space(side, &mut self.free);
        if space.is_empty() {
            return false;
        }
        let attached = self.attached.map(|attached| &mut self.connections[attached]);
        let (socket, log) = match (side, attached) {
            (Side::Upstream, Some(connection)) => {
                (&mut connection.socket, Some(&mut connection.answered))
            }
            _ => (&mut self.client, None),
        };
        let count = space.len().min(socket.inbox.len());
        for (byte, sent) in space.iter_mut().zip(socket.inbox.drain(..count)) {
            *byte = sent;
        }
        if let Some(log) = log {
            log.extend(self.rows_written, &space[..count]);
        }
        if count > 0 {
            let was_idle = self.exchange.is_idle();
            if let Some((_, backend)) = self.own_connection().filter(|_| was_idle) {
                self.exchange.kept(backend);
            }
            self.act(|exchange, context| exchange.filled(side, count, context));
        } else if let Some(how) = socket.end {
            if how == StreamEnd::Finished {
                // An end is read once, an error as often as one asks.
                (socket.end, socket.ended) = (None, true);
            }
            self.act(|exchange, context| exchange.closed(side, how, context));
        }
        true
    }

    fn send(&mut self, side: Side) -> bool {
        let most = self.write_bytes;
        let Some(window) = self.socket(side).map(|socket| socket.window) else { return false };
        let [first, second] = self.exchange.pending(side);
        let count = (first.len() + second.len()).min(most).min(window);
        let of_first = count.min(first.len());
        let bytes = [&first[..of_first], &second[..count - of_first]].concat();
        let is_all = count == first.len() + second.len();
        let ended_by_bytes = is_all && side == Side::Client && self.exchange.ends_client();
        let Some(socket) = self.socket(side).filter(|_| count > 0) else { return false };
        let is_ended = socket.finished || socket.ended_by_bytes;
        assert!(!is_ended, "{side:?} is sent bytes behind the end");
        if std::mem::take(&mut socket.broken) {
            self.act(|exchange, context| exchange.closed(side, StreamEnd::WriteFailed, context));
            return true;
        }
        socket.ended_by_bytes = ended_by_bytes;
        socket.received.extend_from_slice(&bytes);
        if socket.window != usize::MAX {
            socket.window -= count;
        }
        if let (Side::Upstream, Some(attached)) = (side, self.attached) {
            self.connections[attached].asked.extend(self.rows_written, &bytes);
        }
        self.act(|exchange, context| exchange.drained(side, count, context));
        true
    }

    /// The first byte that a new connection takes proves that it was made.
    fn send_upstream(&mut self) -> bool {
        let Some(attached) = self.attached else { return false };
        let connection = &mut self.connections[attached];
        if let Some(step) = connection.step {
            // An address that went while others were tried has nobody behind it.
            let dials = &self.servers[connection.backend].dials;
            match dials.get(step).copied().unwrap_or(Dial::Refuses) {
                // Until it has taken a byte, a connection can't be told from one not yet made.
                Dial::Answers if connection.socket.window > 0 => connection.step = None,
                Dial::Answers | Dial::Hangs => return false,
                Dial::Refuses => return self.connect_failed(ConnectFailure::Refused),
                Dial::NoRoute => return self.connect_failed(ConnectFailure::Unreachable),
                Dial::NoResources => return self.connect_failed(ConnectFailure::ResourceExhausted),
            }
        }
        self.send(Side::Upstream)
    }

    fn connect_failed(&mut self, failure: ConnectFailure) -> bool {
        let attached = self.attached.take().expect("a connection being made");
        let connection = &mut self.connections[attached];
        connection.closed = true;
        let (backend, step) = (connection.backend, connection.step.expect("not made yet") + 1);
        if step < self.servers[backend].dials.len() && failure != ConnectFailure::ResourceExhausted
        {
            self.open(backend, step);
        } else {
            self.act(|exchange, context| exchange.unreachable(failure, context));
        }
        true
    }

    fn open(&mut self, backend: usize, step: usize) {
        self.attached = Some(self.connections.len());
        self.connections.push(Connection::new(backend, Some(step)));
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
        let open = self.connections.iter().filter(|connection| !connection.closed).count();
        let pooled: usize = self.servers.iter().map(|server| server.pool.len()).sum();
        assert_eq!(open, pooled, "a backend's connection was forgotten");
    }
}
