//! What a row says of a request. Each column is described once, in the table below: its name and
//! meaning, how it is written and read, and which fact it tells. From the table come the header,
//! the rows that are written, the rows that are read back, and the table in the documentation.
//!
//! The first five columns are a public contract, and other tools write them alone; so readers find
//! the columns by the header and go without the others. New columns go behind the others. What a
//! worker knows of a request is a [`Record`]; if a new column tells what is in none yet, that gets
//! a field for it.

use std::time::{Duration, Instant};

use super::batch::Cells;
use super::clock::Clock;
use super::error::RowError;
use super::from_cell::FromCell;
use super::layout::Layout;
use super::line::Line;
use super::to_cell::{Escaped, ToCell};
use crate::endpoint::Client;

/// How many of [`COLUMNS`], from the first, every log of this format has.
pub const CONTRACT_COLUMNS: usize = 5;

/// Longer names of backends are cut in the log.
pub(super) const BACKEND_BYTES_MAX: usize = 2048;

/// Longer methods are cut in the log.
pub const METHOD_BYTES_MAX: usize = 64;

/// Longer paths are cut in the log.
pub const PATH_BYTES_MAX: usize = 2048;

/// What the column `probe` says of a request that only asked whether the proxy is there.
pub const HEALTH_PROBE: &str = "health";

/// A column of the log.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in the header.
    pub name: &'static str,
    /// The unit or form of its values; empty where that needs no word.
    pub unit: &'static str,
    /// What it says of a request, as a sentence in Markdown.
    pub says: &'static str,
}

