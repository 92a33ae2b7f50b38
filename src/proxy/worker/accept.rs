//! New clients: how they come in, whom they replace, and when the doors stay shut.
//!
//! Edge-triggered accept does not tell twice. So a door at which somebody may still be waiting is
//! remembered, and tried again when a slot frees, when a timer rings, or in the next turn.

use std::io;
use std::time::{Duration, Instant};

use super::super::connection::{Client, PeerName, Standing};
use super::super::spread::Newcomer;
use super::room::SETTLED;
use super::{DOOR, IDLE, Worker};
use crate::console::Console;
use crate::reactor::descriptors::are_exhausted;
use crate::reactor::{Alarms, Key, Listener, Lists, Poller, Stream, Timers};

/// Connections accepted at one door in one turn, so that clients already here are served, too.
pub(super) const ACCEPTS_PER_TURN: usize = 64;

/// How long accepting pauses when places, descriptors or memory have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Between two complaints about the same thing.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// The sockets a worker listens on.
pub(super) struct Doors {
    listeners: Vec<Listener>,
    /// Those at which somebody may stand, each once.
    knocked: Lists,
    /// Whether somebody may wait outside for a slot.
    waiting: Vec<bool>,
    /// When to try again after an error: one entry per door, however often it is tried meanwhile.
    retries: Alarms,
    complained: Option<Instant>,
}

impl Doors {
    /// # Errors
    /// When the system can't watch a listener.
    pub(super) fn open(mut listeners: Vec<Listener>, poller: &Poller) -> io::Result<Self> {
        for (key, listener) in keys().zip(&mut listeners) {
            listener.register(key, poller)?;
        }
        let waiting = vec![false; listeners.len()];
        let (knocked, retries) = (Lists::new(1), Alarms::default());
        Ok(Self { listeners, knocked, waiting, retries, complained: None })
    }

    /// A slot is free: doors at which somebody may wait are tried again.
    pub(super) fn slot_freed(&mut self) {
        for (key, waiting) in keys().zip(&mut self.waiting) {
            if std::mem::take(waiting) {
                self.knocked.push(0, key);
            }
        }
    }

    /// Somebody may stand at a door.
    pub(super) fn knock(&mut self, door: Key) {
        self.knocked.push(0, door);
    }

    /// Whether there is a door to be tried in the next turn.
    pub(super) fn are_knocked_at(&self) -> bool {
        !self.knocked.is_empty(0)
    }

    /// Whether it is time to try a door again; see [`Alarms::rang`].
    pub(super) fn rang(&mut self, door: Key, at: Instant) -> bool {
        self.retries.rang(door, at)
    }

    /// Nobody could be let in: the door is tried again when a slot frees, or after a pause.
    fn put_off(&mut self, door: Key, now: Instant, timers: &mut Timers) {
        if let Some(waiting) = self.waiting.get_mut(door.index() as usize) {
            *waiting = true;
        }
        self.knocked.remove(door);
        self.retries.set(Some(now + PAUSE), door, timers);
    }

    fn complain(&mut self, error: &io::Error, now: Instant) {
        if self.complained.is_some_and(|at| now.duration_since(at) < COMPLAINT_INTERVAL) {
            return;
        }
        self.complained = Some(now);
        Console::standard().complain(&format!(
            "tidegate: can't accept connections for now: {error}; \
             existing ones are served on (raise `ulimit -n` or lower --max-connections)"
        ));
    }
}

fn keys() -> impl Iterator<Item = Key> {
    (0..).map(|index| Key::fixed(DOOR, index))
}

impl Worker {
    /// Lets clients in; what is left over waits for the next turn.
    pub(super) fn accept_all(&mut self, now: Instant) {
        for _ in 0..self.doors.knocked.len(0) {
            if let Some(door) = self.doors.knocked.pop_first(0)
                && self.accept_some(door, now)
            {
                self.doors.knock(door);
            }
        }
    }

