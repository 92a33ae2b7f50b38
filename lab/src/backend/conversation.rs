//! One client's connection as a state machine: bytes in, bytes out, and now and then a wait.
//!
//! It knows no socket and no clock. Its owner feeds it what was read, sends what is
//! [`pending`](Conversation::pending), waits as long as [`delay`](Conversation::delay) says, and
//! closes when it is [`over`](Conversation::ending). Requests are answered one after the other in
//! the order they came, so a pipelined request starts to be worked on when the one before it has
//! been answered. A request's body is passed over as it comes and never kept.

use std::mem;
use std::time::Duration;

use super::output::Output;
use super::request::{Asked, Kind, Persistence, Refusal, Request};
use super::script::{Cue, Script};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const PONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const PONG_AGREED: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n";
const PONG_CLOSING: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const MALFORMED: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const TOO_LARGE: &[u8] = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";

/// How a connection that is over is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// At once: the client has ended its stream, too.
    Plain,
    /// Sending first, receiving later: the client may still be sending, or send something before it
    /// has read all, and closing on it would make its kernel drop our last answer (RFC 9112 §9.6).
    Lingering,
}

#[derive(Debug)]
enum Reading {
    Head,
    Body(Request),
    /// The request is whole and is being worked on.
    Working(Asked, Cue),
    Over(Ending),
}

/// The server's side of one connection.
#[derive(Debug)]
pub(super) struct Conversation {
    reading: Reading,
    /// Bytes that came and cannot be dealt with yet: the beginning of a head, or requests that
    /// wait for their turn. At most a head and one receipt long.
    held: Vec<u8>,
    output: Output,
}

impl Conversation {
    pub(super) fn new() -> Self {
        Self { reading: Reading::Head, held: Vec::new(), output: Output::default() }
    }

    /// Whether bytes from the client are of use now. While not, they are best left in the socket.
    pub(super) fn wants_bytes(&self) -> bool {
        matches!(self.reading, Reading::Head | Reading::Body(_)) && !self.output.is_full()
    }

    /// Takes in bytes from the client.
    pub(super) fn receive(&mut self, bytes: &[u8], script: &mut Script) {
        if self.held.is_empty() {
            let used = self.advance(bytes, script);
            self.held.extend_from_slice(&bytes[used..]);
        } else {
            self.held.extend_from_slice(bytes);
            self.resume(script);
        }
    }

    /// The client has finished sending; a request it broke off gets no answer.
    pub(super) fn end(&mut self) {
        self.reading = Reading::Over(Ending::Plain);
    }

    /// How long the request at hand is to be worked on, if there is one.
    pub(super) fn delay(&self) -> Option<Duration> {
        match self.reading {
            Reading::Working(_, cue) => Some(cue.delay),
            _ => None,
        }
    }

    /// The delay has passed: the request at hand is answered.
    pub(super) fn answer(&mut self, script: &mut Script) {
        if let Reading::Working(asked, cue) = self.reading {
            self.reply(asked, cue, script);
            self.resume(script);
        }
    }

    /// What is to be sent next, in two parts; both empty if nothing is.
    pub(super) fn pending(&self) -> [&[u8]; 2] {
        self.output.pending()
    }

    /// So many bytes of what was pending have been sent.
    pub(super) fn sent(&mut self, count: usize, script: &mut Script) {
        let was_full = self.output.is_full();
        self.output.sent(count);
        if was_full && !self.output.is_full() {
            self.resume(script);
        }
    }

    /// Whether and how to close, once nothing is pending any more.
    pub(super) fn ending(&self) -> Option<Ending> {
        match self.reading {
            Reading::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// Goes on with what is held.
    fn resume(&mut self, script: &mut Script) {
        let mut held = mem::take(&mut self.held);
        let used = self.advance(&held, script);
        held.drain(..used);
        self.held = held;
    }

    /// Deals with as much of `bytes` as can be dealt with now, and returns how much that is.
    fn advance(&mut self, bytes: &[u8], script: &mut Script) -> usize {
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
                    self.begin(asked, script);
                }
                Reading::Body(request) => match request.body.read(rest) {
                    Ok((0, _)) => return used,
                    Ok((count, _)) => used += count,
                    Err(_) => self.refuse(Refusal::Malformed),
                },
                Reading::Working(..) => return used,
                Reading::Over(_) => return bytes.len(),
            }
        }
    }

    /// A request is whole.
    fn begin(&mut self, asked: Asked, script: &mut Script) {
        if asked.kind == Kind::Ping {
            self.output.push(match asked.persistence {
                Persistence::Assumed => PONG,
                Persistence::Agreed => PONG_AGREED,
                Persistence::Closing => PONG_CLOSING,
            });
            self.go_on(asked.persistence);
            return;
        }
        let cue = script.cue();
        if cue.delay.is_zero() {
            self.reply(asked, cue, script);
        } else {
            self.reading = Reading::Working(asked, cue);
        }
    }

    fn reply(&mut self, asked: Asked, cue: Cue, script: &Script) {
        let persistence = if cue.close { Persistence::Closing } else { asked.persistence };
        let reply = script.reply(cue);
        self.output.push(reply.head(persistence));
        if asked.kind != Kind::Head {
            let (start, filling) = reply.body();
            self.output.push(start);
            self.output.fill(filling);
        }
        self.go_on(persistence);
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.output.push(match refusal {
            Refusal::Malformed => MALFORMED,
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
