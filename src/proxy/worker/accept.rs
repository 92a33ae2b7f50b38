//! New clients: how they are accepted, which ones they replace, and when accepting pauses.
//!
//! Edge-triggered accept does not tell twice. So a listener at which a connection may still wait is
//! remembered, and tried again when a slot is free, when a timer fires, or in the next turn.

use std::io;
use std::time::{Duration, Instant};

use super::super::connection::{Client, Standing};
use super::super::mailbox::{Command, Newcomer};
use super::super::peer::Peer;
use super::room::SETTLED;
use super::{IDLE, LISTENER, Worker};
use crate::console::Console;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Key, LazyTimers, Listener, Lists, Poller, Stream, Timers};

/// Connections accepted at one listener in one turn, so that clients already here are served, too.
pub(super) const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting pauses when connection slots, descriptors or memory have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two warnings about the same thing.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The sockets a worker listens on.
pub(super) struct Listeners {
    sockets: Vec<Listener>,
    /// Those at which a connection may wait, each once.
    pending: Lists,
    /// Whether a connection may wait there until a slot is free.
    waiting: Vec<bool>,
    /// When to try again after an error: one entry per listener, however often it is tried
    /// meanwhile.
    retries: LazyTimers,
    warned: Option<Instant>,
}

impl Listeners {
    /// # Errors
    /// When the system can't watch a listener.
    pub(super) fn open(listeners: Vec<Listener>, poller: &Poller) -> io::Result<Self> {
        for (key, listener) in keys().zip(&listeners) {
            listener.register(key, poller)?;
        }
        let waiting = vec![false; listeners.len()];
        let (pending, retries) = (Lists::new(1), LazyTimers::default());
        Ok(Self { sockets: listeners, pending, waiting, retries, warned: None })
    }

    /// A slot is free: listeners at which a connection may wait are tried again.
    pub(super) fn capacity_freed(&mut self) {
        for (key, waiting) in keys().zip(&mut self.waiting) {
            if std::mem::take(waiting) {
                self.pending.push(0, key);
            }
        }
    }

    /// A connection may wait at a listener.
    pub(super) fn mark_pending(&mut self, listener: Key) {
        self.pending.push(0, listener);
    }

    /// Whether there is a listener to be tried in the next turn.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty(0)
    }

    /// Whether it is time to try a listener again; see [`LazyTimers::fired`].
    pub(super) fn fired(&mut self, listener: Key, at: Instant) -> bool {
        self.retries.fired(listener, at)
    }

    /// No connection could be accepted: the listener is tried again when a slot is free, or after a
    /// pause.
    fn postpone(&mut self, listener: Key, now: Instant, timers: &mut Timers) {
        if let Some(waiting) = self.waiting.get_mut(listener.index() as usize) {
            *waiting = true;
        }
        self.pending.remove(listener);
        self.retries.set(Some(now + PAUSE), listener, timers);
    }

    fn warn(&mut self, error: &io::Error, now: Instant) {
        if self.warned.is_some_and(|at| now.duration_since(at) < WARNING_INTERVAL) {
            return;
        }
        self.warned = Some(now);
        Console::standard().complain(&format!(
            "tidegate: can't accept connections for now: {error}; \
             existing ones are served on (raise `ulimit -n` or lower --max-connections)"
        ));
    }
}

fn keys() -> impl Iterator<Item = Key> {
    (0..).map(|index| Key::fixed(LISTENER, index))
}

impl Worker {
    /// Accepts clients; what is left over waits for the next turn.
    pub(super) fn accept_all(&mut self, now: Instant) {
        for _ in 0..self.listeners.pending.len(0) {
            if let Some(listener) = self.listeners.pending.pop_first(0)
                && self.accept_some(listener, now)
            {
                self.listeners.mark_pending(listener);
            }
        }
    }

