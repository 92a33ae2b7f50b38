//! The event loop that makes checks.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::super::backends::Backends;
use super::super::connection::connect_failure;
use super::super::exchange::ConnectFailure;
use super::super::metrics::WorkerMetrics;
use super::super::resolver::{AddressCursor, LocalResolver};
use super::super::settings::{Backend, Settings};
use super::conversation::{Conversation, Expiry, Finding};
use super::lock;
use super::target::Target;
use crate::balance::BackendId;
use crate::console::Console;
use crate::reactor::{Event, Key, LazyTimers, Poller, Received, Slots, Stream, Waker};

const EVENTS_PER_TURN: usize = 256;

const READ_BYTES: usize = 4096;

/// Between two tries to connect to a Unix socket whose backlog is full.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// The timer of the thread's end.
const STOP: Key = Key::fixed(0, 0);

/// The tag of the keys of what is checked, which have the timers.
const CHECKED: u8 = 1;

/// The tag of the keys of connections. They are other ones, so that an event for the connection of
/// a check that is over is not taken for one of the next check.
const LINKS: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(super) struct Checker {
    poller: Poller,
    backends: Weak<Mutex<Backends>>,
    settings: Arc<Settings>,
    resolver: LocalResolver,
    metrics: WorkerMetrics,
    checked: Slots<Checked>,
    links: Slots<Link>,
    lazy_timers: LazyTimers,
}

/// A backend that is checked.
#[derive(Debug)]
struct Checked {
    target: Target,
    current: Option<Current>,
}

/// The check of a backend that is under way.
#[derive(Debug)]
struct Current {
    conversation: Conversation,
    /// The address that is tried or was found, once there is one.
    cursor: Option<AddressCursor>,
    link: Option<Key>,
}

/// A connection.
#[derive(Debug)]
struct Link {
    stream: Stream,
    /// The key of what it checks.
    checked: Key,
}

/// What came of moving bytes.
enum Progress {
    /// An event or a timer is waited for.
    Waits,
    /// There is no connection to this address.
    Unconnected(ConnectFailure),
    /// The check has come out.
    Found(Finding),
    /// The connection is not needed any more.
    Over,
}

impl Checker {
    /// A loop that has nothing to do until it is woken.
    pub(super) fn new(
        backends: &Arc<Mutex<Backends>>,
        owned: &Backends,
    ) -> io::Result<(Self, Waker)> {
        let poller = Poller::new(EVENTS_PER_TURN)?;
        let waker = poller.waker();
        let checker = Self {
            poller,
            backends: Arc::downgrade(backends),
            settings: Arc::clone(&owned.settings),
            resolver: LocalResolver::new(Arc::clone(&owned.resolver)),
            metrics: owned.metrics.checks(),
            checked: Slots::new(CHECKED),
            links: Slots::new(LINKS),
            lazy_timers: LazyTimers::default(),
        };
        Ok((checker, waker))
    }

    /// Checks until the settings don't ask for it any more, or the proxy stops.
    pub(super) fn run(mut self) {
        let mut events = Vec::with_capacity(EVENTS_PER_TURN);
        loop {
            let now = match self.poller.turn(&mut events, false) {
                Ok(now) => now,
                Err(error) => return self.give_up(&error),
            };
            for event in &events {
                match *event {
                    Event::Woken => {
                        if !self.follow(now) {
                            return;
                        }
                    }
                    Event::Ready { key, readiness } => {
                        if let Some(link) = self.links.get_mut(key) {
                            link.stream.note(readiness);
                            let checked = link.checked;
                            self.work(checked, now);
                        }
                    }
                    Event::Expired { key: STOP, .. } => return,
                    Event::Expired { key, at } => {
                        if self.lazy_timers.fired(key, at)
                            && let Some(key) = self.checked.occupant(key)
                        {
                            self.look(key, now);
                        }
                    }
                }
            }
        }
    }

    /// There are no events any more.
    fn give_up(&self, error: &io::Error) {
        say(&format!("backends are not checked any more: {error}; restart the proxy"));
        if let Some(backends) = self.backends.upgrade() {
            lock(&backends).end_checks(self.poller.now());
        }
    }

