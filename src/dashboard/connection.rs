//! One connection of a client: its bytes come in, answers go out, one after the other.
//!
//! It has no socket and is told the time, so that what is waited for, and how long, can be tested
//! without either.

use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::answer::{self, Asked, Message, Wish};
use super::board::Board;
use super::hosts::Hosts;
use super::window::Window;
use crate::http::{HeadError, HeadSearch, Headers, parse_request};

/// The longest head of a request: on the loopback a browser sends the cookies of all ports.
const HEAD_BYTES_MAX: usize = 32 << 10;

/// The most fields in a head.
const FIELDS_MAX: usize = 128;

/// How long a client may take for the head of a request, from its connection or first byte on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a client may leave what it was sent unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection is kept between requests.
const KEEP_TIMEOUT: Duration = Duration::from_secs(75);

/// How long the client's end is waited for after the last answer.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    /// What was received and belongs to no request yet.
    received: Vec<u8>,
    search: HeadSearch,
    message: Message,
    /// How many bytes of the message were sent.
    sent: usize,
    /// When what is waited for began to be, or moved last.
    since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A request is waited for, whose head has to be there within `patience`.
    Asking { patience: Duration },
    /// An answer is sent, and with `close` it is the last.
    Answering { close: bool },
    /// Each edition is sent; the number is that of the last.
    Streaming { window: Window, number: u64 },
    /// All was sent. What the client sends is dropped until it ends: to close before that could
    /// take the answer away from it (RFC 9112 §9.6).
    Ending,
}

/// What answers are made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service<'a> {
    pub(super) board: &'a Board,
    pub(super) hosts: &'a Hosts,
    /// The address the connection came in at.
    pub(super) local: IpAddr,
    /// Whether there may be one more stream.
    pub(super) has_stream: bool,
}

impl Connection {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            state: State::Asking { patience: HEAD_TIMEOUT },
            received: Vec::new(),
            search: HeadSearch::request(),
            message: Message::default(),
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

    /// Whether nothing follows what is pending.
    pub(super) fn ends(&self) -> bool {
        self.state == State::Answering { close: true }
    }

    pub(super) fn sent(&mut self, count: usize, now: Instant) {
        self.sent += count;
        self.since = now;
    }

    /// Whether bytes of the client are taken now.
    pub(super) fn takes_bytes(&self) -> bool {
        !matches!(self.state, State::Answering { .. })
    }

    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        let State::Asking { patience } = &mut self.state else { return };
        if self.received.is_empty() && *patience == KEEP_TIMEOUT {
            (*patience, self.since) = (HEAD_TIMEOUT, now);
        }
        self.received.extend_from_slice(bytes);
    }

    /// Goes on when nothing is pending: to the next request or edition. Says whether something is
    /// pending now.
    pub(super) fn advance(&mut self, service: Service<'_>, now: Instant) -> bool {
        match self.state {
            State::Answering { close: true } => self.rest(State::Ending, now),
            State::Answering { close: false } => {
                self.rest(State::Asking { patience: KEEP_TIMEOUT }, now);
                // What came with the request before.
                let received = mem::take(&mut self.received);
                if !received.is_empty() {
                    self.receive(&received, now);
                }
                self.ask(service, now)
            }
            State::Asking { .. } => self.ask(service, now),
            State::Streaming { window, number } => {
                let edition = service.board.latest(window);
                if edition.number == number {
                    return self.rest(self.state, now);
                }
                let state = State::Streaming { window, number: edition.number };
                self.begin(answer::event(&edition), state, now)
            }
            State::Ending => false,
        }
    }

    /// Answers the request whose head is there, if one is.
    fn ask(&mut self, service: Service<'_>, now: Instant) -> bool {
        let asked = match self.take_request(service) {
            Ok(None) => return false,
            Ok(Some(asked)) => asked,
            Err(error) => {
                self.received.clear();
                Asked::refused(error.status(), error.explanation())
            }
        };
        match asked.wish {
            Wish::Stream(window) if service.has_stream => {
                // No edition has this number, so the first one follows at once.
                let state = State::Streaming { window, number: u64::MAX };
                self.begin(answer::stream(), state, now)
            }
            _ => {
                let state = State::Answering { close: asked.close };
                self.begin(asked.answer(service.board), state, now)
            }
        }
    }

    fn take_request(&mut self, service: Service<'_>) -> Result<Option<Asked>, HeadError> {
        let Some(found) = self.search.find(&self.received, HEAD_BYTES_MAX)? else {
            return Ok(None);
        };
        let head = &self.received[found.skip..found.end];
        let mut headers = Headers::new(FIELDS_MAX);
        let request = parse_request(head, &mut headers)?;
        let is_ours = |host: &str| service.hosts.admit(host, service.local);
        let asked = Asked::of(head, &headers, &request, is_ours);
        self.received.drain(..found.end);
        self.search = HeadSearch::request();
        Ok(Some(asked))
    }

    fn begin(&mut self, message: Message, state: State, now: Instant) -> bool {
        (self.message, self.sent, self.state, self.since) = (message, 0, state, now);
        true
    }

    /// Waits for what the client does.
    fn rest(&mut self, state: State, now: Instant) -> bool {
        self.begin(Message::default(), state, now);
        false
    }

    /// When the connection is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let patience = match self.state {
            State::Asking { patience } => patience,
            State::Streaming { .. } if !self.has_pending() => return None,
            State::Answering { .. } | State::Streaming { .. } => SEND_TIMEOUT,
            State::Ending => END_TIMEOUT,
        };
        Some(self.since + patience)
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.state, State::Streaming { .. })
    }

    /// Since when a request or the end is waited for; `None` while something is sent.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        matches!(self.state, State::Asking { .. } | State::Ending).then_some(self.since)
    }
}

#[cfg(test)]
mod tests;
