//! One check without its socket: what is sent, what the response means, and how long it may take.
//!
//! Only the status decides. So the head is parsed as that of any response, with the same limits,
//! and the body is received and dropped, whatever its framing. It is received at all because
//! closing a socket with unread bytes resets the connection, which some servers log as an error;
//! and only up to a limit, because an endless body is no reason to keep a connection.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::exchange::ConnectFailure;
use super::super::fault::Fault;
use super::super::settings::{Backend, Settings};
use super::super::statuses::Statuses;
use crate::http::{Asked, HeadError, HeadSearch, Headers, Method, parse_response};

/// How many bytes are received behind the head.
const DROPPED_BYTES_MAX: usize = 64 * 1024;

/// The result of a check that could be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    Passed,
    /// The response has a status that is not expected.
    Status(u16),
    /// There is no response, or no valid one.
    Faulty(Fault),
}

impl Finding {
    /// Whether the check passed; if not, the word for what went wrong.
    pub(super) fn result(self) -> Result<(), &'static str> {
        match self {
            Self::Passed => Ok(()),
            Self::Status(_) => Err("status"),
            Self::Faulty(fault) => Err(fault.label()),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("passed"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Faulty(fault) => f.write_str(fault.label()),
        }
    }
}

/// What follows when time has passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expiry {
    /// Nothing: its time is not over.
    NotYet,
    /// Connecting to this address took too long.
    Connect,
    /// The check has failed with this fault.
    Failed(Fault),
    /// The rest of the response is not waited for any more.
    Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The connection to an address is being made, until this instant.
    Connecting(Instant),
    /// The request is being sent, or its response awaited.
    Asking,
    /// The result is known. Up to so many more bytes are dropped.
    Dropping(usize),
    /// Nothing is left to do.
    Over,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Conversation {
    request: Vec<u8>,
    sent: usize,
    /// The heads received: interim ones, and as much of the final one as has arrived.
    received: Vec<u8>,
    /// Where the head begins whose end is searched.
    head: usize,
    search: HeadSearch,
    headers: Headers,
    /// How long all heads together may be.
    head_bytes: usize,
    expected: Statuses,
    connect: Duration,
    /// When the check's time is over.
    ends: Instant,
    phase: Phase,
}

impl Conversation {
    /// A check of this backend. It has to be connected next.
    pub(super) fn new(backend: &Backend, settings: &Settings, now: Instant) -> Self {
        let Settings { checks, limits, timeouts, .. } = settings;
        Self {
            request: request(checks.path.as_deref().unwrap_or("/"), backend),
            sent: 0,
            received: Vec::new(),
            head: 0,
            search: HeadSearch::response(),
            headers: Headers::new(limits.headers),
            head_bytes: limits.head_bytes,
            expected: checks.statuses.clone(),
            connect: timeouts.connect,
            ends: now + checks.timeout,
            phase: Phase::Connecting(now),
        }
    }

    /// One of the backend's addresses is being connected to.
    pub(super) fn dialling(&mut self, now: Instant) {
        self.phase = Phase::Connecting(self.ends.min(now + self.connect));
    }

    /// Whether the connection is not known to be established.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_))
    }

    /// Whether the result is known, and the rest of the response is being dropped.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.phase, Phase::Dropping(_))
    }

    /// Whether the connection may be closed.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What is still to be sent.
    pub(super) fn pending(&self) -> &[u8] {
        self.request.get(self.sent..).unwrap_or_default()
    }

    /// So many bytes were sent, so the connection is established.
    pub(super) fn sent(&mut self, count: usize) {
        self.sent += count;
        if count > 0 && self.is_connecting() {
            self.phase = Phase::Asking;
        }
    }

    /// The backend sent these bytes. Returns the result, if they decide it.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Option<Finding> {
        match self.phase {
            Phase::Connecting(_) | Phase::Asking => {
                self.received.extend_from_slice(bytes);
                self.read_heads().unwrap_or_else(|error| {
                    self.phase = Phase::Over;
                    Some(Finding::Faulty(Fault::ResponseHead(error)))
                })
            }
            Phase::Dropping(left) => {
                self.drop_bytes(left, bytes.len());
                None
            }
            Phase::Over => None,
        }
    }

    /// Passes over interim responses to the final one.
    fn read_heads(&mut self) -> Result<Option<Finding>, HeadError> {
        loop {
            let bytes = &self.received[self.head..];
            let limit = self.head_bytes.saturating_sub(self.head);
            let Some(end) = self.search.find(bytes, limit)? else { return Ok(None) };
            let asked = Asked { method: Method::Get, protocols: b"" };
            let head = parse_response(&bytes[..end.end], &mut self.headers, asked)?;
            if head.status >= 200 {
                self.drop_bytes(DROPPED_BYTES_MAX, bytes.len() - end.end);
                let is_expected = self.expected.contains(head.status);
                let finding =
                    if is_expected { Finding::Passed } else { Finding::Status(head.status) };
                return Ok(Some(finding));
            }
            (self.head, self.search) = (self.head + end.end, HeadSearch::response());
        }
    }

    /// Drops `count` of the `left` bytes that may still be dropped.
    fn drop_bytes(&mut self, left: usize, count: usize) {
        self.phase = if count < left { Phase::Dropping(left - count) } else { Phase::Over };
    }

    /// The backend ended the connection, in order or not. Returns the result, if this decides it.
    pub(super) fn ended(&mut self) -> Option<Finding> {
        let is_open = matches!(self.phase, Phase::Connecting(_) | Phase::Asking);
        self.phase = Phase::Over;
        is_open.then_some(Finding::Faulty(Fault::UpstreamClosed))
    }

    /// Until when is waited for the next thing.
    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Connecting(until) => until,
            Phase::Asking | Phase::Dropping(_) | Phase::Over => self.ends,
        }
    }

    /// What follows if nothing has happened by `now`.
    pub(super) fn expire(&mut self, now: Instant) -> Expiry {
        if now < self.deadline() {
            return Expiry::NotYet;
        }
        let fault = match self.phase {
            Phase::Connecting(_) if now < self.ends => return Expiry::Connect,
            Phase::Connecting(_) => ConnectFailure::TimedOut.fault(),
            Phase::Asking => Fault::ResponseTimeout,
            Phase::Dropping(_) | Phase::Over => {
                self.phase = Phase::Over;
                return Expiry::Over;
            }
        };
        self.phase = Phase::Over;
        Expiry::Failed(fault)
    }
}

/// The request of a check. Its `Host` is what the backend's URL names, and for a Unix socket, which
/// has no name, `localhost`.
fn request(path: &str, backend: &Backend) -> Vec<u8> {
    let host = backend.url.strip_prefix("http://").unwrap_or("localhost");
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: tidegate-check\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests;
