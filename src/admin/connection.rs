//! The state of one connection: bytes in, requests out, and answers back, one after the other.
//!
//! It has no socket, and time is an argument, so that what it waits for, and how long, can be
//! tested without either.

use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::listeners::Access;
use super::request::{BODY_BYTES_MAX, Request, too_large};
use crate::http::{Chunks, Framing, HeadSearch, Headers, Method, Part, parse_request};

/// The longest head of a request.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// The most fields in a head.
const FIELDS_MAX: usize = 64;

/// How long a client may take for a whole request, from its connection or its first byte on.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may leave what it was sent unread.
const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a connection is kept between requests.
const KEEP_TIMEOUT: Duration = Duration::from_secs(75);

/// How long the connection waits for the client to close it after the last answer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    access: Access,
    local: Option<IpAddr>,
    state: State,
    /// Received bytes that were not parsed yet.
    received: Vec<u8>,
    search: HeadSearch,
    message: Vec<u8>,
    /// How many bytes of the message were sent.
    sent: usize,
    /// When the present wait began, or last made progress.
    since: Instant,
}

#[derive(Debug)]
enum State {
    /// A request is expected, whose head must be complete within `timeout`.
    AwaitHead { timeout: Duration },
    /// The rest of its body is expected.
    AwaitBody { request: Box<Request>, body: Body, close: bool },
    /// Its answer is being made.
    Asked { head_only: bool, close: bool },
    /// The answer is being sent; with `close` it is the last.
    Answering { close: bool },
    /// All was sent. What the client still sends is dropped until it closes: closing first could
    /// reset the connection before it has read the answer (RFC 9112 §9.6).
    Closing,
}

/// What is still to come of a body.
#[derive(Debug)]
enum Body {
    Length(usize),
    Chunked(Box<Chunks>),
}

impl Connection {
    /// One that came in at the address `local`, if it has one.
    pub(super) fn new(access: Access, local: Option<IpAddr>, now: Instant) -> Self {
        Self {
            access,
            local,
            state: State::AwaitHead { timeout: REQUEST_TIMEOUT },
            received: Vec::new(),
            search: HeadSearch::request(),
            message: Vec::new(),
            sent: 0,
            since: now,
        }
    }

    /// What is still to be sent.
    pub(super) fn pending(&self) -> &[u8] {
        self.message.get(self.sent..).unwrap_or_default()
    }

    /// Whether the connection closes after what is pending.
    pub(super) fn ends(&self) -> bool {
        matches!(self.state, State::Answering { close: true })
    }

    pub(super) fn sent(&mut self, count: usize, now: Instant) {
        self.sent += count;
        self.since = now;
        if !self.pending().is_empty() {
            return;
        }
        (self.message, self.sent) = (Vec::new(), 0);
        match self.state {
            State::Answering { close: true } => {
                self.received.clear();
                self.state = State::Closing;
            }
            State::Answering { close: false } => {
                // Something may have been received together with the previous request.
                let is_begun = !self.received.is_empty();
                let timeout = if is_begun { REQUEST_TIMEOUT } else { KEEP_TIMEOUT };
                self.state = State::AwaitHead { timeout };
            }
            _ => {}
        }
    }

