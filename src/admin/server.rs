//! The loop that answers, and the thread that makes changes for it.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::connection::Connection;
use super::listeners::{Bound, Entry};
use super::request::Request;
use super::routes::{Asked, Effect, Route, Service};
use crate::reactor::{
    Event, Key, LazyTimer, LazyTimers, Poller, Received, Slots, Stream, Transport, Waker,
};

/// How many connections there are at each address at most. When all are taken, the one that is idle
/// for longest is closed for the next one.
const CONNECTIONS_MAX: usize = 64;

/// How long nothing is accepted after that failed, or when no connection can be closed for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many steps are taken for one connection, and how many connections are accepted, before it is
/// the turn of others.
const ROUNDS_PER_TURN: usize = 16;

const EVENTS_PER_TURN: usize = 64;

const READ_BYTES: usize = 8 << 10;

/// The tag of the listeners' keys, which have their places as indices.
const LISTENERS: u8 = 0;

/// The tag of the clients' keys.
const CLIENTS: u8 = 1;

/// The admin API while it answers; dropped, it ends, and connections are closed.
#[derive(Debug)]
pub struct Server {
    /// Dropped first, which is how the loop is told.
    running: Option<Sender<()>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers from now on.
    ///
    /// # Errors
    /// The system gives no thread or no event loop.
    pub fn start(bound: Bound, service: impl FnOnce(Instant) -> Service) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let (waker, started) = (poller.waker(), poller.now());
        for (key, entry) in keys().zip(&bound.0) {
            entry.listener.register(key, &poller)?;
        }
        let service = Arc::new(service(started));
        let changer = Changer::start(Arc::clone(&service), waker.clone())?;
        let (running, told) = channel();
        let accept_again = bound.0.iter().map(|_| LazyTimer::default()).collect();
        let answering = Loop {
            poller,
            entries: bound.0,
            accept_again,
            clients: Slots::new(CLIENTS),
            lazy_timers: LazyTimers::default(),
            unfinished: VecDeque::new(),
            service,
            changer,
        };
        let thread = thread::Builder::new().name("admin".to_owned());
        let thread = thread.spawn(move || answering.run(&told))?;
        Ok(Self { running: Some(running), waker, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.running.take());
        // An eventfd that refuses its one write has the loop woken already.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // One that panicked has ended, too.
            let _ = thread.join();
        }
    }
}

/// The keys of listeners.
fn keys() -> impl Iterator<Item = Key> {
    (0..).map(|place| Key::fixed(LISTENERS, place))
}

/// A request that changes something, and where its answer goes.
struct Change {
    client: Key,
    route: &'static Route,
    request: Request,
    name: String,
    now: Instant,
}

/// The thread that makes changes, one after the other. It ends with this.
#[derive(Debug)]
struct Changer {
    changes: Sender<Change>,
    answers: Receiver<(Key, Answer)>,
}

impl Changer {
    fn start(service: Arc<Service>, waker: Waker) -> io::Result<Self> {
        // Each connection has one request at a time, so no more than these are in either.
        let (changes, asked) = channel::<Change>();
        let (made, answers) = channel();
        let thread = thread::Builder::new().name("admin-changes".to_owned());
        thread.spawn(move || {
            while let Ok(Change { client, route, request, name, now }) = asked.recv() {
                let (request, service, name) = (&request, &*service, name.as_str());
                let answer = route.answer(&Asked { request, service, name, now });
                if made.send((client, answer)).is_err() {
                    return;
                }
                // An eventfd that refuses its one write has the loop woken already.
                let _ = waker.wake();
            }
        })?;
        Ok(Self { changes, answers })
    }
}

#[derive(Debug)]
struct Loop {
    poller: Poller,
    entries: Vec<Entry>,
    /// When each of them accepts again.
    accept_again: Vec<LazyTimer>,
    clients: Slots<Client>,
    lazy_timers: LazyTimers,
    /// Those that had more to do than fits into a turn.
    unfinished: VecDeque<Key>,
    service: Arc<Service>,
    changer: Changer,
}

#[derive(Debug)]
struct Client {
    stream: Stream,
    connection: Connection,
    /// The place of the listener that it came to.
    entry: usize,
}

/// The outcome of a client's turn.
enum Turn {
    /// It continues with the next event.
    Waits,
    /// There is more to do.
    Unfinished,
    /// It asks this.
    Asks(Request),
    /// The connection is broken or has ended.
    Over,
}

