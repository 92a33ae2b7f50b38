//! Test backends: HTTP servers that queue, work on requests, slow down, fail, hang and restart.
//!
//! One thread and one event loop serve all of them, with thousands of requests that wait. What
//! becomes of a request and when is decided by `Fleet`, which is also what the simulator drives;
//! here its events are waited for by a timer of microseconds, and answers are sent. Without a
//! service time a request costs one read and one write, so that a bench measures the proxy and not
//! the backend.
//!
//! They have no timeouts of their own and send no `Date`.

mod answers;
mod client;
mod conversation;
mod counts;
mod output;
mod port;
mod profile;
mod remote;
mod request;

use std::io;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;

pub use answers::Behaviour;
pub use counts::{Accuracy, Counts};
pub use profile::Profile;
pub use remote::Remote;

use super::ticker::Ticker;
use crate::fleet::time::{Epoch, Time, duration};
use crate::fleet::{self, Answer, Ask, Change, Events, Fleet, Outcome};
use crate::scenario::Streams;
use answers::Answers;
use client::{Client, Stage, Turn};
use counts::Tally;
use port::Port;
use remote::Command;
use request::Asked;
use tidegate::endpoint::Endpoint;
use tidegate::health::Question;
use tidegate::reactor::{Event, Key, Lists, Poller, Readiness, Slots, Stream};

/// `OPTIONS *` is answered without a delay, and is not counted in the cycle of delays.
pub const HEALTH: Question = Question {
    server: "backend",
    bytes: b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    begins: b"HTTP/1.1 200 ",
    ends: b"",
};

/// The tag of ports, whose index is that of the backend.
const PORTS: u8 = 0;
const CLIENTS: u8 = 1;
const TICKER: Key = Key::fixed(2, 0);

const UNFINISHED: usize = 0;

const EVENTS_PER_TURN: usize = 1024;

/// Bytes read at once; the conversation keeps those that it needs later.
const READ_BYTES: usize = 64 * 1024;

/// Requests at all backends, also those whose clients have left where aborts are ignored. At more
/// connections are closed.
const MOST_REQUESTS: usize = 100_000;

/// How long a client may take to notice that its connection is over.
const LINGER: Duration = Duration::from_secs(2);

/// Backends that listen.
#[derive(Debug)]
pub struct Backends {
    poller: Poller,
    ticker: Ticker,
    /// When the ticker wakes the loop.
    ticks_at: Option<Time>,
    epoch: Epoch,
    remote: Remote,
    commands: Receiver<Command>,
    ports: Vec<Port>,
    answers: Vec<Answers>,
    /// What it has are requests of clients.
    fleet: Fleet<Owner>,
    agenda: Events<fleet::Event>,
    /// The seeds of requests that name none.
    rng: Rng,
    clients: Slots<Client>,
    /// One list: the clients that have used up their steps and have work left.
    unfinished: Lists,
    /// Answers that were due in this turn.
    answered: Vec<Answered>,
    tally: Tally,
    buffer: Vec<u8>,
}

/// For whom a request is: its client, and its number at the backend.
#[derive(Clone, Copy, Debug)]
struct Owner {
    client: Key,
    number: u64,
}

#[derive(Clone, Copy, Debug)]
struct Answered {
    client: Key,
    took: Time,
    due: Time,
}