/// Takes for each column what it says, its name and unit, the field that it is read into, and the
/// fact that is written.
macro_rules! columns {
    ($($(#[doc = $says:literal])+
        $name:ident($unit:literal) => $field:ident: $type:ty = $fact:expr;)+) => {
        /// The columns in order.
        pub const COLUMNS: [Column; [$(stringify!($name)),+].len()] = [$(Column {
            name: stringify!($name),
            unit: $unit,
            says: concat!($($says),+).trim_ascii(),
        }),+];

        /// One row as it is read. What a five-column log does not have, and what is empty, is
        /// `None`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Row<'a> {
            $($(#[doc = $says])+ pub $field: $type,)+
        }

        impl<'a> Row<'a> {
            /// Reads one row of a log with this layout.
            ///
            /// A row needs nothing but its time, which may have any form; any other field that
            /// can't be read is taken for missing, because it belongs to a request that was made.
            pub(super) fn parse(layout: &Layout, line: Line<'a>) -> Result<Self, RowError> {
                let mut cells = layout.cells(line);
                Ok(Self { $($field: FromCell::from_cell(cells.next())?),+ })
            }
        }

        impl Facts<'_> {
            /// Writes the cells of the request's row.
            pub(super) fn write(&self, cells: &mut Cells<'_>) {
                $(self.fact($fact).to_cell(cells);)+
            }
        }
    };
}

columns! {
    /// When the request ended.
    timestamp("RFC 3339, UTC, microseconds") => timestamp_us: i64 =
        |of| of.clock.timestamp_us(of.record.ended);
    /// The backend as configured; empty if the request was never dispatched.
    backend_url("") => backend_url: Option<&'a str> = |of| of.backend;
    /// From dispatch to the backend's last byte; empty if never dispatched.
    latency_ms("ms, three decimals") => latency: Option<Duration> = |of| of.record.latency;
    /// What was sent to the client; 499 if it left first.
    status_code("") => status: Option<u16> = |of| of.record.status;
    /// The policy.
    routing_mode("") => routing_mode: &'a str = |of| &of.run.routing_mode;
    /// `persistent` or `non-persistent`.
    connection("") => connection: Option<&'a str> = |of| &of.run.connection;
    /// The event loop that served it, from 0.
    worker("") => worker: Option<usize> = |of| of.worker;
    /// Its address and port, or `unix:` if it came over a Unix socket; behind a trusted proxy, what
    /// that proxy sent, with port 0 if it sent none.
    client("") => client: Option<Client> = |of| of.record.client;
    /// As received, up to 64 bytes; unprintable bytes are percent-encoded.
    method("") => method: Option<&'a [u8]> = |of| of.method;
    /// As received, up to 2048 bytes; unprintable bytes are percent-encoded.
    path("") => path: Option<&'a [u8]> = |of| of.path;
    /// Received from the client, head included.
    request_bytes("bytes") => request_bytes: Option<u64> = |of| of.record.request_bytes;
    /// Sent to the client, head included.
    response_bytes("bytes") => response_bytes: Option<u64> = |of| of.record.response_bytes;
    /// Time to connect of the last attempt: 0.000 if it connected at once, empty if the connection
    /// came from the pool.
    connect_ms("ms, three decimals") => connect: Option<Duration> = |of| of.record.connect;
    /// Of the last attempt: the time to connect plus the time from the last byte of the request to
    /// the first byte of the answer; the policies learn from this figure.
    first_byte_ms("ms, three decimals") => first_byte: Option<Duration> = |of| of.record.first_byte;
    /// Connections asked for, to all backends together.
    attempts("") => attempts: Option<u32> = |of| of.record.attempts;
    /// The cause of a failure, in a word such as `connect_refused` or `response_head_too_large`;
    /// empty if there was none.
    fault("") => fault: Option<&'a str> = |of| of.record.fault;
    /// `health` for a request of `--health`, recognised by `User-Agent: tidegate-health`; else
    /// empty.
    probe("") => probe: Option<&'a str> = |of| of.record.is_probe.then_some(HEALTH_PROBE);
    /// When the request was dispatched, which is when a backend was first chosen for it; empty if
    /// never dispatched.
    started("RFC 3339, UTC, microseconds") => started_us: Option<i64> =
        |of| of.record.dispatched.map(|at| of.clock.timestamp_us(at));
    /// Requests in flight at the backend when it was chosen, this one included, and tunnels not;
    /// empty if never dispatched.
    in_flight("") => in_flight: Option<u32> = |of| of.record.in_flight;
    /// Why the backend was chosen, in one of the words below; empty if never dispatched.
    reason("") => reason: Option<&'a str> = |of| of.record.reason;
    /// How long it waited because all backends were at their limits (`--queue`); empty if it did
    /// not. It is part of no other figure, unless it waited between two attempts.
    queue_ms("ms, three decimals") => queue: Option<Duration> = |of| of.record.queue;
    /// Of a request that got a second attempt while the first one was silent (`--hedge`): `won` if
    /// that answered first, `lost` if another one did or it failed; empty if it came to neither,
    /// because the client left or the proxy stopped, and for others.
    hedge("") => hedge: Option<&'a str> = |of| of.record.hedge.map(Hedge::name);
    /// The backend of that attempt; of several, of the one that won or else of the last.
    hedge_backend_url("") => hedge_backend_url: Option<&'a str> = |of| of.hedge_backend;
}

/// The header row with its line end.
#[must_use]
pub fn header() -> String {
    COLUMNS.map(|column| column.name).join(",") + "\n"
}

impl Row<'_> {
    /// Whether the request counts as an error: 4xx, 5xx, no status, or a fault. Tools that leave
    /// the status out do so where no answer came.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.status.is_none_or(|status| status >= 400) || self.fault.is_some()
    }

    /// Whether the request only asked if the proxy is there. It has no part in counts, spans and
    /// estimates, which are to tell of the load.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.probe == Some(HEALTH_PROBE)
    }
}

/// What the columns tell of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// Without its texts, which follow.
    pub(super) record: &'a Record<'static>,
    pub(super) backend: Option<&'a [u8]>,
    pub(super) hedge_backend: &'a [u8],
    pub(super) method: &'a [u8],
    pub(super) path: &'a [u8],
    /// The number of the worker that served it.
    pub(super) worker: usize,
    pub(super) run: &'a Run,
    pub(super) clock: Clock,
}

impl<'a> Facts<'a> {
    /// The facts of a record, given its texts.
    #[inline]
    pub(super) fn new(
        record: &'a Record<'static>,
        [backend, hedge_backend, method, path]: [&'a [u8]; TEXTS],
        worker: usize,
        run: &'a Run,
        clock: Clock,
    ) -> Self {
        let backend = record.backend.map(|_| backend);
        Self { record, backend, hedge_backend, method, path, worker, run, clock }
    }

    fn fact<T: ToCell>(&'a self, fact: impl FnOnce(&'a Self) -> T) -> T {
        fact(self)
    }
}

/// What is the same in every row of a run.
#[derive(Debug)]
pub(super) struct Run {
    routing_mode: Escaped,
    connection: Escaped,
}

