//! A byte relay: the lower limit of what a proxy can cost.
//!
//! Every client connection has an upstream connection of its own, and bytes are forwarded without
//! parsing them, on the same reactor as the proxy: four system calls per request. What a proxy
//! costs beyond that is the cost of HTTP. The relay has no timeouts and no log.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::mem;
use std::time::Instant;

use super::acceptor::Acceptor;
use tidegate::endpoint::Endpoint;
use tidegate::reactor::{Event, Key, Lists, Poller, Readiness, Received, Slots, Stream, Transport};

const LISTENER: Key = Key::fixed(0, 0);
const ENDS: u8 = 1;

const UNFINISHED: usize = 0;

const EVENTS_PER_TURN: usize = 1024;

/// Reads from one connection before the next one is served.
const READS_PER_TURN: usize = 16;

const READ_BYTES: usize = 64 * 1024;

/// A relay that listens.
#[derive(Debug)]
pub struct Relay {
    poller: Poller,
    acceptor: Acceptor,
    /// They get connections in turn.
    upstreams: VecDeque<Endpoint>,
    ends: Slots<End>,
    buffer: Vec<u8>,
    /// One list: the ends that have used up their reads and may have more bytes.
    unfinished: Lists,
}

/// One of the two connections of a pair.
#[derive(Debug)]
struct End {
    stream: Stream,
    /// The other connection; `None` only until it is made.
    other: Option<Key>,
    /// Bytes from the other end that the socket did not take yet.
    unsent: Vec<u8>,
    /// Whether its peer has ended the stream.
    has_ended: bool,
    /// Whether the stream to its peer has been ended.
    is_finished: bool,
}

/// The pair is broken, or both streams have ended.
struct Over;

impl Relay {
    /// Listens on `endpoint`; once it [`run`](Self::run)s, bytes are forwarded to and from
    /// `upstreams`, which get connections in turn.
    ///
    /// # Errors
    /// The address is taken or not one of this machine, or there are no descriptors left.
    pub fn bind(endpoint: &Endpoint, upstreams: Vec<Endpoint>) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let acceptor = Acceptor::bind(endpoint, LISTENER, &poller)?;
        Ok(Self {
            poller,
            acceptor,
            upstreams: upstreams.into(),
            ends: Slots::new(ENDS),
            buffer: vec![0; READ_BYTES],
            unfinished: Lists::new(1),
        })
    }

    /// Where it listens, with the port the kernel chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.acceptor.endpoint()
    }

    /// Relays until the process ends.
    ///
    /// # Errors
    /// Only if the operating system refuses to wait for events.
    pub fn run(mut self) -> io::Result<Infallible> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let unfinished = self.unfinished.len(UNFINISHED);
            let now = self.poller.turn(&mut events, unfinished > 0)?;
            for _ in 0..unfinished {
                if let Some(key) = self.unfinished.pop_first(UNFINISHED) {
                    self.pump(key);
                }
            }
            for event in &events {
                match *event {
                    event if self.acceptor.is_meant(event) => self.accept(now),
                    Event::Ready { key, readiness } => self.ready(key, readiness),
                    Event::Expired { .. } | Event::Woken => {}
                }
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        while let Some(transport) = self.acceptor.next(now, &mut self.poller) {
            // A client without an upstream connection is closed.
            let _ = self.pair(transport);
        }
    }

    fn pair(&mut self, transport: Transport) -> io::Result<()> {
        self.upstreams.rotate_left(1);
        let upstream = self.upstreams.back().ok_or(io::ErrorKind::NotFound)?;
        let poller = &self.poller;
        let client = self.ends.try_insert_with(|key| {
            Stream::accepted(transport, key, poller).map(|s| End::new(s, None))
        })?;
        let connect = |key| {
            let stream = Stream::connect(upstream, key, poller)?;
            if stream.is_busy() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(stream) }
        };
        let upstream =
            self.ends.try_insert_with(|key| connect(key).map(|s| End::new(s, Some(client))));
        match upstream {
            Ok(upstream) => {
                if let Some(end) = self.ends.get_mut(client) {
                    end.other = Some(upstream);
                }
                Ok(())
            }
            Err(error) => {
                self.ends.remove(client);
                Err(error)
            }
        }
    }

    fn ready(&mut self, key: Key, readiness: Readiness) {
        let Some(end) = self.ends.get_mut(key) else { return };
        end.stream.note(readiness);
        let other = end.other;
        let has_room = !end.unsent.is_empty() && end.stream.can_write();
        self.pump(key);
        // While bytes are unsent here, nothing is read from the other end.
        if has_room && let Some(other) = other {
            self.pump(other);
        }
    }

    /// Forwards what one end has received, and closes the pair when that is over.
    fn pump(&mut self, key: Key) {
        match self.pass_on(key) {
            Ok(false) => {}
            Ok(true) => self.unfinished.push(UNFINISHED, key),
            Err(Over) => {
                if let Some(end) = self.ends.remove(key)
                    && let Some(other) = end.other
                {
                    self.ends.remove(other);
                }
            }
        }
    }

    /// Forwards bytes from the end `key` to the other one; whether there may be more now.
    fn pass_on(&mut self, key: Key) -> Result<bool, Over> {
        for _ in 0..READS_PER_TURN {
            let Some(other) = self.ends.get(key).and_then(|end| end.other) else {
                return Ok(false);
            };
            let Some(to) = self.ends.get_mut(other) else { return Err(Over) };
            if !to.flush()? {
                return Ok(false);
            }
            let Some(from) = self.ends.get_mut(key) else { return Err(Over) };
            if from.has_ended || !from.stream.can_read() {
                return Ok(false);
            }
            match from.stream.read(&mut self.buffer).map_err(|_| Over)? {
                Received::Nothing => return Ok(false),
                Received::End => {
                    from.has_ended = true;
                    return self.finish(key, other);
                }
                Received::Bytes(count) => {
                    let Some(to) = self.ends.get_mut(other) else { return Err(Over) };
                    to.send(&self.buffer[..count])?;
                }
            }
        }
        Ok(true)
    }

    /// Ends the stream to the other end's peer; over when both have ended.
    fn finish(&mut self, key: Key, other: Key) -> Result<bool, Over> {
        let Some(to) = self.ends.get_mut(other) else { return Err(Over) };
        to.stream.finish().map_err(|_| Over)?;
        to.is_finished = true;
        let is_finished = self.ends.get(key).is_none_or(|end| end.is_finished);
        if is_finished { Err(Over) } else { Ok(false) }
    }
}

impl End {
    fn new(stream: Stream, other: Option<Key>) -> Self {
        Self { stream, other, unsent: Vec::new(), has_ended: false, is_finished: false }
    }

    /// Sends `bytes`, and keeps those that the socket does not take. Nothing may be unsent.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let taken = self.stream.write([bytes, &[]]).map_err(|_| Over)?.unwrap_or(0);
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what is unsent; whether the socket took all of it.
    fn flush(&mut self) -> Result<bool, Over> {
        if self.unsent.is_empty() {
            return Ok(true);
        }
        if !self.stream.can_write() {
            return Ok(false);
        }
        let unsent = mem::take(&mut self.unsent);
        self.send(&unsent)?;
        Ok(self.unsent.is_empty())
    }
}

#[cfg(test)]
mod tests;