impl Backends {
    /// Takes the ports, and listens on those that are open at the beginning of the scripts;
    /// connections are answered once they [`run`](Self::run). Requests are counted in bins of time.
    ///
    /// # Errors
    /// An address is taken or not one of this machine, or there are no descriptors left.
    pub fn bind(backends: &[(Endpoint, Behaviour)], bin: Duration) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let (remote, commands) = Remote::new(poller.waker());
        let mut ports = Vec::with_capacity(backends.len());
        for (index, (endpoint, _)) in (0..).zip(backends) {
            ports.push(Port::reserve(endpoint, Key::fixed(PORTS, index))?);
        }
        let mut bound = Self {
            ticker: Ticker::new(TICKER, &poller)?,
            ticks_at: None,
            epoch: Epoch::at(poller.now()),
            poller,
            remote,
            commands,
            ports,
            answers: backends.iter().map(|(_, behaviour)| Answers::new(behaviour)).collect(),
            fleet: Fleet::new(backends.iter().map(|(_, behaviour)| &behaviour.group)),
            agenda: Events::default(),
            rng: Rng::new(),
            clients: Slots::new(CLIENTS),
            unfinished: Lists::new(1),
            answered: Vec::new(),
            tally: Tally::new(backends.len(), bin).map_err(io::Error::other)?,
            buffer: vec![0; READ_BYTES],
        };
        for backend in 0..bound.ports.len() {
            bound.open_or_close(backend)?;
        }
        Ok(bound)
    }

    /// Where each listens, with the ports that the kernel chose.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.ports.iter().map(Port::endpoint)
    }

    /// With which other threads tell them what to do.
    #[must_use]
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// Serves until stopped; connections are then cut off.
    ///
    /// # Errors
    /// The operating system refuses to wait for events, or to listen again.
    pub fn run(mut self) -> io::Result<Counts> {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let unfinished = self.unfinished.len(UNFINISHED);
            let instant = self.poller.turn(&mut events, unfinished > 0)?;
            let now = self.epoch.time(instant);
            // What is due goes out before anything new is read.
            self.work(now)?;
            self.send_answers(now)?;
            for _ in 0..unfinished {
                if let Some(key) = self.unfinished.pop_first(UNFINISHED) {
                    self.drive(key, now)?;
                }
            }
            for event in &events {
                match *event {
                    Event::Woken => {
                        while let Ok(command) = self.commands.try_recv() {
                            match command {
                                Command::Begin(at, seed) => self.begin(at, seed, now),
                                Command::Stop => return Ok(self.tally.counts()),
                            }
                        }
                    }
                    Event::Ready { key: TICKER, .. } => {}
                    Event::Ready { key, .. } | Event::Expired { key, .. } if key.tag() == PORTS => {
                        self.accept(key, *event, instant);
                    }
                    Event::Ready { key, readiness } => self.ready(key, readiness, now)?,
                    Event::Expired { key, .. } => self.expired(key),
                }
            }
            self.send_answers(now)?;
            self.set_ticker()?;
        }
    }

    /// Time zero of scripts and counts may be in the future.
    fn begin(&mut self, at: SystemTime, seed: u64, now: Time) {
        let zero = self.epoch.time(instant_of(at));
        self.tally.begin(zero);
        let drift = Streams::new(seed).drift;
        self.fleet.begin(zero, drift, now, &mut self.agenda);
    }

    fn accept(&mut self, port: Key, event: Event, now: Instant) {
        let backend = port.index() as usize;
        let Some(acceptor) = self.ports.get_mut(backend).and_then(|it| it.acceptor.as_mut()) else {
            return;
        };
        if !acceptor.is_meant(event) {
            return;
        }
        while let Some(transport) = acceptor.next(now, &mut self.poller) {
            // A socket that the kernel does not watch is closed, which the client notices.
            let _ = self.clients.try_insert_with(|key| {
                let stream = Stream::accepted(transport, key, &self.poller)?;
                io::Result::Ok(Client::new(backend, stream))
            });
        }
    }

    fn ready(&mut self, key: Key, readiness: Readiness, now: Time) -> io::Result<()> {
        let Some(client) = self.clients.get_mut(key) else { return Ok(()) };
        let had_ended = client.stream.read_closed();
        client.stream.note(readiness);
        if !had_ended && client.stream.read_closed() {
            self.leave(key, now);
        }
        self.drive(key, now)
    }

    /// Only lingering connections have timers.
    fn expired(&mut self, key: Key) {
        if self.clients.get(key).is_some_and(|client| client.stage == Stage::Lingering) {
            self.clients.remove(key);
        }
    }

    /// Serves a client as far as that is possible now.
    fn drive(&mut self, key: Key, now: Time) -> io::Result<()> {
        loop {
            let Some(client) = self.clients.get_mut(key) else { return Ok(()) };
            let was_lingering = client.stage == Stage::Lingering;
            // A broken connection is removed like a finished one.
            let turn = client.advance(&mut self.buffer).unwrap_or(Turn::Over);
            if client.stage == Stage::Lingering && !was_lingering {
                self.poller.timers().wake_at(key, self.epoch.instant(now) + LINGER);
            }
            match turn {
                Turn::Asked(asked) => self.ask(key, asked, now)?,
                Turn::Waits => return Ok(()),
                Turn::Unfinished => {
                    self.unfinished.push(UNFINISHED, key);
                    return Ok(());
                }
                Turn::Over => {
                    if let Some(Client { stage: Stage::Working(job), .. }) =
                        self.clients.remove(key)
                    {
                        self.fleet.abandon(job);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// A client's request is complete. One that comes to a closed port, over a connection that was
    /// open, gets no answer.
    fn ask(&mut self, key: Key, asked: Asked, now: Time) -> io::Result<()> {
        let others = asked.query.seed.map_or(0, |seed| self.working_with(seed));
        let Some(client) = self.clients.get_mut(key) else { return Ok(()) };
        let backend = client.backend;
        if !self.fleet.listens(backend) || self.fleet.requests() >= MOST_REQUESTS {
            self.clients.remove(key);
            return Ok(());
        }
        self.tally.received(backend, now);
        let owner = Owner { client: key, number: self.answers[backend].count() };
        let ask = Ask {
            cost: asked.query.cost.unwrap_or(1.0),
            wait: asked.query.wait,
            seed: asked.query.seed.map_or_else(|| self.rng.u64(..), |it| it.wrapping_add(others)),
        };
        client.seed = asked.query.seed;
        client.stage =
            Stage::Working(self.fleet.receive(backend, ask, owner, now, &mut self.agenda));
        if client.stream.read_closed() {
            self.leave(key, now);
        }
        // What takes no time is answered now.
        self.work(now)
    }

    /// How many requests with this seed are in work, at whichever backend. One that comes then is a
    /// hedge, and has a service time of its own, as in the simulator.
    fn working_with(&self, seed: u64) -> u64 {
        let clients = self.clients.keys().filter_map(|key| self.clients.get(key));
        let is_one = |it: &&Client| it.seed == Some(seed) && matches!(it.stage, Stage::Working(_));
        clients.filter(is_one).count() as u64
    }

    /// A client has ended its stream. It has left, unless the answer costs nothing: then it gets
    /// it, because some end their stream after the last request.
    fn leave(&mut self, key: Key, now: Time) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Stage::Working(job) = client.stage else { return };
        self.tally.abandoned(client.backend, now);
        if client.stream.failed() || self.fleet.ends_with_client(job) {
            self.fleet.abandon(job);
            self.clients.remove(key);
        }
    }

    /// Lets happen what is due.
    fn work(&mut self, now: Time) -> io::Result<()> {
        while self.agenda.next_at().is_some_and(|at| at <= now)
            && let Some((at, event)) = self.agenda.take()
        {
            match self.fleet.happen(event, at, &mut self.agenda) {
                Some(Outcome::Answered(answer)) => self.answer(&answer, at),
                Some(Outcome::Changed(backend, change)) => {
                    if change == Change::Restarted {
                        self.restart(backend);
                    }
                    self.open_or_close(backend)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// A backend has answered; what it says is sent later in this turn.
    fn answer(&mut self, answer: &Answer<Owner>, due: Time) {
        let Answer { owner: Some(Owner { client: key, number }), status, took } = *answer else {
            return;
        };
        let Some(client) = self.clients.get_mut(key) else { return };
        let (reply, closes) = self.answers[client.backend].reply(number, status, duration(took));
        let closes = closes || !self.fleet.listens(client.backend);
        client.conversation.answer(reply, closes);
        client.stage = Stage::Open;
        self.answered.push(Answered { client: key, took, due });
    }

    fn send_answers(&mut self, now: Time) -> io::Result<()> {
        let mut sent = 0;
        // Those that were asked meanwhile and take no time are added to them.
        while let Some(answered) = self.answered.get(sent) {
            sent += 1;
            self.drive(answered.client, now)?;
        }
        if !self.answered.is_empty() {
            let now = self.epoch.time(read_clock());
            for Answered { took, due, .. } in self.answered.drain(..) {
                self.tally.answered(took, due, now);
            }
        }
        Ok(())
    }

    /// All connections of a backend are reset.
    fn restart(&mut self, backend: usize) {
        for job in self.fleet.restart(backend) {
            self.fleet.remove(job);
        }
        for key in self.clients_of(backend) {
            if let Some(client) = self.clients.remove(key) {
                client.stream.reset();
            }
        }
    }

    /// Opens or closes the port of a backend, as its script says. Where it closes, connections that
    /// wait for a request are closed, too, and the others after their answer.
    fn open_or_close(&mut self, backend: usize) -> io::Result<()> {
        let port = &mut self.ports[backend];
        match (self.fleet.listens(backend), port.acceptor.is_some()) {
            (true, false) => port.open(&self.poller)?,
            (false, true) => {
                port.close();
                for key in self.clients_of(backend) {
                    if self.clients.get(key).is_some_and(|it| it.conversation.is_idle()) {
                        self.clients.remove(key);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn clients_of(&self, backend: usize) -> Vec<Key> {
        let is_there = |key: &Key| self.clients.get(*key).is_some_and(|it| it.backend == backend);
        self.clients.keys().filter(is_there).collect()
    }

    fn set_ticker(&mut self) -> io::Result<()> {
        let next = self.agenda.next_at();
        if self.ticks_at != next
            && let Some(at) = next
        {
            // This turn has taken a part of the time until then.
            self.ticker.set(self.epoch.instant(at).saturating_duration_since(read_clock()))?;
        }
        self.ticks_at = next;
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "how late an answer is shows when it is sent")]
fn read_clock() -> Instant {
    Instant::now()
}

/// The instant of a time of day, as the clocks are now.
fn instant_of(at: SystemTime) -> Instant {
    let (now, today) = (read_clock(), SystemTime::now());
    match at.duration_since(today) {
        Ok(ahead) => now + ahead,
        Err(ago) => now.checked_sub(ago.duration()).unwrap_or(now),
    }
}