impl Run {
    pub(super) fn new(routing_mode: &str, connection: &str) -> Self {
        Self { routing_mode: Escaped::new(routing_mode), connection: Escaped::new(connection) }
    }
}

/// One ended request as a worker knows it. Borrowed: nothing is allocated per request.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When the request ended.
    pub ended: Instant,
    /// Where it came from.
    pub client: Client,
    /// The name of the backend it was dispatched to last, if it was dispatched.
    pub backend: Option<&'a str>,
    /// The status sent to the client, 499 if it left first.
    pub status: u16,
    /// The method as it came; of more than [`METHOD_BYTES_MAX`] bytes the first ones are logged.
    pub method: &'a [u8],
    /// The target as it came; of more than [`PATH_BYTES_MAX`] bytes the first ones are logged.
    pub path: &'a [u8],
    /// Bytes of the request that came from the client.
    pub request_bytes: u64,
    /// Bytes of the response that went to the client.
    pub response_bytes: u64,
    /// From dispatch to the upstream's last byte, if it was dispatched.
    pub latency: Option<Duration>,
    /// From the start of the last attempt to its connection, if one was made for it.
    pub connect: Option<Duration>,
    /// How long the backend of the last attempt took to the first byte of its response: the sample
    /// that policies learn.
    pub first_byte: Option<Duration>,
    /// How many connections to backends were asked for, pooled ones included.
    pub attempts: u32,
    /// The label of what went wrong, if anything did.
    pub fault: Option<&'static str>,
    /// Whether it only asked if the proxy is there.
    pub is_probe: bool,
    /// When a backend was first chosen, if one was.
    pub dispatched: Option<Instant>,
    /// How many requests the backend had in flight when it was chosen, this one included.
    pub in_flight: Option<u32>,
    /// Why the backend was chosen, in a word.
    pub reason: Option<&'static str>,
    /// How long it waited because all backends were at their limits, if it did.
    pub queue: Option<Duration>,
    /// What became of the attempts that were made beside silent ones, if there were any.
    pub hedge: Option<Hedge>,
    /// The name of the backend of the one of them that won, else of the last; else empty.
    pub hedge_backend: &'a str,
}

/// What became of attempts that were made beside silent ones.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hedge {
    /// One of them was answered first.
    Won,
    /// None was.
    Lost,
}

impl Hedge {
    /// The word in the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }
}

impl Record<'static> {
    /// A request of which nothing is known but when it ended.
    #[must_use]
    pub fn new(ended: Instant) -> Self {
        Self {
            ended,
            client: Client::Unix,
            backend: None,
            status: 0,
            method: b"",
            path: b"",
            request_bytes: 0,
            response_bytes: 0,
            latency: None,
            connect: None,
            first_byte: None,
            attempts: 0,
            fault: None,
            is_probe: false,
            dispatched: None,
            in_flight: None,
            reason: None,
            queue: None,
            hedge: None,
            hedge_backend: "",
        }
    }
}

/// The texts of a record, which travel to the writer thread beside it.
pub(super) const TEXTS: usize = 4;

impl<'a> Record<'a> {
    /// The record without its texts, and the texts.
    pub(super) fn split(&self) -> (Record<'static>, [&'a [u8]; TEXTS]) {
        let record = Record {
            ended: self.ended,
            client: self.client,
            backend: self.backend.map(|_| ""),
            status: self.status,
            method: b"",
            path: b"",
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            latency: self.latency,
            connect: self.connect,
            first_byte: self.first_byte,
            attempts: self.attempts,
            fault: self.fault,
            is_probe: self.is_probe,
            dispatched: self.dispatched,
            in_flight: self.in_flight,
            reason: self.reason,
            queue: self.queue,
            hedge: self.hedge,
            hedge_backend: "",
        };
        let backend = first(self.backend.unwrap_or_default().as_bytes(), BACKEND_BYTES_MAX);
        let hedge_backend = first(self.hedge_backend.as_bytes(), BACKEND_BYTES_MAX);
        let [method, path] = [(self.method, METHOD_BYTES_MAX), (self.path, PATH_BYTES_MAX)]
            .map(|(text, count)| first(text, count));
        (record, [backend, hedge_backend, method, path])
    }
}

fn first(text: &[u8], count: usize) -> &[u8] {
    &text[..text.len().min(count)]
}

#[cfg(test)]
mod tests;
