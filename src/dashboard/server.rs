//! The dashboard as a server: one thread that reads the log, and one that answers.
//!
//! The latter runs on the proxy's reactor: a connection costs a descriptor and no thread, and there
//! are never more connections than descriptors, apart from those that the log needs. When all are
//! taken, the connection that is idle for longest is closed for the next one.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connection, Service};
use super::reader;
use super::snapshot_cache::SnapshotCache;
use super::source::Source;
use crate::endpoint::Endpoint;
use crate::hosts::Hosts;
use crate::reactor::{
    Event, Key, LazyTimer, LazyTimers, Listener, Poller, Received, Slots, Stream, Transport,
};

/// How many clients get a stream; further ones are answered 503 and have to poll.
pub const STREAMS_MAX: usize = 32;

/// How many connections there are at most.
const CONNECTIONS_MAX: usize = 128;

/// Descriptors that are not for connections: the log, its folder, and those inherited at start.
const DESCRIPTORS_RESERVED: u64 = 16;

/// The fewest descriptors with which a browser and a check of health can be served at once.
pub const DESCRIPTORS_MIN: u64 = DESCRIPTORS_RESERVED + 4;

/// How long nothing is accepted after that failed, or when no connection can be closed for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many steps are taken for one connection, and how many connections are accepted, before it is
/// the turn of others.
const ROUNDS_PER_TURN: usize = 16;

const EVENTS_PER_TURN: usize = 256;

const READ_BYTES: usize = 8 << 10;

/// How much of an existing log is read: some minutes of a busy proxy.
const BACKLOG_BYTES: u64 = 32 << 20;

const LISTENER: Key = Key::fixed(0, 0);

/// The tag of the clients' keys.
const CLIENTS: u8 = 1;

/// What the dashboard shows and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// A log, or a folder of which the newest log is followed. It need not exist yet.
    pub log: PathBuf,
    /// Whether an existing log is read whole, rather than its last 32 MiB.
    pub from_start: bool,
    /// Host names that requests may have, besides those of the loopback and the address.
    pub allowed_hosts: Vec<String>,
    /// How many descriptors the process may have.
    pub descriptors: u64,
}

/// A dashboard that listens.
#[derive(Debug)]
pub struct Dashboard {
    poller: Poller,
    listener: Listener,
    accept_again: LazyTimer,
    clients: Slots<Client>,
    lazy_timers: LazyTimers,
    /// Those that had more to do than fits into a turn.
    unfinished: VecDeque<Key>,
    cache: Arc<SnapshotCache>,
    hosts: Hosts,
    /// How many clients there may be, and how many of them may have a stream.
    clients_max: usize,
    streams_max: usize,
}

#[derive(Debug)]
struct Client {
    stream: Stream,
    connection: Connection,
    local: IpAddr,
}

/// The outcome of a client's turn.
enum Turn {
    /// It continues with the next event.
    Waits,
    /// There is more to do.
    Unfinished,
    /// The connection is broken or has ended.
    Over,
}