    /// Whether bytes of the client are read now.
    pub(super) fn takes_bytes(&self) -> bool {
        !matches!(self.state, State::Asked { .. } | State::Answering { .. })
    }

    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) {
        match &mut self.state {
            State::Closing => return,
            State::AwaitHead { timeout } if *timeout == KEEP_TIMEOUT => {
                (*timeout, self.since) = (REQUEST_TIMEOUT, now);
            }
            _ => {}
        }
        self.received.extend_from_slice(bytes);
    }

    /// The next request, once it is there as a whole. It has to be [answered](Self::answer) before
    /// another one is given out. One that is refused is answered here.
    pub(super) fn take_request(&mut self, now: Instant) -> Option<Request> {
        if matches!(self.state, State::AwaitHead { .. }) {
            self.take_head(now);
        }
        let State::AwaitBody { request, body, close } = &mut self.state else { return None };
        match body.take(&mut self.received, &mut request.body) {
            Ok(true) => {
                let (head_only, close) = (request.method == Method::Head, *close);
                let asked = State::Asked { head_only, close };
                let State::AwaitBody { request, .. } = mem::replace(&mut self.state, asked) else {
                    return None;
                };
                Some(*request)
            }
            Ok(false) => None,
            Err(refusal) => {
                self.refuse(refusal, now);
                None
            }
        }
    }

    /// Answers the request that was given out last.
    pub(super) fn answer(&mut self, answer: Answer, now: Instant) {
        if let State::Asked { head_only, close } = self.state {
            self.begin(answer, head_only, close, now);
        }
    }

    /// What follows on the connection is not known, so it ends.
    fn refuse(&mut self, refusal: Answer, now: Instant) {
        self.begin(refusal, false, true, now);
    }

    fn begin(&mut self, answer: Answer, head_only: bool, close: bool, now: Instant) {
        // What is pending yet is an interim response.
        self.message.drain(..self.sent);
        answer.follow(&mut self.message, head_only, close);
        self.sent = 0;
        (self.state, self.since) = (State::Answering { close }, now);
    }

    fn take_head(&mut self, now: Instant) {
        let found = match self.search.find(&self.received, HEAD_BYTES_MAX) {
            Ok(None) => return,
            Ok(Some(found)) => found,
            Err(error) => {
                return self.refuse(Answer::error(error.status(), error.explanation()), now);
            }
        };
        let head = &self.received[found.skip..found.end];
        let mut headers = Headers::new(FIELDS_MAX);
        let parsed = match parse_request(head, &mut headers) {
            Ok(parsed) => parsed,
            Err(error) => {
                return self.refuse(Answer::error(error.status(), error.explanation()), now);
            }
        };
        match Request::of(head, &headers, &parsed, &self.access, self.local) {
            Err(refusal) => self.refuse(refusal, now),
            Ok(request) => {
                self.received.drain(..found.end);
                self.search = HeadSearch::request();
                if parsed.expect_continue && parsed.framing != Framing::None {
                    self.message.extend_from_slice(CONTINUE);
                }
                let (request, close) = (Box::new(request), !parsed.keep_alive);
                self.state = State::AwaitBody { request, body: Body::of(parsed.framing), close };
            }
        }
    }

    /// When it has waited long enough; `None` while its answer is being made.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = match self.state {
            State::AwaitHead { timeout } => timeout,
            State::AwaitBody { .. } => REQUEST_TIMEOUT,
            State::Asked { .. } => return None,
            State::Answering { .. } => SEND_TIMEOUT,
            State::Closing => CLOSE_TIMEOUT,
        };
        Some(self.since + timeout)
    }

    /// Since when it waits for the client; `None` while the client waits.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let is_idle = !matches!(self.state, State::Asked { .. } | State::Answering { .. });
        is_idle.then_some(self.since)
    }
}

impl Body {
    fn of(framing: Framing) -> Self {
        match framing {
            Framing::Length(length) => Self::Length(usize::try_from(length).unwrap_or(usize::MAX)),
            Framing::Chunked => Self::Chunked(Box::new(Chunks::new(HEAD_BYTES_MAX))),
            Framing::None | Framing::UntilClose => Self::Length(0),
        }
    }

    /// Moves what belongs to it from `received` to `body`; whether it is whole now.
    fn take(&mut self, received: &mut Vec<u8>, body: &mut Vec<u8>) -> Result<bool, Answer> {
        match self {
            Self::Length(left) => {
                let count = received.len().min(*left);
                body.extend(received.drain(..count));
                *left -= count;
                Ok(*left == 0)
            }
            Self::Chunked(chunks) => {
                let mut taken = 0;
                let is_whole = loop {
                    let rest = &received[taken..];
                    let (count, part) = chunks
                        .next(rest)
                        .map_err(|error| Answer::error(error.status(), error.explanation()))?;
                    match part {
                        Part::End => break true,
                        Part::Data => body.extend_from_slice(&rest[..count]),
                        Part::Framing | Part::Discard | Part::Trailer => {}
                    }
                    if body.len() > BODY_BYTES_MAX {
                        return Err(too_large());
                    }
                    if count == 0 {
                        break false;
                    }
                    taken += count;
                };
                received.drain(..taken);
                Ok(is_whole)
            }
        }
    }
}

#[cfg(test)]
mod tests;
