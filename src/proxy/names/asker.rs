//! Sends what look-ups ask and takes what comes back: many at a time, with one event loop.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::time::Instant;

use super::sources::Sources;
use crate::dns::{Ask, Family, Found, Framed, Lookup, Outcome, Via, framed};
use crate::endpoint::Endpoint;
use crate::reactor::{
    Datagrams, Event, Key, LazyTimer, LazyTimers, Poller, Readiness, Received, Slots, Stream, Waker,
};

/// Look-ups at a time, each with two sockets. More wait, because each may take long.
const MAX_LOOKUPS: usize = 128;

/// Datagrams of one socket that are looked at after an event. A server that sends more is not one
/// to be believed.
const MAX_DATAGRAMS: usize = 64;

/// More than a server sends that was not told to send more than 512 bytes (RFC 1035 §2.3.4).
const BUFFER_BYTES: usize = 4096;

const EVENTS_PER_TURN: usize = 256;

/// The timer of the asker's owner.
const OWNER: Key = Key::fixed(0, 0);

/// The tags of the keys of look-ups, which have timers, and of their sockets.
const LOOKUPS: u8 = 1;
const SOCKETS: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Asker {
    poller: Poller,
    sources: Sources,
    waiting: VecDeque<String>,
    running: Slots<Running>,
    sockets: Slots<Socket>,
    lazy_timers: LazyTimers,
    owner_timer: LazyTimer,
    answers: Vec<(String, Outcome)>,
    events: Vec<Event>,
}

#[derive(Debug)]
struct Running {
    name: String,
    lookup: Lookup,
    /// By family.
    sockets: [Option<Key>; 2],
}

#[derive(Debug)]
struct Socket {
    /// The look-up that asks over it.
    lookup: Key,
    family: Family,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Udp(Datagrams),
    Tcp { stream: Stream, unsent: Vec<u8>, received: Framed },
}

/// What came of one turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) now: Instant,
    /// Whether the waker was used.
    pub(super) is_woken: bool,
    /// Whether the instant has come for which [`Asker::wake_at`] was called.
    pub(super) is_due: bool,
    /// Look-ups that are over.
    pub(super) answers: Vec<(String, Outcome)>,
}

