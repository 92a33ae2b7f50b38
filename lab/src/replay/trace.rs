//! What a replay keeps of a log: one small row per request, in the order of their dispatch.

use tidegate::balance::Policy;

use crate::fleet::time::Time;
use crate::scenario::Proxies;

/// In place of a backend or a client of which nothing is known.
pub(crate) const UNKNOWN_BACKEND: u16 = u16::MAX;
pub(crate) const UNKNOWN_CLIENT: u32 = u32::MAX;

/// How a request ended.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// With an answer of its backend that is none of the following.
    Answered,
    /// With a 5xx or 429 of its backend, or an answer that broke off.
    Failed,
    /// No connection could be made, or it was lost before an answer.
    Refused,
    /// Without an answer in time.
    TimedOut,
    /// The client left first.
    Left,
    /// No backend took it.
    NoBackend,
}

/// One request. A million of them are to fit into memory several times.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    /// When it was dispatched, in microseconds after the first of the log.
    pub(crate) start_us: u64,
    /// From then to its end.
    pub(crate) latency_us: u32,
    /// How long its last attempt took of that.
    pub(crate) attempt_us: u32,
    pub(crate) client: u32,
    pub(crate) backend: u16,
    pub(crate) status: u16,
    pub(crate) class: u8,
    pub(crate) attempts: u8,
    pub(crate) proxy: u8,
    pub(crate) worker: u8,
    pub(crate) end: End,
}

impl Row {
    pub(crate) fn end_us(&self) -> u64 {
        self.start_us + u64::from(self.latency_us)
    }

    /// When its last attempt began.
    pub(crate) fn attempt_start_us(&self) -> u64 {
        self.end_us() - u64::from(self.attempt_us)
    }

    pub(crate) fn is_error(&self) -> bool {
        self.status >= 400 || !matches!(self.end, End::Answered)
    }
}

/// In nanoseconds.
pub(crate) fn time(us: u64) -> Time {
    us * 1000
}

/// How the instants of a log are known.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub(crate) enum Clock {
    /// Each row says when its request was dispatched.
    #[default]
    Started,
    /// It is the time of the end without the latency.
    Ended,
    /// The same, and times are in whole seconds, so requests are spread over them.
    WholeSeconds,
}

/// What was read past.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LeftOut {
    /// Lines that are no rows.
    pub(crate) broken: u64,
    /// What is wrong with the first of them.
    pub(crate) first_broken: Option<String>,
    /// Requests of which the log does not say when they were dispatched, or how long they took.
    pub(crate) undispatched: u64,
    /// Health checks of the proxy itself.
    pub(crate) probes: u64,
    /// Rows with implausible times.
    pub(crate) outliers: u64,
    /// The last ones, because others that came then are missing.
    pub(crate) last: u64,
    /// Tunnels: they last as long as their clients want.
    pub(crate) tunnels: u64,
}

/// A backend of a log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) url: String,
    pub(crate) weight: Option<u32>,
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) is_backup: bool,
}

impl Member {
    pub(crate) fn new(url: &str) -> Self {
        Self { url: url.to_owned(), weight: None, max_in_flight: None, is_backup: false }
    }
}

/// What a log says.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) rows: Vec<Row>,
    pub(crate) backends: Vec<Member>,
    /// The names of the kinds of requests.
    pub(crate) classes: Vec<String>,
    /// Connections of clients.
    pub(crate) clients: u32,
    pub(crate) policy: Policy,
    pub(crate) proxies: Proxies,
    pub(crate) clock: Clock,
    pub(crate) left_out: LeftOut,
    /// Whether `<log>.meta.json` said how the proxy was configured.
    pub(crate) has_settings: bool,
}

impl Trace {
    /// Its length, from the first dispatch to the last.
    pub(crate) fn length_us(&self) -> u64 {
        self.rows.last().map_or(0, |row| row.start_us)
    }
}