    /// Takes over the settings and the backends as they are now; whether there is anything to be
    /// checked any more.
    fn follow(&mut self, now: Instant) -> bool {
        let Some(backends) = self.backends.upgrade() else { return false };
        let mut backends = lock(&backends);
        self.settings = Arc::clone(&backends.settings);
        if self.settings.checks.path.is_none() {
            backends.end_checks(now);
            return false;
        }
        if backends.is_stopping {
            // Until then the proxy serves as before.
            self.poller.timers().wake_at(STOP, now + self.settings.timeouts.shutdown_delay);
        }
        let active: HashMap<BackendId, Backend> = backends.active().cloned().collect();
        drop(backends);
        self.metrics.forget_gone();
        self.check_these(active, now);
        true
    }

    fn check_these(&mut self, mut active: HashMap<BackendId, Backend>, now: Instant) {
        let interval = self.settings.checks.interval;
        for key in self.checked.keys().collect::<Vec<_>>() {
            let Some(checked) = self.checked.get_mut(key) else { continue };
            if active.remove(&checked.target.id).is_some() {
                checked.target.hasten(interval, fastrand::f64(), now);
                self.set_timer(key, now);
            } else {
                self.close(key);
                self.checked.remove(key);
            }
        }
        for backend in active {
            let target = Target::new(backend, interval, fastrand::f64(), now);
            let key = self.checked.insert_with(|_| Checked { target, current: None });
            self.set_timer(key, now);
        }
    }

    fn set_timer(&mut self, key: Key, now: Instant) {
        let Some(Checked { target, current }) = self.checked.get(key) else { return };
        let deadline =
            current.as_ref().map_or(target.due(), |Current { conversation, link, .. }| {
                let link = link.and_then(|link| self.links.get(link));
                let deadline = conversation.deadline();
                if conversation.is_answered() {
                    deadline.min(target.due())
                } else if link.is_some_and(|link| link.stream.is_busy()) {
                    deadline.min(now + BUSY_PAUSE)
                } else {
                    deadline
                }
            });
        self.lazy_timers.set(Some(deadline), key, self.poller.timers());
    }

    /// The timer of a backend fired: a check is due, or has taken long.
    fn look(&mut self, key: Key, now: Instant) {
        let Some(Checked { target, current }) = self.checked.get(key) else { return };
        // What is left of an answer does not keep the next check waiting.
        let is_free = current.as_ref().is_none_or(|current| current.conversation.is_answered());
        if is_free && target.due() <= now {
            self.begin(key, now);
        } else {
            self.look_at_check(key, now);
        }
        self.work(key, now);
    }

    fn begin(&mut self, key: Key, now: Instant) {
        self.close(key);
        let Some(Checked { target, current }) = self.checked.get_mut(key) else { return };
        let conversation = target.begin(&self.settings, fastrand::f64(), now);
        *current = Some(Current { conversation, cursor: None, link: None });
        self.dial(key, ConnectFailure::Unreachable, now);
    }

    /// Does what follows for a check from the time it has taken.
    fn look_at_check(&mut self, key: Key, now: Instant) {
        let Some(Checked { target, current: Some(current) }) = self.checked.get_mut(key) else {
            return;
        };
        let is_connecting = current.conversation.is_connecting();
        match current.conversation.expire(now) {
            Expiry::NotYet if is_connecting => self.connect_again(key, now),
            Expiry::NotYet => {}
            Expiry::Connect => self.dial(key, ConnectFailure::TimedOut, now),
            Expiry::Over => self.close(key),
            Expiry::Failed(fault) => {
                if is_connecting {
                    self.resolver.request_refresh(target.id);
                }
                self.conclude(key, Finding::Faulty(fault), now);
                self.close(key);
            }
        }
    }

