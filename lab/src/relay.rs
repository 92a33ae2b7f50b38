//! A blind byte relay: the least that a proxy of connections can do.
//!
//! Every client connection gets an upstream connection of its own, and bytes are passed on as they
//! come, on the same reactor as the proxy: four system calls per request and nothing else. What a
//! proxy costs beyond it is the price of understanding HTTP. It has no timeouts and no log.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::time::{Duration, Instant};

use tidegate::endpoint::Endpoint;
use tidegate::reactor::{
    Event, Key, LazyTimer, Listener, Poller, Readiness, Received, Slots, Stream, Transport, Waker,
};

const LISTENER: Key = Key::fixed(0, 0);
const ENDS: u8 = 1;

const EVENTS_PER_TURN: usize = 1024;

/// Reads made of one connection before the others get their turn.
const READS_PER_TURN: usize = 16;

const READ_BYTES: usize = 64 * 1024;

/// How long accepting rests when there are no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A relay that listens.
#[derive(Debug)]
pub struct Relay {
    poller: Poller,
    listener: Listener,
    /// Rings when accepting, stopped for want of descriptors, is to be tried again.
    accept_again: LazyTimer,
    /// Connections go to each in turn.
    upstreams: VecDeque<Endpoint>,
    ends: Slots<End>,
    buffer: Vec<u8>,
    /// Ends that have used up their reads and may have more to give.
    unfinished: VecDeque<Key>,
}

/// One of the two connections of a pair.
#[derive(Debug)]
struct End {
    stream: Stream,
    /// The other connection; `None` only until that is made.
    other: Option<Key>,
    /// Bytes of the other end that this one did not take yet.
    unsent: Vec<u8>,
    /// Whether its peer has finished sending.
    has_ended: bool,
    /// Whether its peer was told that the other end's has.
    is_finished: bool,
    /// Whether its key is among the unfinished.
    is_queued: bool,
}

/// The pair is broken or has nothing more to say.
struct Over;

impl Relay {
    /// Listens on `endpoint`; bytes are passed on to and from `upstreams`, a connection to each in
    /// turn, once it [`run`](Self::run)s.
    ///
    /// # Errors
    /// When the address is taken or not ours, or there are no descriptors left.
    pub fn bind(endpoint: &Endpoint, upstreams: Vec<Endpoint>) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let listener = Listener::bind(endpoint)?;
        listener.register(LISTENER, &poller)?;
        Ok(Self {
            poller,
            listener,
            accept_again: LazyTimer::default(),
            upstreams: upstreams.into(),
            ends: Slots::new(ENDS),
            buffer: vec![0; READ_BYTES],
            unfinished: VecDeque::new(),
        })
    }

    /// Where it listens, with the port the kernel chose.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }

    /// What makes [`run`](Self::run) return, from another thread.
    #[must_use]
    pub fn stopper(&self) -> Waker {
        self.poller.waker()
    }

    /// Relays until stopped; connections are then cut off.
    ///
    /// # Errors
    /// Only if the operating system refuses to wait for events.
    pub fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let now = self.poller.turn(&mut events, !self.unfinished.is_empty())?;
            for _ in 0..self.unfinished.len() {
                self.pump_next_unfinished();
            }
            for event in &events {
                match *event {
                    Event::Woken => return Ok(()),
                    Event::Ready { key: LISTENER, .. } => self.accept(now),
                    Event::Ready { key, readiness } => self.ready(key, readiness),
                    Event::Expired { at, .. } => {
                        if self.accept_again.fired(at) {
                            self.accept(now);
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        loop {
            match self.listener.accept() {
                // A client whose pair can't be made is closed, which tells it.
                Ok(Some((transport, _))) => drop(self.pair(transport)),
                Ok(None) => return,
                Err(_) => {
                    let again = Some(now + ACCEPT_PAUSE);
                    return self.accept_again.set(again, LISTENER, self.poller.timers());
                }
            }
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
        // What waits for room here holds back the other end's reads.
        if has_room && let Some(other) = other {
            self.pump(other);
        }
    }

    fn pump_next_unfinished(&mut self) {
        let Some(key) = self.unfinished.pop_front() else { return };
        if let Some(end) = self.ends.get_mut(key) {
            end.is_queued = false;
            self.pump(key);
        }
    }

    /// Passes on what one end has to give, and ends the pair when that is over.
    fn pump(&mut self, key: Key) {
        match self.pass_on(key) {
            Ok(false) => {}
            Ok(true) => self.queue(key),
            Err(Over) => {
                if let Some(end) = self.ends.remove(key)
                    && let Some(other) = end.other
                {
                    self.ends.remove(other);
                }
            }
        }
    }

    fn queue(&mut self, key: Key) {
        if let Some(end) = self.ends.get_mut(key)
            && !mem::replace(&mut end.is_queued, true)
        {
            self.unfinished.push_back(key);
        }
    }

    /// Moves bytes from the end `key` to the other one; whether there may be more at once.
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

    /// Tells the other end's peer that no more will come; over when that goes for both.
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
        Self {
            stream,
            other,
            unsent: Vec::new(),
            has_ended: false,
            is_finished: false,
            is_queued: false,
        }
    }

    /// Sends `bytes`, and keeps what isn't taken. Nothing may be unsent.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Over> {
        let taken = self.stream.write([bytes, &[]]).map_err(|_| Over)?.unwrap_or(0);
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what is unsent; whether all of it is gone.
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
