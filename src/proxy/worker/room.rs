//! Making room: if connection slots or descriptors are short, the client that has been idle longest
//! is closed first.
//!
//! A client is idle while no request of it is in progress: between two requests, or before the
//! first. None is closed that had an event in this turn.

use std::time::{Duration, Instant};

use super::super::connection::Standing;
use super::super::exchange::Phase;
use super::super::mailbox::Command;
use super::{IDLE, LEAVING, Worker, spare};
use crate::reactor::Key;

/// How long a client is idle before its slot may go to another. One that had an answer within the
/// last second is likely to ask again at once.
pub(super) const SETTLED: Duration = Duration::from_secs(1);

impl Worker {
    /// The client that has been idle longest, if that is longer than [`SETTLED`]: a connection that
    /// waits to be accepted can wait so long, and a client may have a request on its way.
    pub(super) fn idle_client(&self, now: Instant) -> Option<Key> {
        self.idle_for(SETTLED, now)
    }

    /// Ends the connection that [`Worker::idle_client`] names, if there is one, so that its slot is
    /// free.
    pub(super) fn close_idle(&mut self, now: Instant) {
        if let Some(key) = self.idle_client(now) {
            self.dismiss(key, now);
        }
    }

    /// Ends the connection of a client that asks nothing. One that had an answer is read on,
    /// because a part of that may still be on its way.
    pub(super) fn dismiss(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.standing == Standing::Served {
            let in_flight = client.in_flight.get_or_insert_with(|| spare(&mut self.spare, now));
            in_flight.exchange.close_idle(&mut self.context.lend(now, &client.peer));
            self.serve_one(key, now);
        } else {
            self.drop_client(key);
        }
    }

    /// Closes the connection that has been leaving longest, to make room for another; whether there
    /// was one.
    pub(super) fn drop_leaving(&mut self) -> bool {
        self.order.pop_first(LEAVING).and_then(|key| self.drop_client(key)).is_some()
    }

    /// Gives a descriptor back: that of a client that is leaving, or has been idle for longer than
    /// `least`; whether there was one.
    pub(super) fn free_descriptor(&mut self, least: Duration, now: Instant) -> bool {
        self.drop_leaving()
            || self.idle_for(least, now).is_some_and(|key| self.drop_client(key).is_some())
    }

    /// Gives a descriptor back for a connection to a backend, without which a request fails: at
    /// worst that of a pooled one.
    pub(super) fn free_one(&mut self, now: Instant) -> bool {
        if self.free_descriptor(Duration::ZERO, now) {
            return true;
        }
        let spare = self.pool.spare();
        match spare {
            Some(key) => self.drop_resting(key),
            None => self.mailboxes.send_others(self.index, || Command::Capacity),
        }
        spare.is_some()
    }

    /// Gives a slot and a descriptor back, because another worker has none and needs one.
    pub(super) fn make_room_for_others(&mut self, now: Instant) {
        self.close_idle(now);
        self.drop_leaving();
    }

    fn idle_for(&self, least: Duration, now: Instant) -> Option<Key> {
        let key = self.order.first(IDLE).filter(|_| self.context.phase != Phase::Draining)?;
        let idle = now.saturating_duration_since(self.clients.get(key)?.idle_since);
        (idle > least).then_some(key)
    }
}