    /// Whether there may be more to accept at once.
    fn accept_some(&mut self, door: Key, now: Instant) -> bool {
        let at = door.index() as usize;
        let mut freed = false;
        for _ in 0..ACCEPTS_PER_TURN {
            if at >= self.doors.listeners.len() {
                return false;
            }
            if !self.spread.has_room() && self.idle_client(now).is_none() {
                return self.put_off(door, now);
            }
            match self.doors.listeners[at].accept() {
                Ok(Some(newcomer)) => {
                    freed = false;
                    if !self.spread.has_room() {
                        self.close_idle(now);
                    }
                    let kept = self.spread.place(self.index, newcomer);
                    self.admit_all(kept, now);
                }
                Ok(None) => return false,
                // The system wants a descriptor before it looks whether there is anybody.
                Err(error) if are_exhausted(&error) && !self.doors.listeners[at].has_waiting() => {
                    return false;
                }
                // A descriptor given back in vain is followed by no second one.
                Err(error)
                    if !freed && are_exhausted(&error) && self.free_descriptor(SETTLED, now) =>
                {
                    freed = true;
                }
                Err(error) => {
                    // Who is idle now makes room when that has lasted a little.
                    let is_passing = !freed && !self.order.is_empty(IDLE);
                    if !is_passing || !are_exhausted(&error) {
                        self.doors.complain(&error, now);
                    }
                    return self.put_off(door, now);
                }
            }
        }
        true
    }

    /// Nobody here can make room for who waits, so others are asked; none of them tells when it
    /// has. Without anybody who waits, the next event is for who comes.
    fn put_off(&mut self, door: Key, now: Instant) -> bool {
        let listener = self.doors.listeners.get(door.index() as usize);
        if listener.is_some_and(Listener::has_waiting) {
            self.doors.put_off(door, now, self.poller.timers());
            self.spread.ask_for_room(self.index);
        }
        false
    }

    /// Makes clients of those who were let in and are counted as this worker's.
    pub(super) fn admit_all(&mut self, all: impl IntoIterator<Item = Newcomer>, now: Instant) {
        // A head's time begins with the connection, for one without a byte of it is idle as well.
        let idle_until = now + self.tools.settings.timeouts.header;
        for (socket, address) in all {
            if self.clients.len() >= self.spread.limit() {
                self.drop_leaving();
            }
            let poller = &self.poller;
            let admitted = self.clients.try_insert_with(|key| {
                Ok::<_, io::Error>(Client {
                    stream: Stream::accepted(socket, key, poller)?,
                    address,
                    peer: PeerName::new(address.ip()),
                    exchange: None,
                    upstream: None,
                    idle_since: now,
                    idle_until,
                    standing: Standing::New,
                })
            });
            match admitted {
                Ok(key) => {
                    self.order.push(IDLE, key);
                    self.client_alarms.set(Some(idle_until), key, self.poller.timers());
                }
                Err(error) => {
                    self.spread.gone(self.index);
                    self.doors.complain(&error, now);
                }
            }
        }
    }

    /// Lets in who is already waiting, here or left by another worker, then closes the doors for
    /// good.
    pub(super) fn close_doors(&mut self, now: Instant) {
        self.admit_all(self.spread.close(self.index), now);
        for door in keys().take(self.doors.listeners.len()) {
            while self.accept_some(door, now) {}
        }
        self.doors.listeners.clear();
        self.doors.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_is_put_off_again_and_again_is_tried_once_per_pause() {
        let mut poller = Poller::new(8).expect("a poller");
        let listener = Listener::bind("127.0.0.1:0".parse().expect("ok")).expect("a listener");
        let mut doors = Doors::open(vec![listener], &poller).expect("doors");
        let (door, start) = (Key::fixed(DOOR, 0), poller.now());
        // Each client that leaves while descriptors are short is a reason to try in vain.
        for ms in 0..50 {
            doors.put_off(door, start + Duration::from_millis(ms), poller.timers());
            doors.slot_freed();
            assert_eq!((doors.knocked.pop_first(0), doors.are_knocked_at()), (Some(door), false));
        }
        let timers = poller.timers();
        assert_eq!((timers.len(), timers.next()), (1, Some(start + PAUSE)));
        let (at, key) = timers.pop_due(start + PAUSE).expect("the retry");
        assert!(doors.rang(key, at));
        doors.put_off(door, at, poller.timers());
        assert_eq!(poller.timers().len(), 1);
    }
}