    /// Begins a connection to the backend's next address, where that to the last one failed.
    fn dial(&mut self, key: Key, mut failure: ConnectFailure, now: Instant) {
        let Some(Checked { target, current: Some(current) }) = self.checked.get_mut(key) else {
            return;
        };
        if let Some(link) = current.link.take() {
            self.links.remove(link);
        }
        let (id, poller) = (target.id, &self.poller);
        while failure != ConnectFailure::ResourceExhausted
            && let Some((cursor, endpoint)) = self.resolver.address(id, current.cursor)
        {
            current.cursor = Some(cursor);
            current.conversation.dialling(now);
            let opened = self.links.try_insert_with(|link| {
                let stream = Stream::connect(endpoint, link, poller)?;
                Ok::<_, io::Error>(Link { stream, checked: key })
            });
            match opened {
                Ok(link) => {
                    current.link = Some(link);
                    return;
                }
                Err(error) => failure = connect_failure(&error),
            }
        }
        if failure == ConnectFailure::ResourceExhausted {
            // That is no result, neither a good one nor a bad one.
            self.metrics.not_checked(id);
        } else {
            self.resolver.request_refresh(id);
            self.conclude(key, Finding::Faulty(failure.fault()), now);
        }
        self.close(key);
    }

    /// Tries a peer again that was busy.
    fn connect_again(&mut self, key: Key, now: Instant) {
        let Some(Checked { target, current: Some(current) }) = self.checked.get(key) else {
            return;
        };
        let (Some(cursor), Some(link)) = (current.cursor, current.link) else { return };
        let Some(Link { stream, .. }) = self.links.get_mut(link) else { return };
        let Some(endpoint) = self.resolver.address_at(target.id, cursor) else { return };
        if stream.is_busy()
            && let Err(error) = stream.connect_again(endpoint, link, &self.poller)
        {
            self.dial(key, connect_failure(&error), now);
        }
    }

    /// Moves bytes as long as any can be moved.
    fn work(&mut self, key: Key, now: Instant) {
        while let Some(Checked { target, current: Some(current) }) = self.checked.get_mut(key) {
            let Some(link) = current.link.and_then(|link| self.links.get_mut(link)) else {
                break;
            };
            let was_connecting = current.conversation.is_connecting();
            let progress = go_on(&mut current.conversation, &mut link.stream);
            if was_connecting
                && !current.conversation.is_connecting()
                && let Some(cursor) = current.cursor
            {
                self.resolver.mark_good(target.id, cursor);
            }
            match progress {
                Progress::Waits => break,
                Progress::Unconnected(failure) => self.dial(key, failure, now),
                Progress::Found(finding) => self.conclude(key, finding, now),
                Progress::Over => self.close(key),
            }
        }
        self.set_timer(key, now);
    }

    /// Takes what a check found.
    fn conclude(&mut self, key: Key, finding: Finding, now: Instant) {
        let Some(Checked { target, .. }) = self.checked.get_mut(key) else { return };
        self.metrics.checked(target.id, finding.result());
        let Some((verdict, text)) = target.take(finding, &self.settings.checks) else { return };
        if let Some(backends) = self.backends.upgrade() {
            lock(&backends).checked(target.id, verdict, now);
        }
        say(&text);
    }

    /// Ends a check, whatever it has come to.
    fn close(&mut self, key: Key) {
        let Some(Checked { current, .. }) = self.checked.get_mut(key) else { return };
        if let Some(link) = current.take().and_then(|current| current.link) {
            self.links.remove(link);
        }
    }
}

fn say(text: &str) {
    Console::standard().complain(&format!("tidegate: {text}"));
}

/// Sends and receives what is possible without waiting, until something follows from it.
fn go_on(conversation: &mut Conversation, stream: &mut Stream) -> Progress {
    while stream.can_write() && !conversation.pending().is_empty() {
        match stream.write([conversation.pending(), b""]) {
            Ok(Some(count)) => conversation.sent(count),
            Err(error) if conversation.is_connecting() => {
                return Progress::Unconnected(connect_failure(&error));
            }
            // An event tells when more can be sent; after an error there may be an answer.
            Ok(None) | Err(_) => break,
        }
    }
    let mut buffer = [0; READ_BYTES];
    while stream.can_read() && !conversation.is_connecting() && !conversation.is_over() {
        let finding = match stream.read(&mut buffer) {
            Ok(Received::Bytes(count)) => conversation.receive(&buffer[..count]),
            Ok(Received::Nothing) => break,
            Ok(Received::End) | Err(_) => conversation.ended(),
        };
        if let Some(finding) = finding {
            return Progress::Found(finding);
        }
    }
    if conversation.is_over() { Progress::Over } else { Progress::Waits }
}
