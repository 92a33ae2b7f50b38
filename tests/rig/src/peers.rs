//! What a rig stands between: sockets and backends that do as they are told, the rows it writes,
//! and the settings it runs by.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tidegate::balance::Policy;
use tidegate::journal::{Hedge, Record};
use tidegate::proxy;
use tidegate::proxy::exchange::StreamEnd;
use tidegate::proxy::settings::{Limits, Settings, Timeouts};

/// Whose bytes are meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// The client.
    Client,
    /// The backend in use; of several, the first attempt's.
    Upstream,
    /// The backend behind a connection, by its place among all that were made.
    Connection(usize),
}

/// A peer's connection as the proxy sees it.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one connection")]
pub struct Socket {
    /// What the peer has sent and the proxy has not read.
    pub inbox: VecDeque<u8>,
    /// How its stream ends behind that.
    pub end: Option<StreamEnd>,
    /// Whether that was read.
    pub ended: bool,
    /// What it has received.
    pub received: Vec<u8>,
    /// Whether the proxy has ended its own stream.
    pub finished: bool,
    /// Bytes it still takes.
    pub window: usize,
    /// Whether writes to it fail.
    pub broken: bool,
    /// Whether the last bytes sent to it took the end of the stream with them.
    pub ended_by_bytes: bool,
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            inbox: VecDeque::new(),
            end: None,
            ended: false,
            received: Vec::new(),
            finished: false,
            window: usize::MAX,
            broken: false,
            ended_by_bytes: false,
        }
    }
}

/// What comes of a connect to one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dial {
    /// A connection.
    Answers,
    /// Nothing.
    Hangs,
    /// A refusal.
    Refuses,
    /// There is no way to it.
    NoRoute,
    /// This host can't even try.
    NoResources,
}

/// The bytes of one direction of a connection, and for which request each run of them went.
#[derive(Debug, Default)]
pub struct Log {
    bytes: Vec<u8>,
    /// The place of a request in its connection to the client, and where its run begins.
    starts: Vec<(usize, usize)>,
}

impl Log {
    pub(crate) fn extend(&mut self, request: usize, bytes: &[u8]) {
        if self.starts.last().is_none_or(|(last, _)| *last != request) {
            self.starts.push((request, self.bytes.len()));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The requests, and the bytes that went for each of them.
    pub fn runs(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let ends = self.starts.iter().skip(1).map(|(_, start)| *start).chain([self.bytes.len()]);
        self.starts.iter().zip(ends).map(|((request, start), end)| {
            let run = &self.bytes[*start..end];
            (*request, run)
        })
    }
}

/// A connection to a backend.
#[derive(Debug)]
pub struct Connection {
    /// Its two streams.
    pub socket: Socket,
    /// The backend it leads to.
    pub backend: usize,
    /// The place of the backend's address that it is made to; none once it is made.
    pub step: Option<usize>,
    /// Until when it may rest, once it came to that.
    pub idle_until: Option<Instant>,
    /// Whether the proxy has closed it.
    pub closed: bool,
    /// Whether it was closed by a reset, which frees its port at once.
    pub reset: bool,
    /// Whether the answer is only read to be dropped, because the attempt was cancelled.
    pub discarded: bool,
    /// What it received.
    pub asked: Log,
    /// What was read from it.
    pub answered: Log,
}

impl Connection {
    /// One that is made by the `step`th address of a backend, or that was made before.
    pub(crate) fn new(backend: usize, step: Option<usize>) -> Self {
        Self {
            socket: Socket::default(),
            backend,
            step,
            idle_until: None,
            closed: false,
            reset: false,
            discarded: false,
            asked: Log::default(),
            answered: Log::default(),
        }
    }

    /// Whether no attempt of the exchange has it, nor will have it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.closed || self.discarded
    }
}

/// A backend: its addresses, and idle connections to it.
#[derive(Debug)]
pub struct Server {
    /// What comes of a connect to each of its addresses.
    pub dials: Vec<Dial>,
    /// Idle connections, the one used last at the end.
    pub pool: Vec<usize>,
}

/// The port of the first backend; those of the others follow.
const FIRST_PORT: u16 = 8081;

/// A row, kept; see [`Record`].
#[expect(missing_docs, reason = "`Record` says it for each")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub backend: Option<u16>,
    pub status: u16,
    pub method: String,
    pub path: String,
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub latency: Option<Duration>,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub attempts: u32,
    pub fault: Option<&'static str>,
    pub is_probe: bool,
    pub queue: Option<Duration>,
    pub hedge: Option<&'static str>,
    pub hedge_backend: Option<u16>,
}

impl Row {
    /// Keeps it.
    #[must_use]
    pub fn of(record: &Record<'_>) -> Self {
        Self {
            backend: record.backend.map(place),
            status: record.status,
            method: text(record.method),
            path: text(record.path),
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            latency: record.latency,
            connect: record.connect,
            first_byte: record.first_byte,
            attempts: record.attempts,
            fault: record.fault,
            is_probe: record.is_probe,
            queue: record.queue,
            hedge: record.hedge.map(Hedge::name),
            hedge_backend: Some(record.hedge_backend).filter(|it| !it.is_empty()).map(place),
        }
    }
}

/// The name of a backend, by its place.
pub(crate) fn name(place: usize) -> String {
    format!("http://b:{}", usize::from(FIRST_PORT) + place)
}

/// The place of a backend, which the port in its name tells.
fn place(name: &str) -> u16 {
    let port = name.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    port.and_then(|port| port.checked_sub(FIRST_PORT)).expect("a backend of this harness")
}

/// Each byte as the character of its number.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// A client, as the log names it.
#[must_use]
pub fn peer(client: &str) -> proxy::Peer {
    proxy::Peer::new(client.parse().expect("a client"))
}

/// The defaults, but with timeouts that can be told from each other.
#[must_use]
pub fn settings(policy: Policy) -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        policy,
        timeouts: Timeouts {
            response: Some(seconds(10)),
            stream: Some(seconds(20)),
            tunnel: Some(seconds(75)),
            header: seconds(5),
            client_idle: seconds(70),
            drain: seconds(10),
            ..Timeouts::default()
        },
        limits: Limits { headers: 100, ..Limits::default() },
        ..Settings::default()
    }
}
