//! New clients: how they are accepted, which ones they replace, and when accepting pauses.
//!
//! Edge-triggered accept does not tell twice. So a listener at which a connection may still wait is
//! remembered, and tried again when a slot is free, when a timer fires, or in the next turn.

use std::io;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::super::connection::{Client, Standing};
use super::super::exchange::Phase;
use super::super::listeners::{Listening, OwnListener};
use super::super::mailbox::{Command, Newcomer};
use super::super::peer::Peer;
use super::room::SETTLED;
use super::{IDLE, LISTENER, QUIET, Worker};
use crate::console::Console;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Key, LazyTimers, Lists, Poller, Slots, Stream, Timers};

/// Connections accepted at one listener in one turn, so that clients already here are served, too.
pub(super) const ACCEPTS_PER_TURN: usize = 64;

/// Turns in which as many are accepted at a listener that is closed: together as many connections
/// as the system lets wait.
pub(super) const LAST_TURNS: usize = 64;

/// How long accepting pauses when connection slots, descriptors or memory have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two warnings about the same thing.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The lists of listeners: those at which a connection may wait, and those at which one may wait
/// until a slot is free.
const PENDING: usize = 0;
const WAITING: usize = 1;

/// The sockets a worker listens on.
pub(super) struct Listeners {
    sockets: Slots<OwnListener>,
    order: Lists,
    /// Those that are closed once no connection waits at them.
    closing: Vec<Closing>,
    /// Dropped when these are closed.
    done: Vec<Sender<()>>,
    /// When to try again after an error: one entry per listener, however often it is tried
    /// meanwhile.
    retries: LazyTimers,
    warned: Option<Instant>,
}

/// A listener at which only those are accepted that wait already.
struct Closing {
    listener: Key,
    /// Its system may let others wait meanwhile, and so it has an end.
    turns_left: usize,
}

impl Listeners {
    /// # Errors
    /// When the system can't watch a listener.
    pub(super) fn open(listeners: Vec<OwnListener>, poller: &Poller) -> io::Result<Self> {
        let (sockets, retries) = (Slots::new(LISTENER), LazyTimers::default());
        let order = Lists::new(2);
        let (closing, done) = (Vec::new(), Vec::new());
        let mut opened = Self { sockets, order, closing, done, retries, warned: None };
        for listener in listeners {
            opened.add(listener, poller)?;
        }
        Ok(opened)
    }

    /// # Errors
    /// When the system can't watch the listener, which is closed then.
    fn add(&mut self, (id, socket): OwnListener, poller: &Poller) -> io::Result<()> {
        let watch = |key| socket.register(key, poller).map(|()| (id, socket));
        self.sockets.try_insert_with(watch).map(drop)
    }

    /// A slot is free: listeners at which a connection may wait are tried again.
    pub(super) fn capacity_freed(&mut self) {
        while let Some(key) = self.order.pop_first(WAITING) {
            self.order.push(PENDING, key);
        }
    }

    /// A connection may wait at a listener, unless it is closed by now, or being closed.
    pub(super) fn mark_pending(&mut self, listener: Key) {
        if self.sockets.get(listener).is_some() && !self.is_closing(listener) {
            self.order.push(PENDING, listener);
        }
    }

    fn is_closing(&self, listener: Key) -> bool {
        self.closing.iter().any(|closing| closing.listener == listener)
    }

    /// Whether there is a listener to be tried in the next turn.
    pub(super) fn has_pending(&self) -> bool {
        !self.order.is_empty(PENDING) || self.has_closing()
    }

    /// Whether there is a listener at which connections may wait that are accepted before it is
    /// closed.
    pub(super) fn has_closing(&self) -> bool {
        !self.closing.is_empty()
    }

    /// Closes those at which connections may wait still.
    pub(super) fn end_closing(&mut self) {
        for Closing { listener, .. } in self.closing.drain(..) {
            self.order.remove(listener);
            self.sockets.remove(listener);
        }
        self.done.clear();
    }

    /// A wait that began at the place of this listener is over. It may be time to try again the one
    /// that has the place now.
    pub(super) fn expired(&mut self, listener: Key, at: Instant) {
        if self.retries.fired(listener, at)
            && let Some(listener) = self.sockets.occupant(listener)
        {
            self.mark_pending(listener);
        }
    }

    /// No connection could be accepted: the listener is tried again when a slot is free, or after a
    /// pause.
    fn postpone(&mut self, listener: Key, now: Instant, timers: &mut Timers) {
        self.order.push(WAITING, listener);
        self.retries.set(Some(now + PAUSE), listener, timers);
    }

