//! What a rig stands between: sockets and backends that do as they are told, the rows it writes,
//! and the settings it runs by.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use super::super::*;
use super::judge;
use crate::balance::Policy;
use crate::proxy::settings::{Limits, Settings, Timeouts, Upstream};

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
    /// Closed so that its port is free at once.
    pub(super) reset: bool,
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

/// Defaults like those of the flags, and timeouts that can be told from each other.
pub(super) fn settings(backends: usize, policy: Policy) -> Settings {
    let upstream = |index| {
        let port = 8081 + index;
        Upstream { url: format!("http://b:{port}"), host: "b".to_owned(), port }
    };
    let seconds = Duration::from_secs;
    Settings {
        policy,
        connections: Connections::Persistent,
        listen: Vec::new(),
        upstreams: (0..u16::try_from(backends).expect("few")).map(upstream).collect(),
        workers: 1,
        cores: Vec::new(),
        resample_after: None,
        cooldown: Duration::from_millis(500),
        cooldown_max: seconds(5),
        timeouts: Timeouts {
            connect: seconds(1),
            response: seconds(10),
            header: seconds(5),
            body: seconds(30),
            client_idle: seconds(75),
            upstream_idle: seconds(30),
            drain: seconds(10),
        },
        limits: Limits {
            head_bytes: 16 * 1024,
            headers: 100,
            body_bytes: None,
            connections: 10_240,
            pool: 256,
            attempts: 3,
            retry_percent: 20,
            body_rate: NonZeroU64::new(10),
        },
        verbose: false,
    }
}
