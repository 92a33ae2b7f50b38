//! One client's connection as a state machine without a socket and a clock.
//!
//! Its owner passes it the bytes that were read, sends what is [`pending`](Conversation::pending),
//! answers what is [`asked`](Conversation::asked), and closes when it is
//! [`over`](Conversation::ending). Requests are answered in order; a pipelined one is asked when
//! the one before it has been answered. Bodies of requests are dropped as they arrive.

use std::mem;

use super::answers::Reply;
use super::output::Output;
use super::request::{Asked, Kind, Persistence, Refusal, Request};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const PONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const PONG_AGREED: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
const PONG_CLOSING: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const MALFORMED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const WRONG_QUERY: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 73\r\n\r\n\
    seed is a whole number, cost a number above 0, wait a duration like 30s.\n";
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";

/// How a connection that is over is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// At once: the client has ended its stream, too.
    Plain,
    /// First for sending and later for receiving: if bytes of the client arrive at a closed socket,
    /// the client gets a reset, which can destroy the last answer (RFC 9112 §9.6).
    Lingering,
}

#[derive(Debug)]
enum Reading {
    Head,
    Body(Request),
    /// The request is complete, and has no answer yet.
    Asked(Asked),
    Over(Ending),
}

/// The server's side of one connection.
#[derive(Debug)]
pub(super) struct Conversation {
    reading: Reading,
    /// Bytes that can't be parsed yet: the beginning of a head or of a line between chunks, or
    /// pipelined requests. At most one of them and as much as is read at once.
    held: Vec<u8>,
    output: Output,
}

impl Conversation {
    pub(super) fn new() -> Self {
        Self { reading: Reading::Head, held: Vec::new(), output: Output::default() }
    }

    /// Whether bytes from the client can be used now; else they should stay in the socket.
    pub(super) fn wants_bytes(&self) -> bool {
        matches!(self.reading, Reading::Head | Reading::Body(_)) && !self.output.is_full()
    }

    /// Takes bytes from the client.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        if self.held.is_empty() {
            let used = self.advance(bytes);
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            self.held.extend_from_slice(bytes);
            self.resume();
        }
    }

    /// The client has ended its stream; a request that is incomplete gets no answer.
    pub(super) fn end(&mut self) {
        self.reading = Reading::Over(Ending::Plain);
    }

    /// The request that is to be answered next.
    pub(super) fn asked(&self) -> Option<Asked> {
        match &self.reading {
            Reading::Asked(asked) => Some(*asked),
            _ => None,
        }
    }

    /// Answers what is asked. With `closes` it is the last answer.
    pub(super) fn answer(&mut self, reply: &Reply, closes: bool) {
        let Reading::Asked(asked) = self.reading else { return };
        let persistence = if closes { Persistence::Closing } else { asked.persistence };
        self.output.push(reply.head(persistence));
        if asked.kind != Kind::Head {
            let (start, filling) = reply.body();
            self.output.push(start);
            self.output.fill(filling);
        }
        self.go_on(persistence);
        self.resume();
    }

    /// Whether it is between two requests, with nothing of the next and nothing left to send.
    pub(super) fn is_idle(&self) -> bool {
        let is_sent = self.pending().iter().all(|part| part.is_empty());
        matches!(self.reading, Reading::Head) && self.held.is_empty() && is_sent
    }

    /// What is to be sent next, in two parts; both empty if nothing is.
    pub(super) fn pending(&self) -> [&[u8]; 2] {
        self.output.pending()
    }

    /// So many bytes of what was pending have been sent.
    pub(super) fn sent(&mut self, count: usize) {
        let was_full = self.output.is_full();
        self.output.sent(count);
        if was_full && !self.output.is_full() {
            self.resume();
        }
    }

    /// Whether and how to close, once nothing is pending any more.
    pub(super) fn ending(&self) -> Option<Ending> {
        match self.reading {
            Reading::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// Continues with the bytes that are held.
    fn resume(&mut self) {
        let mut held = mem::take(&mut self.held);
        let used = self.advance(&held);
        held.drain(..used);
        self.held = held;
    }

    /// Parses as much of `bytes` as possible, and returns how much that is.
    fn advance(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            match &mut self.reading {
                Reading::Head if self.output.is_full() || rest.is_empty() => return used,
                Reading::Head => match Request::parse(rest) {
                    Ok(None) => return used,
                    Ok(Some(request)) => {
                        used += request.head_bytes;
                        if request.expects_continue && !request.body.is_over() {
                            self.output.push(CONTINUE);
                        }
                        self.reading = Reading::Body(request);
                    }
                    Err(refusal) => self.refuse(refusal),
                },
                Reading::Body(request) if request.body.is_over() => {
                    let asked = request.asked;
                    self.begin(asked);
                }
                Reading::Body(request) => match request.body.read(rest) {
                    Ok((0, _)) => return used,
                    Ok((count, _)) => used += count,
                    Err(_) => self.refuse(Refusal::Malformed),
                },
                Reading::Asked(_) => return used,
                Reading::Over(_) => return bytes.len(),
            }
        }
    }

    /// A request is complete.
    fn begin(&mut self, asked: Asked) {
        if asked.kind == Kind::Ping {
            self.output.push(match asked.persistence {
                Persistence::Assumed => PONG,
                Persistence::Agreed => PONG_AGREED,
                Persistence::Closing => PONG_CLOSING,
            });
            self.go_on(asked.persistence);
            return;
        }
        self.reading = Reading::Asked(asked);
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.output.push(match refusal {
            Refusal::Malformed => MALFORMED,
            Refusal::WrongQuery => WRONG_QUERY,
            Refusal::TooLarge => TOO_LARGE,
        });
        self.reading = Reading::Over(Ending::Lingering);
    }

    fn go_on(&mut self, persistence: Persistence) {
        self.reading = match persistence {
            Persistence::Assumed | Persistence::Agreed => Reading::Head,
            Persistence::Closing => Reading::Over(Ending::Lingering),
        };
    }
}

#[cfg(test)]
mod tests;