    /// Whether there may be more to accept at once.
    fn accept_some(&mut self, listener: Key, now: Instant) -> bool {
        let at = listener.index() as usize;
        let limit = self.context.settings.limits.connections;
        let mut freed = false;
        for _ in 0..ACCEPTS_PER_TURN {
            if at >= self.listeners.sockets.len() {
                return false;
            }
            if !self.accept_balancer.has_room(limit) && self.idle_client(now).is_none() {
                return self.postpone(listener, now);
            }
            match self.listeners.sockets[at].accept() {
                Ok(Some(newcomer)) => {
                    freed = false;
                    if !self.accept_balancer.has_room(limit) {
                        self.close_idle(now);
                    }
                    let kept = self.accept_balancer.assign(self.index, newcomer, limit);
                    self.admit_all(kept, now);
                }
                Ok(None) => return false,
                // The system wants a descriptor before it looks whether a connection waits.
                Err(error)
                    if are_exhausted(&error) && !self.listeners.sockets[at].has_waiting() =>
                {
                    return false;
                }
                // A descriptor given back in vain is followed by no second one.
                Err(error)
                    if !freed && are_exhausted(&error) && self.free_descriptor(SETTLED, now) =>
                {
                    freed = true;
                }
                Err(error) => {
                    // A client that is idle now is closed when that has lasted a little.
                    let is_passing = !freed && !self.order.is_empty(IDLE);
                    if !is_passing || !are_exhausted(&error) {
                        self.listeners.warn(&error, now);
                    }
                    return self.postpone(listener, now);
                }
            }
        }
        true
    }

    /// No client here can be closed for the connection that waits, so the other workers are asked;
    /// none of them tells when it has closed one. If no connection waits, an event tells of the
    /// next one.
    fn postpone(&mut self, listener: Key, now: Instant) -> bool {
        let socket = self.listeners.sockets.get(listener.index() as usize);
        if socket.is_some_and(Listener::has_waiting) {
            self.listeners.postpone(listener, now, self.poller.timers());
            self.mailboxes.send_others(self.index, || Command::Capacity);
        }
        false
    }

    /// Makes clients of connections that were accepted and are counted as this worker's.
    pub(super) fn admit_all(&mut self, all: impl IntoIterator<Item = Newcomer>, now: Instant) {
        // A head's time begins with the connection, because one without a byte of it is idle, too.
        let idle_until = now + self.context.settings.timeouts.header;
        for (transport, client) in all {
            if self.clients.len() >= self.context.settings.limits.connections {
                self.drop_leaving();
            }
            let poller = &self.poller;
            let admitted = self.clients.try_insert_with(|key| {
                Ok::<_, io::Error>(Client {
                    stream: Stream::accepted(transport, key, poller)?,
                    peer: Peer::new(client),
                    in_flight: None,
                    bound: None,
                    idle_since: now,
                    idle_until,
                    standing: Standing::New,
                })
            });
            match admitted {
                Ok(key) => {
                    self.context.metrics.accepted();
                    self.order.push(IDLE, key);
                    self.client_timers.set(Some(idle_until), key, self.poller.timers());
                }
                Err(error) => {
                    self.accept_balancer.closed(self.index);
                    self.listeners.warn(&error, now);
                }
            }
        }
    }

    /// Accepts the connections that wait already, here or left by another worker, then closes the
    /// listeners for good.
    pub(super) fn close_listeners(&mut self, now: Instant) {
        self.obey(self.mailboxes.refuse_clients(self.index), now);
        self.listeners.sockets.iter().for_each(Listener::withdraw);
        for listener in keys().take(self.listeners.sockets.len()) {
            while self.accept_some(listener, now) {}
        }
        self.listeners.sockets.clear();
        self.listeners.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_that_is_postponed_again_and_again_is_tried_once_per_pause() {
        let mut poller = Poller::new(8).expect("a poller");
        let listener = Listener::bind(&"127.0.0.1:0".parse().expect("ok")).expect("a listener");
        let mut listeners = Listeners::open(vec![listener], &poller).expect("listeners");
        let (listener, start) = (Key::fixed(LISTENER, 0), poller.now());
        // Each client that leaves while descriptors are short is a reason to try in vain.
        for ms in 0..50 {
            listeners.postpone(listener, start + Duration::from_millis(ms), poller.timers());
            listeners.capacity_freed();
            assert_eq!(
                (listeners.pending.pop_first(0), listeners.has_pending()),
                (Some(listener), false)
            );
        }
        let timers = poller.timers();
        assert_eq!((timers.len(), timers.next()), (1, Some(start + PAUSE)));
        let (at, key) = timers.pop_due(start + PAUSE).expect("the retry");
        assert!(listeners.fired(key, at));
        listeners.postpone(listener, at, poller.timers());
        assert_eq!(poller.timers().len(), 1);
    }
}
