//! The state of one client connection: bytes in, answers out, one after the other.
//!
//! It has no socket, and time is an argument, so that what it waits for, and how long, can be
//! tested without either.

use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::answer::{self, PageRequest, Resource, Response};
use super::snapshot_cache::SnapshotCache;
use super::window::Window;
use crate::hosts::Hosts;
use crate::http::{HeadError, HeadSearch, Headers, parse_request};

/// The longest head of a request. It is large because a browser sends the cookies of all ports of a
/// host, and many programs listen on the loopback.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// The most fields in a head.
const FIELDS_MAX: usize = 128;

/// How long a client may take for the head of a request, from its connection or first byte on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may leave what it was sent unread.
const SCLOSE_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection is kept between requests.
const KEEP_TIMEOUT: Duration = Duration::from_secs(75);

/// How long the connection waits for the client to close it after the last answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    /// Received bytes that have not been parsed.
    received: Vec<u8>,
    search: HeadSearch,
    message: Response,
    /// How many bytes of the message were sent.
    sent: usize,
    /// When the present wait began, or last made progress.
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A request is expected, whose head must be complete within `timeout`.
    AwaitRequest { timeout: Duration },
    /// An answer is being sent; with `close` it is the last.
    Answering { close: bool },
    /// Every publication is sent; the number is that of the last one.
    Streaming { window: Window, number: u64 },
    /// All was sent. What the client still sends is dropped until it closes: closing first could
    /// reset the connection before it has read the answer (RFC 9112 §9.6).
    Closing,
}

/// What answers are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service<'a> {
    pub(super) cache: &'a SnapshotCache,
    pub(super) hosts: &'a Hosts,
    /// The local address of the connection.
    pub(super) local: IpAddr,
    /// Whether another stream is allowed.
    pub(super) has_stream: bool,
}

impl Connection {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::AwaitRequest { timeout: HEAD_TIMEOUT },
            received: Vec::new(),
            search: HeadSearch::request(),
            message: Response::default(),
            sent: 0,
            since: now,
        }
    }

    /// What is still to be sent, in two parts.
    pub(super) fn pending(&self) -> [&[u8]; 2] {
        let (head, body) = (&*self.message.head, self.message.body.bytes());
        let of_body = self.sent.saturating_sub(head.len());
        [head.get(self.sent..).unwrap_or_default(), body.get(of_body..).unwrap_or_default()]
    }

    pub(super) fn has_pending(&self) -> bool {
        self.sent < self.message.head.len() + self.message.body.bytes().len()
    }

    /// Whether the connection closes after what is pending.
    pub(super) fn ends(&self) -> bool {
        self.state == State::Answering { close: true }
    }

    pub(super) fn sent(&mut self, count: usize, now: Instant) {
        self.sent += count;
        self.since = now;
    }

    /// Whether bytes of the client are read now.
    pub(super) fn takes_bytes(&self) -> bool {
        !matches!(self.state, State::Answering { .. })
    }

    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let State::AwaitRequest { timeout } = &mut self.state else { return };
        if self.received.is_empty() && *timeout == KEEP_TIMEOUT {
            (*timeout, self.since) = (HEAD_TIMEOUT, now);
        }
        self.received.extend_from_slice(bytes);
    }

    /// Continues when nothing is pending, with the next request or publication. Returns whether
    /// something is pending now.
    pub(super) fn advance(&mut self, service: Service<'_>, now: Instant) -> bool {
        match self.state {
            State::Answering { close: true } => self.rest(State::Closing, now),
            State::Answering { close: false } => {
                self.rest(State::AwaitRequest { timeout: KEEP_TIMEOUT }, now);
                // What was received together with the previous request.
                let received = mem::take(&mut self.received);
                if !received.is_empty() {
                    self.receive(&received, now);
                }
                self.ask(service, now)
            }
            State::AwaitRequest { .. } => self.ask(service, now),
            State::Streaming { window, number } => {
                let published = service.cache.latest(window);
                if published.number == number {
                    return self.rest(self.state, now);
                }
                let state = State::Streaming { window, number: published.number };
                self.begin(answer::event(&published), state, now)
            }
            State::Closing => false,
        }
    }

    /// Answers the request whose head is there, if one is.
    fn ask(&mut self, service: Service<'_>, now: Instant) -> bool {
        let asked = match self.take_request(service) {
            Ok(None) => return false,
            Ok(Some(asked)) => asked,
            Err(error) => {
                self.received.clear();
                PageRequest::refused(error.status(), error.explanation())
            }
        };
        match asked.resource {
            Resource::Stream(window) if service.has_stream => {
                // No publication has this number, so the first one follows at once.
                let state = State::Streaming { window, number: u64::MAX };
                self.begin(answer::stream(), state, now)
            }
            _ => {
                let state = State::Answering { close: asked.close };
                self.begin(asked.answer(service.cache), state, now)
            }
        }
    }

    fn take_request(&mut self, service: Service<'_>) -> Result<Option<PageRequest>, HeadError> {
        let Some(found) = self.search.find(&self.received, HEAD_BYTES_MAX)? else {
            return Ok(None);
        };
        let head = &self.received[found.skip..found.end];
        let mut headers = Headers::new(FIELDS_MAX);
        let request = parse_request(head, &mut headers)?;
        let is_ours = |host: &str| service.hosts.admit(host, service.local);
        let asked = PageRequest::of(head, &headers, &request, is_ours);
        self.received.drain(..found.end);
        self.search = HeadSearch::request();
        Ok(Some(asked))
    }

    fn begin(&mut self, message: Response, state: State, now: Instant) -> bool {
        (self.message, self.sent, self.state, self.since) = (message, 0, state, now);
        true
    }

    /// Waits for the client.
    fn rest(&mut self, state: State, now: Instant) -> bool {
        self.begin(Response::default(), state, now);
        false
    }

    /// When the connection is closed for lack of progress.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = match self.state {
            State::AwaitRequest { timeout } => timeout,
            State::Streaming { .. } if !self.has_pending() => return None,
            State::Answering { .. } | State::Streaming { .. } => SCLOSE_TIMEOUT,
            State::Closing => CLOSE_TIMEOUT,
        };
        Some(self.since + timeout)
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.state, State::Streaming { .. })
    }

    /// Since when it waits for a request or for the client to close; `None` while it sends.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        matches!(self.state, State::AwaitRequest { .. } | State::Closing).then_some(self.since)
    }
}

#[cfg(test)]
mod tests;
