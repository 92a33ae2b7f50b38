//! One look at the operating system per turn of the loop: events, timers and the clock.
//!
//! This is the only place of the program's request path that reads the clock. All else is told the
//! time, so that all else can be tested with simulated time.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use rustix::event::epoll::{self, EventData, EventFlags};

use super::{Key, Timers};

/// Something that happened since the last turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The source registered under `key` became ready.
    Ready {
        /// The key it was registered with.
        key: Key,
        /// What is worth trying now.
        readiness: Readiness,
    },
    /// A wake-up asked of [`Timers::wake_at`] is due.
    Expired {
        /// The key that asked.
        key: Key,
        /// The instant it asked for; not later than the turn's.
        at: Instant,
    },
    /// Another thread used a [`Waker`], once or more often.
    Woken,
}

/// What the kernel reports of a source, or what is still known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent facts, as epoll gives them")]
pub struct Readiness {
    /// A read may find bytes.
    pub readable: bool,
    /// A write may find room.
    pub writable: bool,
    /// The peer has finished sending; bytes may precede its end.
    pub read_closed: bool,
    /// An error is pending, such as a reset or a refused connect; bytes may precede it.
    pub failed: bool,
    /// The peer has sent an urgent byte, at which a read stops though more may follow it.
    pub urgent: bool,
}

impl Readiness {
    fn of(event: &mio::event::Event) -> Self {
        Self {
            readable: event.is_readable(),
            writable: event.is_writable(),
            read_closed: event.is_read_closed(),
            failed: event.is_error(),
            urgent: event.is_priority(),
        }
    }
}

/// Wakes a [`Poller`] from another thread.
#[derive(Debug, Clone)]
pub struct Waker(Arc<mio::Waker>);

impl Waker {
    /// Makes the poller's current or next turn end with a [`Event::Woken`].
    ///
    /// # Errors
    /// Only if the operating system refuses the write to the poller's eventfd.
    pub fn wake(&self) -> io::Result<()> {
        self.0.wake()
    }
}

/// The event loop's view of the operating system.
#[derive(Debug)]
pub struct Poller {
    poll: Poll,
    events: Events,
    timers: Timers,
    waker: Waker,
    now: Instant,
}

/// How often a turn asks for more events: with the capacity that is more of them than there are
/// sockets, and still an end, should new ones come as fast as they are taken.
const CALLS_PER_TURN: usize = 1024;

/// No slot and no fixed key reaches this index, so the caller's token is no one else's.
const WAKER: Token = Token(usize::MAX);

impl Poller {
    /// A poller that takes up to `events_capacity` events with one system call.
    ///
    /// # Errors
    /// When the operating system gives no epoll or eventfd descriptor.
    pub fn new(events_capacity: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker(Arc::new(mio::Waker::new(poll.registry(), WAKER)?));
        Ok(Self {
            poll,
            events: Events::with_capacity(events_capacity),
            timers: Timers::default(),
            waker,
            now: read_clock(),
        })
    }

    /// Waits for something to happen, fills `events` with it (readiness first, so that an answer
    /// and its timeout in one turn count as an answer) and returns the instant the waiting ended.
    ///
    /// With `again`, for a caller that has work left over, it looks and does not wait. Otherwise it
    /// waits until the next timer, counted from the start of the last turn: a timer can be late by
    /// what the turn's work took, and the kernel rounds up to whole milliseconds.
    /// A signal that interrupts the wait ends it, with what has happened until then.
    ///
    /// # Errors
    /// Whatever `epoll_wait` fails with, except for an interruption.
    pub fn turn(&mut self, events: &mut Vec<Event>, again: bool) -> io::Result<Instant> {
        events.clear();
        let timeout = if again {
            Some(Duration::ZERO)
        } else {
            self.timers.next().map(|at| at.saturating_duration_since(self.now))
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                // Whoever was stopped for long must see what came in before what is overdue.
                self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            }
            outcome => outcome?,
        }
        let mut calls = 1;
        // Who decides by what has happened must know all of it.
        while self.hand_out(events) && calls < CALLS_PER_TURN {
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            calls += 1;
        }
        self.now = read_clock();
        while let Some((at, key)) = self.timers.pop_due(self.now) {
            events.push(Event::Expired { key, at });
        }
        Ok(self.now)
    }

    /// Adds the events of one call to `events`; whether there may be more.
    fn hand_out(&self, events: &mut Vec<Event>) -> bool {
        let before = events.len();
        events.extend(self.events.iter().map(|event| match event.token() {
            WAKER => Event::Woken,
            token => Event::Ready { key: token.into(), readiness: Readiness::of(event) },
        }));
        events.len() - before == self.events.capacity()
    }

    /// The instant of the last turn, or of construction before the first.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A handle with which other threads wake this poller.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The pending wake-ups.
    pub fn timers(&mut self) -> &mut Timers {
        &mut self.timers
    }

    /// Registers a socket for reading and writing, edge-triggered, once for its life: closing its
    /// descriptor ends the registration.
    ///
    /// # Errors
    /// When the kernel refuses, as it does at its limit of watched descriptors.
    pub(super) fn register(&self, socket: &impl AsFd, key: Key) -> io::Result<()> {
        let all = EventFlags::IN | EventFlags::OUT | EventFlags::PRI | EventFlags::RDHUP;
        self.watch(socket, key, all)
    }

    /// Like `register`, for what is never written, such as a listener. If other pollers
    /// watch the same, an event wakes one of those that wait, or more, and not all.
    ///
    /// # Errors
    /// When the kernel refuses, as it does at its limit of watched descriptors.
    pub fn register_readable(&self, source: &impl AsFd, key: Key) -> io::Result<()> {
        self.watch(source, key, EventFlags::IN | EventFlags::EXCLUSIVE)
    }

    /// Reports nothing of `source` any more.
    ///
    /// # Errors
    /// When the kernel does not watch it.
    pub fn deregister(&self, source: &impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(self.poll.registry(), source)?)
    }

    fn watch(&self, source: &impl AsFd, key: Key, interest: EventFlags) -> io::Result<()> {
        let token = EventData::new_u64(Token::from(key).0 as u64);
        Ok(epoll::add(self.poll.registry(), source, token, interest | EventFlags::ET)?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock read per turn of the loop")]
fn read_clock() -> Instant {
    Instant::now()
}
