//! The test backend: an HTTP server that answers with a short text after a delay.
//!
//! One thread and one event loop serve thousands of requests that all wait, because a delay is an
//! entry in the poller's timer heap. Without a delay a request costs one read and one write, so
//! that a bench measures the proxy and not the backend.
//!
//! It has no timeouts of its own and sends no `Date`.

mod conversation;
mod output;
mod profile;
mod request;
mod script;

use std::io;
use std::time::{Duration, Instant};

pub use profile::Profile;
pub use script::Behaviour;

use super::acceptor::Acceptor;
use conversation::{Conversation, Ending};
use script::Script;
use tidegate::endpoint::Endpoint;
use tidegate::health::Question;
use tidegate::reactor::{Event, Key, Lists, Poller, Readiness, Received, Slots, Stream, Waker};

/// `OPTIONS *` is answered without a delay, and is not counted in the cycle of delays.
pub const HEALTH: Question = Question {
    server: "backend",
    bytes: b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    begins: b"HTTP/1.1 200 ",
    ends: b"",
};

const CLIENTS: u8 = 1;

const UNFINISHED: usize = 0;

const EVENTS_PER_TURN: usize = 1024;

/// System calls made for one client before the next client is served.
const STEPS_PER_TURN: usize = 16;

/// Bytes read at once; the conversation keeps those that it needs later.
const READ_BYTES: usize = 64 * 1024;

/// How long a client may take to notice that its connection is over.
const LINGER: Duration = Duration::from_secs(2);

/// A backend that listens.
#[derive(Debug)]
pub struct Backend {
    poller: Poller,
    acceptor: Acceptor,
    clients: Slots<Client>,
    script: Script,
    buffer: Vec<u8>,
    /// One list: the clients that have used up their steps and have work left.
    unfinished: Lists,
}

#[derive(Debug)]
struct Client {
    stream: Stream,
    conversation: Conversation,
    /// When the current request is to be answered, or lingering to end.
    due: Option<Instant>,
    is_lingering: bool,
}

/// The result of serving one client for a while.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// There is nothing to do before the next event or timer.
    Waits,
    /// There is more to do now.
    Unfinished,
    /// The connection is to be closed.
    Over,
}

impl Backend {
    /// Listens on `endpoint`; connections are answered once it [`run`](Self::run)s.
    ///
    /// # Errors
    /// The address is taken or not one of this machine, or there are no descriptors left.
    pub fn bind(endpoint: &Endpoint, behaviour: &Behaviour) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let acceptor = Acceptor::bind(endpoint, &poller)?;
        Ok(Self {
            poller,
            acceptor,
            clients: Slots::new(CLIENTS),
            script: Script::new(behaviour),
            buffer: vec![0; READ_BYTES],
            unfinished: Lists::new(1),
        })
    }

    /// Where it listens, with the port the kernel chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.acceptor.endpoint()
    }

    /// Makes [`run`](Self::run) return, from another thread.
    #[must_use]
    pub fn stopper(&self) -> Waker {
        self.poller.waker()
    }

    /// Serves until stopped; connections are then cut off.
    ///
    /// # Errors
    /// Only if the operating system refuses to wait for events.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let unfinished = self.unfinished.len(UNFINISHED);
            let now = self.poller.turn(&mut events, unfinished > 0)?;
            for _ in 0..unfinished {
                if let Some(key) = self.unfinished.pop_first(UNFINISHED) {
                    self.drive(key, now);
                }
            }
            for event in &events {
                match *event {
                    Event::Woken => return Ok(()),
                    event if self.acceptor.is_meant(event) => self.accept(now),
                    Event::Ready { key, readiness } => self.ready(key, readiness, now),
                    Event::Expired { key, .. } => self.expired(key, now),
                }
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        while let Some(transport) = self.acceptor.next(now, &mut self.poller) {
            // A socket that the kernel does not watch is closed, which the client notices.
            let _ = self.clients.try_insert_with(|key| {
                Stream::accepted(transport, key, &self.poller).map(Client::new)
            });
        }
    }

    fn ready(&mut self, key: Key, readiness: Readiness, now: Instant) {
        if let Some(client) = self.clients.get_mut(key) {
            client.stream.note(readiness);
            self.drive(key, now);
        }
    }

    /// A client has at most one wake-up pending: the next is set when the last has happened.
    fn expired(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        client.due = None;
        if client.is_lingering {
            self.clients.remove(key);
        } else {
            client.conversation.answer(&mut self.script);
            self.drive(key, now);
        }
    }

    fn drive(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let had_due = client.due;
        match client.advance(&mut self.script, &mut self.buffer, now) {
            // A broken connection is removed like a finished one.
            Ok(Turn::Over) | Err(_) => {
                self.clients.remove(key);
                return;
            }
            Ok(Turn::Unfinished) => self.unfinished.push(UNFINISHED, key),
            Ok(Turn::Waits) => {}
        }
        if let Some(due) = client.due.filter(|_| client.due != had_due) {
            self.poller.timers().wake_at(key, due);
        }
    }
}

impl Client {
    fn new(stream: Stream) -> Self {
        Self { stream, conversation: Conversation::new(), due: None, is_lingering: false }
    }

    /// Does what can be done now, one system call per step.
    fn advance(
        &mut self,
        script: &mut Script,
        buffer: &mut [u8],
        now: Instant,
    ) -> io::Result<Turn> {
        if self.stream.failed() {
            return Ok(Turn::Over);
        }
        for _ in 0..STEPS_PER_TURN {
            let pending = self.conversation.pending();
            let is_pending = pending.iter().any(|part| !part.is_empty());
            if is_pending && self.stream.can_write() {
                if let Some(count) = self.stream.write(pending)? {
                    self.conversation.sent(count, script);
                }
            } else if let Some(ending) = self.conversation.ending().filter(|_| !is_pending) {
                if self.close(ending, buffer, now)? {
                    return Ok(Turn::Over);
                }
                if !self.stream.can_read() {
                    return Ok(Turn::Waits);
                }
            } else if self.conversation.wants_bytes() && self.stream.can_read() {
                match self.stream.read(buffer)? {
                    Received::Bytes(count) => self.conversation.receive(&buffer[..count], script),
                    Received::Nothing => {}
                    Received::End => self.conversation.end(),
                }
            } else {
                self.await_delay(now);
                return Ok(Turn::Waits);
            }
        }
        self.await_delay(now);
        Ok(Turn::Unfinished)
    }

    /// Notes when the current request is to be answered, if that is not yet known.
    fn await_delay(&mut self, now: Instant) {
        self.due = self.due.or_else(|| self.conversation.delay().map(|delay| now + delay));
    }

    /// Closes a connection that is over; whether that is done. A lingering one drops what the
    /// client still sends, until the client closes or time is up.
    fn close(&mut self, ending: Ending, buffer: &mut [u8], now: Instant) -> io::Result<bool> {
        if ending == Ending::Plain {
            return Ok(true);
        }
        if !self.is_lingering {
            self.is_lingering = true;
            self.due = Some(now + LINGER);
            self.stream.finish()?;
        }
        Ok(self.stream.can_read() && self.stream.read(buffer)? == Received::End)
    }
}
