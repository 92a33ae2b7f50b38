//! One check without its socket: what is sent, what the answer says, and how long it may take.
//!
//! The status decides. So the head of the answer is read as that of any response, with the same
//! limits; the body is dropped unread, whatever its framing. It is read at all because a close with
//! unread bytes is a reset, which some servers log as an error; and only up to a limit, because an
//! endless body is no reason to hold a connection.

use std::fmt;
use std::time::{Duration, Instant};

use super::super::exchange::ConnectFailure;
use super::super::fault::Fault;
use super::super::settings::{Backend, Settings};
use super::super::statuses::Statuses;
use crate::http::{Asked, HeadError, HeadSearch, Headers, Method, parse_response};

/// How much is read behind the head.
const DROPPED_BYTES_MAX: usize = 64 * 1024;

/// How a check that could be made came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Finding {
    Passed,
    /// The answer has a status that is not expected.
    Status(u16),
    /// There is no answer, or none that is valid.
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
    /// There is no connection to this address in time.
    Connect,
    /// The check has failed, by this.
    Failed(Fault),
    /// The rest of the answer need not be waited for.
    Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The connection to an address is being made, until this instant.
    Connecting(Instant),
    /// The request is being sent, and its answer waited for.
    Asking,
    /// The check has come out. So many bytes more are dropped.
    Dropping(usize),
    /// Nothing is left to be done.
    Over,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Conversation {
    request: Vec<u8>,
    sent: usize,
    /// The heads of the answer: interim ones, and the final one as far as it came.
    received: Vec<u8>,
    /// Where the head begins that is searched.
    head: usize,
    search: HeadSearch,
    headers: Headers,
    /// How long all heads together may be.
    head_bytes: usize,
    expected: Statuses,
    connect: Duration,
    /// The end of its time.
    ends: Instant,
    phase: Phase,
}

impl Conversation {
    /// The question at this backend whether it is well. A connection is to be made next.
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

    /// A connection to one of the backend's addresses is begun.
    pub(super) fn dialling(&mut self, now: Instant) {
        self.phase = Phase::Connecting(self.ends.min(now + self.connect));
    }

    /// Whether it is not known yet that there is a connection.
    pub(super) fn is_connecting(&self) -> bool {
        matches!(self.phase, Phase::Connecting(_))
    }

    /// Whether the check has come out, and the rest of the answer is being dropped.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.phase, Phase::Dropping(_))
    }

    /// Whether the connection may be closed.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// What is to be sent.
    pub(super) fn pending(&self) -> &[u8] {
        self.request.get(self.sent..).unwrap_or_default()
    }

    /// So many bytes were taken, so there is a connection.
    pub(super) fn sent(&mut self, count: usize) {
        self.sent += count;
        if count > 0 && self.is_connecting() {
            self.phase = Phase::Asking;
        }
    }

    /// The backend sent this; how the check came out, if that is known now.
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

    /// Of `left` bytes that may be dropped yet, these are.
    fn drop_bytes(&mut self, left: usize, count: usize) {
        self.phase = if count < left { Phase::Dropping(left - count) } else { Phase::Over };
    }

    /// The backend ended the connection, in order or not; how the check came out, if that is known
    /// only now.
    pub(super) fn ended(&mut self) -> Option<Finding> {
        let is_open = matches!(self.phase, Phase::Connecting(_) | Phase::Asking);
        self.phase = Phase::Over;
        is_open.then_some(Finding::Faulty(Fault::UpstreamClosed))
    }

    /// When time is up for what is waited for.
    pub(super) fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Connecting(until) => until,
            Phase::Asking | Phase::Dropping(_) | Phase::Over => self.ends,
        }
    }

    /// What follows from the time at `now`.
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