impl Loop {
    /// Answers until the other end of `told` is dropped, or waiting for events fails.
    fn run(mut self, told: &Receiver<()>) {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        while let Ok(now) = self.poller.turn(&mut events, !self.unfinished.is_empty()) {
            for key in std::mem::take(&mut self.unfinished) {
                self.serve(key, now);
            }
            for event in &events {
                match *event {
                    Event::Woken => {
                        if told.try_recv() == Err(TryRecvError::Disconnected) {
                            return;
                        }
                        self.pass_answers_on(now);
                    }
                    Event::Ready { key, .. } if key.tag() == LISTENERS => self.accept(key, now),
                    Event::Ready { key, readiness } => {
                        if let Some(client) = self.clients.get_mut(key) {
                            client.stream.note(readiness);
                            self.serve(key, now);
                        }
                    }
                    Event::Expired { key, at } if key.tag() == LISTENERS => {
                        let timer = self.accept_again.get_mut(key.index() as usize);
                        if timer.is_some_and(|timer| timer.fired(at)) {
                            self.accept(key, now);
                        }
                    }
                    Event::Expired { key, at } => {
                        if self.lazy_timers.fired(key, at) {
                            self.look_at_deadline(key, now);
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self, key: Key, now: Instant) {
        let place = key.index() as usize;
        for _ in 0..ROUNDS_PER_TURN {
            let of_it = |client: &&Client| client.entry == place;
            let taken = self.clients.keys().filter_map(|key| self.clients.get(key)).filter(of_it);
            let is_full = taken.count() >= CONNECTIONS_MAX;
            if is_full && self.longest_idle(place).is_none() {
                return self.accept_later(key, now + ACCEPT_PAUSE);
            }
            let Some(entry) = self.entries.get_mut(place) else { return };
            match entry.listener.accept() {
                Ok(Some((socket, _))) => {
                    if is_full {
                        self.close_idlest(place);
                    }
                    // A client that can't be registered is closed.
                    let _ = self.admit(socket, place, now);
                }
                Ok(None) => return,
                // Descriptors have run out.
                Err(_) => return self.accept_later(key, now + ACCEPT_PAUSE),
            }
        }
        self.accept_later(key, now);
    }

    fn accept_later(&mut self, key: Key, at: Instant) {
        if let Some(timer) = self.accept_again.get_mut(key.index() as usize) {
            timer.set(Some(at), key, self.poller.timers());
        }
    }

    fn admit(&mut self, socket: Transport, place: usize, now: Instant) -> io::Result<()> {
        let (poller, local) = (&self.poller, socket.local_ip().ok());
        let access = self.entries[place].access.clone();
        let key = self.clients.try_insert_with(|key| {
            let stream = Stream::accepted(socket, key, poller)?;
            let connection = Connection::new(access, local, now);
            Ok::<_, io::Error>(Client { stream, connection, entry: place })
        })?;
        self.serve(key, now);
        Ok(())
    }

    fn close_idlest(&mut self, place: usize) {
        if let Some(key) = self.longest_idle(place) {
            self.clients.remove(key);
        }
    }

    fn longest_idle(&self, place: usize) -> Option<Key> {
        let idle = self.clients.keys().filter_map(|key| {
            let client = self.clients.get(key).filter(|client| client.entry == place)?;
            Some((client.connection.idle_since()?, key))
        });
        idle.min().map(|(_, key)| key)
    }

    fn pass_answers_on(&mut self, now: Instant) {
        while let Ok((key, answer)) = self.changer.answers.try_recv() {
            // A client that is gone by now is told nothing.
            if let Some(client) = self.clients.get_mut(key) {
                client.connection.answer(answer, now);
                self.serve(key, now);
            }
        }
    }

    /// Does what is possible for a client now.
    fn serve(&mut self, key: Key, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            let Some(client) = self.clients.get_mut(key) else { return };
            match client.go_on(now) {
                Turn::Asks(request) => self.answer(key, request, now),
                Turn::Waits => return self.set_timer(key),
                Turn::Unfinished => break,
                Turn::Over => {
                    self.clients.remove(key);
                    return;
                }
            }
        }
        // Once is enough, however many events there were.
        if !self.unfinished.contains(&key) {
            self.unfinished.push_back(key);
        }
        self.set_timer(key);
    }

    /// Answers at once what waits for nothing, and leaves the rest to the other thread.
    fn answer(&mut self, key: Key, request: Request, now: Instant) {
        let answer = match Route::of(&request) {
            Err(refusal) => refusal,
            Ok((route, name)) if route.effect != Effect::Reads => {
                let change = Change { client: key, route, request, name, now };
                if self.changer.changes.send(change).is_ok() {
                    return;
                }
                Answer::error(500, "nothing can be changed any more; restart the proxy")
            }
            Ok((route, name)) => {
                let (request, service, name) = (&request, &*self.service, name.as_str());
                route.answer(&Asked { request, service, name, now })
            }
        };
        if let Some(client) = self.clients.get_mut(key) {
            client.connection.answer(answer, now);
        }
    }

    fn set_timer(&mut self, key: Key) {
        if let Some(client) = self.clients.get(key) {
            self.lazy_timers.set(client.connection.deadline(), key, self.poller.timers());
        }
    }

    fn look_at_deadline(&mut self, place: Key, now: Instant) {
        let Some(key) = self.clients.occupant(place) else { return };
        let Some(client) = self.clients.get(key) else { return };
        match client.connection.deadline() {
            Some(deadline) if deadline <= now => drop(self.clients.remove(key)),
            _ => self.set_timer(key),
        }
    }
}

impl Client {
    fn go_on(&mut self, now: Instant) -> Turn {
        let mut buffer = [0; READ_BYTES];
        for _ in 0..ROUNDS_PER_TURN {
            let pending = self.connection.pending();
            if !pending.is_empty() {
                if !self.stream.can_write() {
                    return Turn::Waits;
                }
                let written = if self.connection.ends() {
                    self.stream.write_last([pending, &[]])
                } else {
                    self.stream.write([pending, &[]])
                };
                match written {
                    Ok(Some(count)) => self.connection.sent(count, now),
                    Ok(None) => return Turn::Waits,
                    Err(_) => return Turn::Over,
                }
                continue;
            }
            if let Some(request) = self.connection.take_request(now) {
                return Turn::Asks(request);
            }
            if !self.connection.pending().is_empty() {
                continue;
            }
            if !self.connection.takes_bytes() || !self.stream.can_read() {
                return Turn::Waits;
            }
            match self.stream.read(&mut buffer) {
                Ok(Received::Bytes(count)) => self.connection.receive(&buffer[..count], now),
                Ok(Received::Nothing) => return Turn::Waits,
                Ok(Received::End) | Err(_) => return Turn::Over,
            }
        }
        Turn::Unfinished
    }
}