impl Asker {
    /// One that asks these servers, or those of the system.
    pub(super) fn new(servers: &[SocketAddr]) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new(EVENTS_PER_TURN)?,
            sources: Sources::new(servers),
            waiting: VecDeque::new(),
            running: Slots::new(LOOKUPS),
            sockets: Slots::new(SOCKETS),
            lazy_timers: LazyTimers::default(),
            owner_timer: LazyTimer::default(),
            answers: Vec::new(),
            events: Vec::new(),
        })
    }

    pub(super) fn waker(&self) -> Waker {
        self.poller.waker()
    }

    pub(super) fn now(&self) -> Instant {
        self.poller.now()
    }

    /// Asks these servers from the next look-up on, or those of the system.
    pub(super) fn set_servers(&mut self, servers: &[SocketAddr]) {
        self.sources.set_servers(servers);
    }

    /// Has a turn end no later than at this instant.
    pub(super) fn wake_at(&mut self, at: Instant) {
        self.owner_timer.set(Some(at), OWNER, self.poller.timers());
    }

    /// Begins to look a name up; its outcome is among the answers of a later turn.
    pub(super) fn begin(&mut self, name: &str) {
        match self.sources.hosts().find(name) {
            Some(addresses) => {
                let found = Found::new(addresses, None, None);
                self.answers.push((name.to_owned(), Outcome::Found(found)));
            }
            None => self.waiting.push_back(name.to_owned()),
        }
        self.start_waiting();
    }

    /// Waits until something has happened.
    ///
    /// # Errors
    /// When the system's event interface fails, which is final.
    pub(super) fn turn(&mut self) -> io::Result<Turn> {
        let mut events = mem::take(&mut self.events);
        let now = self.poller.turn(&mut events, !self.answers.is_empty())?;
        let (mut is_woken, mut is_due) = (false, false);
        for event in &events {
            match *event {
                Event::Woken => is_woken = true,
                Event::Ready { key, readiness } => self.work(key, readiness),
                Event::Expired { key: OWNER, at } => is_due |= self.owner_timer.fired(at),
                Event::Expired { key, at } => {
                    if self.lazy_timers.fired(key, at)
                        && let Some(key) = self.running.occupant(key)
                        && let Some(running) = self.running.get_mut(key)
                    {
                        running.lookup.expired(now);
                        self.go_on(key);
                    }
                }
            }
        }
        self.events = events;
        self.start_waiting();
        Ok(Turn { now, is_woken, is_due, answers: mem::take(&mut self.answers) })
    }

    /// Waits no longer: what is known by now is the outcome of all look-ups.
    pub(super) fn give_up(&mut self) {
        while !(self.running.is_empty() && self.waiting.is_empty()) {
            for key in self.running.keys().collect::<Vec<_>>() {
                if let Some(running) = self.running.get_mut(key) {
                    running.lookup.give_up();
                }
                self.go_on(key);
            }
            self.start_waiting();
        }
    }

    fn start_waiting(&mut self) {
        while self.running.len() < MAX_LOOKUPS
            && let Some(name) = self.waiting.pop_front()
        {
            let lookup = Lookup::new(&name, self.sources.conf(), fastrand::Rng::new());
            let key = self.running.insert_with(|_| Running { name, lookup, sockets: [None; 2] });
            self.go_on(key);
        }
    }

    /// Sends what a look-up wants to be sent, or takes its outcome.
    fn go_on(&mut self, key: Key) {
        let now = self.poller.now();
        let Some(running) = self.running.get_mut(key) else { return };
        while let Some(ask) = running.lookup.ask(now) {
            let own = &mut running.sockets[ask.family as usize];
            if let Some(earlier) = own.take() {
                self.sockets.remove(earlier);
            }
            let poller = &self.poller;
            match self.sockets.try_insert_with(|link| Socket::open(key, &ask, link, poller)) {
                Ok(link) => *own = Some(link),
                // Whatever keeps it from being sent, the next server may be reached.
                Err(_) => running.lookup.unreachable(ask.family),
            }
        }
        if running.lookup.outcome().is_none() {
            let deadline = running.lookup.deadline();
            return self.lazy_timers.set(deadline, key, self.poller.timers());
        }
        let Some(Running { name, lookup, sockets }) = self.running.remove(key) else { return };
        for link in sockets.into_iter().flatten() {
            self.sockets.remove(link);
        }
        if let Some(outcome) = lookup.outcome() {
            self.answers.push((name, outcome.clone()));
        }
    }

    /// A socket may have something to be read, or take something.
    fn work(&mut self, link: Key, readiness: Readiness) {
        let Some(Socket { lookup: key, family, kind }) = self.sockets.get_mut(link) else { return };
        let (key, family) = (*key, *family);
        let Some(Running { lookup, .. }) = self.running.get_mut(key) else { return };
        if kind.work(readiness, |message| lookup.received(family, message)).is_err() {
            lookup.unreachable(family);
        }
        self.go_on(key);
    }
}

impl Socket {
    /// Sends a message over a socket of its own.
    fn open(lookup: Key, ask: &Ask, link: Key, poller: &Poller) -> io::Result<Self> {
        let mut kind = match ask.via {
            Via::Udp => {
                let datagrams = Datagrams::connect(ask.server, link, poller)?;
                datagrams.send(&ask.message)?;
                Kind::Udp(datagrams)
            }
            Via::Tcp => {
                let stream = Stream::connect(&Endpoint::from(ask.server), link, poller)?;
                let (unsent, received) = (framed(&ask.message), Framed::default());
                Kind::Tcp { stream, unsent, received }
            }
        };
        kind.send()?;
        Ok(Self { lookup, family: ask.family, kind })
    }
}

impl Kind {
    fn send(&mut self) -> io::Result<()> {
        let Self::Tcp { stream, unsent, .. } = self else { return Ok(()) };
        while stream.can_write() && !unsent.is_empty() {
            let Some(count) = stream.write([unsent, b""])? else { break };
            unsent.drain(..count);
        }
        Ok(())
    }

    /// Moves what can be moved, and hands out messages.
    ///
    /// # Errors
    /// No message will come any more.
    fn work(&mut self, readiness: Readiness, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = [0; BUFFER_BYTES];
        if let Self::Tcp { stream, .. } = self {
            stream.note(readiness);
        }
        self.send()?;
        match self {
            Self::Udp(datagrams) => {
                for _ in 0..MAX_DATAGRAMS {
                    match datagrams.receive(&mut buffer)? {
                        Some(count) => take(&buffer[..count]),
                        None => return Ok(()),
                    }
                }
                Err(io::ErrorKind::InvalidData.into())
            }
            Self::Tcp { stream, received, .. } => {
                while stream.can_read() {
                    match stream.read(&mut buffer)? {
                        Received::Bytes(count) => {
                            if let Some(message) = received.receive(&buffer[..count]) {
                                take(message);
                                return Err(io::ErrorKind::UnexpectedEof.into());
                            }
                        }
                        Received::Nothing => break,
                        Received::End => return Err(io::ErrorKind::UnexpectedEof.into()),
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