impl Dashboard {
    /// Listens, and begins to read the log.
    ///
    /// # Errors
    /// When the address cannot be listened on, or there is no thread to be had.
    pub fn start(options: Options) -> io::Result<Self> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let listener = Listener::bind(&options.listen.into())?;
        listener.register(LISTENER, &poller)?;
        let backlog_bytes = (!options.from_start).then_some(BACKLOG_BYTES);
        let source = Source::new(options.log, backlog_bytes);
        let cache = Arc::new(SnapshotCache::new(&source));
        let (reading, caller) = (Arc::clone(&cache), poller.waker());
        let reader = thread::Builder::new().name("reader".to_owned());
        reader.spawn(move || reader::run(source, &reading, &caller))?;
        let spare = options.descriptors.saturating_sub(DESCRIPTORS_RESERVED);
        let clients_max = usize::try_from(spare).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX);
        Ok(Self {
            poller,
            listener,
            accept_again: LazyTimer::default(),
            clients: Slots::new(CLIENTS),
            lazy_timers: LazyTimers::default(),
            unfinished: VecDeque::new(),
            cache,
            hosts: Hosts::new(options.listen.ip(), &options.allowed_hosts),
            clients_max,
            streams_max: STREAMS_MAX.min(clients_max / 2),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }

    /// Answers until waiting for events fails, and returns the error.
    #[must_use]
    pub fn run(mut self) -> io::Error {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let now = match self.poller.turn(&mut events, !self.unfinished.is_empty()) {
                Ok(now) => now,
                Err(error) => return error,
            };
            for key in std::mem::take(&mut self.unfinished) {
                self.serve(key, now);
            }
            for event in &events {
                match *event {
                    Event::Woken => self.serve_streams(now),
                    Event::Ready { key: LISTENER, .. } => self.accept(now),
                    Event::Ready { key, readiness } => {
                        if let Some(client) = self.clients.get_mut(key) {
                            client.stream.note(readiness);
                            self.serve(key, now);
                        }
                    }
                    Event::Expired { key: LISTENER, at } => {
                        if self.accept_again.fired(at) {
                            self.accept(now);
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

    fn accept(&mut self, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            let is_full = self.clients.len() >= self.clients_max;
            if is_full && self.longest_idle().is_none() {
                return self.accept_later(now + ACCEPT_PAUSE);
            }
            match self.listener.accept() {
                Ok(Some((socket, _))) => {
                    if is_full {
                        self.close_idlest();
                    }
                    // A client that can't be registered is closed.
                    let _ = self.admit(socket, now);
                }
                Ok(None) => return,
                Err(_) => {
                    // Descriptors may have run out all the same.
                    self.close_idlest();
                    return self.accept_later(now + ACCEPT_PAUSE);
                }
            }
        }
        self.accept_later(now);
    }

    fn accept_later(&mut self, at: Instant) {
        self.accept_again.set(Some(at), LISTENER, self.poller.timers());
    }

    fn admit(&mut self, socket: Transport, now: Instant) -> io::Result<()> {
        let (poller, local) = (&self.poller, socket.local_ip()?);
        let key = self.clients.try_insert_with(|key| {
            let stream = Stream::accepted(socket, key, poller)?;
            Ok::<_, io::Error>(Client { stream, connection: Connection::new(now), local })
        })?;
        self.serve(key, now);
        Ok(())
    }

    fn close_idlest(&mut self) {
        if let Some(key) = self.longest_idle() {
            self.clients.remove(key);
        }
    }

    fn longest_idle(&self) -> Option<Key> {
        let idle = self.clients.keys().filter_map(|key| {
            let since = self.clients.get(key)?.connection.idle_since()?;
            Some((since, key))
        });
        idle.min().map(|(_, key)| key)
    }

    fn serve_streams(&mut self, now: Instant) {
        for key in self.streams() {
            self.serve(key, now);
        }
    }

    fn streams(&self) -> Vec<Key> {
        let is_stream =
            |key: &Key| self.clients.get(*key).is_some_and(|client| client.connection.is_stream());
        self.clients.keys().filter(is_stream).collect()
    }

    /// Does what is possible for a client now.
    fn serve(&mut self, key: Key, now: Instant) {
        let has_stream = self.streams().len() < self.streams_max;
        let Some(client) = self.clients.get_mut(key) else { return };
        let (cache, hosts, local) = (&*self.cache, &self.hosts, client.local);
        match client.go_on(Service { cache, hosts, local, has_stream }, now) {
            Turn::Waits => {}
            // Once is enough, however many events there were.
            Turn::Unfinished if self.unfinished.contains(&key) => {}
            Turn::Unfinished => self.unfinished.push_back(key),
            Turn::Over => {
                self.clients.remove(key);
                return;
            }
        }
        self.lazy_timers.set(client.connection.deadline(), key, self.poller.timers());
    }

    fn look_at_deadline(&mut self, place: Key, now: Instant) {
        let Some(key) = self.clients.occupant(place) else { return };
        let Some(client) = self.clients.get(key) else { return };
        match client.connection.deadline() {
            Some(deadline) if deadline <= now => drop(self.clients.remove(key)),
            deadline => self.lazy_timers.set(deadline, key, self.poller.timers()),
        }
    }
}

impl Client {
    fn go_on(&mut self, service: Service<'_>, now: Instant) -> Turn {
        let mut buffer = [0; READ_BYTES];
        for _ in 0..ROUNDS_PER_TURN {
            if !self.connection.has_pending() {
                if self.connection.advance(service, now) {
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
                continue;
            }
            if !self.stream.can_write() {
                return Turn::Waits;
            }
            let pending = self.connection.pending();
            let written = if self.connection.ends() {
                self.stream.write_last(pending)
            } else {
                self.stream.write(pending)
            };
            match written {
                Ok(Some(count)) => self.connection.sent(count, now),
                Ok(None) => return Turn::Waits,
                Err(_) => return Turn::Over,
            }
        }
        Turn::Unfinished
    }
}
