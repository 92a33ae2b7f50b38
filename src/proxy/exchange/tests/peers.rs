//! Who the rig talks to, and the rows it has collected.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::*;
use super::judge;

/// A peer's connection as the proxy sees it.
#[derive(Debug)]
pub(super) struct Socket {
    /// What the peer has sent and the proxy has not read.
    pub(super) inbox: VecDeque<u8>,
    /// How its stream ends behind that.
    pub(super) end: Option<Closing>,
    /// What it has received.
    pub(super) received: Vec<u8>,
    /// Whether the proxy has ended its own stream.
    pub(super) finished: bool,
    /// Bytes it still takes.
    pub(super) window: usize,
    /// Whether writes to it fail.
    pub(super) broken: bool,
}

impl Default for Socket {
    fn default() -> Self {
        Self {
            inbox: VecDeque::new(),
            end: None,
            received: Vec::new(),
            finished: false,
            window: usize::MAX,
            broken: false,
        }
    }
}

/// What comes of a connect to one address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Dial {
    Answers,
    Hangs,
    Refuses,
    NoRoute,
    /// This host can't even try.
    NoResources,
}

/// A connection to a backend.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) backend: usize,
    /// The place of the backend's address that it is made to; none once it is made.
    pub(super) step: Option<usize>,
    pub(super) closed: bool,
}

/// A backend: its addresses, and idle connections to it.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) dials: Vec<Dial>,
    pub(super) pool: Vec<usize>,
}

/// A row, kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) backend: Option<u16>,
    pub(super) status: u16,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) latency: Option<Duration>,
    pub(super) connect: Option<Duration>,
    pub(super) first_byte: Option<Duration>,
    pub(super) attempts: u32,
    pub(super) fault: Option<&'static str>,
}

impl Row {
    pub(super) fn of(record: &Record<'_>) -> Self {
        Self {
            backend: record.backend,
            status: record.status,
            method: judge::text(record.method),
            path: judge::text(record.path),
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
            latency: record.latency,
            connect: record.connect,
            first_byte: record.first_byte,
            attempts: record.attempts,
            fault: record.fault,
        }
    }
}