    fn keys(&self) -> Vec<Key> {
        self.sockets.keys().collect()
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

impl Worker {
    /// Accepts clients; what is left over waits for the next turn.
    pub(super) fn accept_all(&mut self, now: Instant) {
        let limit = self.context.settings.limits.connections;
        for _ in 0..self.listeners.order.len(PENDING) {
            if let Some(listener) = self.listeners.order.pop_first(PENDING)
                && self.accept_some(listener, limit, now)
            {
                self.listeners.mark_pending(listener);
            }
        }
        self.accept_last(now);
    }

    /// Accepts clients that wait at listeners that are being closed, even if there are more then
    /// than there may be, because they would be reset otherwise. One that is too many is closed
    /// after its answer.
    fn accept_last(&mut self, now: Instant) {
        for Closing { listener, turns_left } in std::mem::take(&mut self.listeners.closing) {
            let has_more = self.accept_some(listener, usize::MAX, now);
            self.listeners.order.remove(listener);
            if has_more && turns_left > 1 {
                let turns_left = turns_left - 1;
                self.listeners.closing.push(Closing { listener, turns_left });
            } else {
                self.listeners.sockets.remove(listener);
            }
        }
        if !self.listeners.has_closing() {
            self.listeners.done.clear();
        }
    }

    /// Whether a client that has had its answer is one too many, so that its connection is closed
    /// instead of kept.
    pub(super) fn is_over_limit(&self) -> bool {
        let limit = self.context.settings.limits.connections;
        self.accept_balancer.is_over(self.index, limit)
    }

    /// Whether there may be more to accept at once.
    fn accept_some(&mut self, listener: Key, limit: usize, now: Instant) -> bool {
        let mut freed = false;
        for _ in 0..ACCEPTS_PER_TURN {
            if !self.accept_balancer.has_room(limit) && self.idle_client(now).is_none() {
                return self.postpone(listener, now);
            }
            let Some((_, socket)) = self.listeners.sockets.get_mut(listener) else { return false };
            match socket.accept() {
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
                Err(error) if are_exhausted(&error) && !socket.has_waiting() => return false,
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
        let socket = self.listeners.sockets.get(listener);
        if socket.is_some_and(|(_, socket)| socket.has_waiting()) {
            self.listeners.postpone(listener, now, self.poller.timers());
            self.mailboxes.send_others(self.index, || Command::Capacity);
        }
        false
    }

    /// Makes clients of connections that were accepted and are counted as this worker's.
    pub(super) fn admit_all(&mut self, all: impl IntoIterator<Item = Newcomer>, now: Instant) {
        // A head's time begins with the connection, because one without a byte of it is idle, too.
        let timeouts = &self.context.settings.timeouts;
        let idle_until = match self.context.phase {
            Phase::Draining => now + QUIET.min(timeouts.drain),
            _ => now + timeouts.header,
        };
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

    /// Accepts the connections that were left here by another worker, and closes the listeners for
    /// good.
    pub(super) fn close_listeners(&mut self, now: Instant) {
        self.obey(self.mailboxes.refuse_clients(self.index), now);
        self.close(&self.listeners.keys());
    }

    /// Listens on what is new, and closes what is not to stay.
    pub(super) fn listen(&mut self, listening: Listening, now: Instant) {
        let Listening { opened, all, done } = listening;
        for listener in opened {
            if let Err(error) = self.listeners.add(listener, &self.poller) {
                self.listeners.warn(&error, now);
            }
        }
        let sockets = &self.listeners.sockets;
        let stays = |key: &Key| sockets.get(*key).is_some_and(|(id, _)| all.contains(id));
        let closed: Vec<Key> = sockets.keys().filter(|key| !stays(key)).collect();
        self.listeners.done.extend(done);
        self.close(&closed);
    }

    /// Closes listeners behind the connections that wait at them, which this and the next turns
    /// accept.
    fn close(&mut self, listeners: &[Key]) {
        let own = &mut self.listeners;
        for listener in listeners.iter().copied() {
            let Some((_, socket)) = own.sockets.get(listener) else { continue };
            if !own.is_closing(listener) {
                socket.withdraw(&self.poller);
                own.order.remove(listener);
                own.closing.push(Closing { listener, turns_left: LAST_TURNS });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::listeners::ListenerId;
    use super::*;
    use crate::reactor::Listener;

    #[test]
    fn a_listener_that_is_postponed_again_and_again_is_tried_once_per_pause() {
        let mut poller = Poller::new(8).expect("a poller");
        let listener = Listener::bind(&"127.0.0.1:0".parse().expect("ok")).expect("a listener");
        let listener = (ListenerId::default(), listener);
        let mut listeners = Listeners::open(vec![listener], &poller).expect("listeners");
        let (listener, start) = (listeners.keys()[0], poller.now());
        // Each client that leaves while descriptors are short is a reason to try in vain.
        for ms in 0..50 {
            listeners.postpone(listener, start + Duration::from_millis(ms), poller.timers());
            listeners.capacity_freed();
            assert_eq!(
                (listeners.order.pop_first(PENDING), listeners.has_pending()),
                (Some(listener), false)
            );
        }
        let timers = poller.timers();
        assert_eq!((timers.len(), timers.next()), (1, Some(start + PAUSE)));
        let (at, key) = timers.pop_due(start + PAUSE).expect("the retry");
        listeners.expired(key, at);
        assert!(listeners.has_pending());
        listeners.postpone(listener, at, poller.timers());
        assert!(!listeners.has_pending());
        assert_eq!(poller.timers().len(), 1);
    }

    #[test]
    fn what_was_waited_for_at_a_closed_listener_is_not_waited_for_at_another_one() {
        let mut poller = Poller::new(8).expect("a poller");
        let mut listeners = Listeners::open(Vec::new(), &poller).expect("none");
        let add = |listeners: &mut Listeners, poller: &Poller| {
            let socket = Listener::bind(&"127.0.0.1:0".parse().expect("ok")).expect("a listener");
            listeners.add((ListenerId::default(), socket), poller).expect("watched");
            listeners.keys()[0]
        };
        let closed = add(&mut listeners, &poller);
        listeners.mark_pending(closed);
        listeners.order.remove(closed);
        listeners.sockets.remove(closed);
        let other = add(&mut listeners, &poller);
        assert_eq!(closed.index(), other.index());
        listeners.mark_pending(closed);
        assert!(!listeners.has_pending(), "its event is stale");
        listeners.postpone(other, poller.now(), poller.timers());
        listeners.capacity_freed();
        assert_eq!(listeners.order.pop_first(PENDING), Some(other));
    }
}
