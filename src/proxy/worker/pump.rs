//! Moves one exchange on as far as its sockets allow, and does what it demands.
//!
//! A round has four parts: bytes are received, the exchange works on them, its actions are run, and
//! what is pending is sent.

use std::time::Instant;

use super::super::connection::{Client, InFlight, Standing, connect_failure};
use super::super::exchange::{Action, CloseMode, Exchange, Phase, Side, StreamEnd};
use super::upstreams::Upstreams;
use super::{IDLE, LEAVING, QUIET, READY, Worker};
use crate::balance::BackendId;
use crate::buffer::FreeList;
use crate::reactor::{Key, Received, Stream};

/// Rounds of reading and writing for one exchange in one turn, so that a large body does not keep
/// others waiting.
pub(super) const ROUNDS_PER_TURN: usize = 16;

impl Worker {
    /// Moves a client's exchange on.
    pub(super) fn pump(&mut self, key: Key, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            if !self.has_exchange(key, now) {
                return;
            }
            if !self.round(key, now) {
                return self.settle(key, now);
            }
        }
        self.settle(key, now);
        if self.clients.get(key).is_some() {
            self.order.push(READY, key);
        }
    }

    /// Gives a client an exchange if it has none and there is something to read.
    fn has_exchange(&mut self, key: Key, now: Instant) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        if client.in_flight.is_none() {
            let kept = kept(client, &mut self.upstreams, now);
            if !client.stream.can_read() {
                self.order.push(IDLE, key);
                return false;
            }
            let in_flight = client.in_flight.insert(super::spare(&mut self.spare, now));
            if let Some(backend) = kept {
                in_flight.exchange.kept(backend);
            }
        }
        true
    }

    /// One round; whether anything moved.
    fn round(&mut self, key: Key, now: Instant) -> bool {
        let received = self.receive(key);
        if received {
            self.work(key, now);
        }
        let acted = self.act(key, now);
        let sent = self.send(key, now);
        if sent {
            self.work(key, now);
            self.act(key, now);
        }
        received || acted || sent
    }

    /// Does what the exchange demands, until it demands nothing more; whether there was anything. A
    /// connection that fails at once leads to another one.
    fn act(&mut self, key: Key, now: Instant) -> bool {
        let mut any = false;
        while self.run_actions(key, now) {
            self.work(key, now);
            any = true;
        }
        any
    }

    /// Reads once from each socket of a client's exchange.
    fn receive(&mut self, key: Key) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        let Client { stream, in_flight: Some(in_flight), .. } = client else { return false };
        let InFlight { exchange, links } = &mut **in_flight;
        let free = &mut self.context.free;
        let left = stream.read_closed() && exchange.ends_with_client(&self.context.settings);
        if stream.failed() || left {
            // What came before the reset is a request all the same, and has its row.
            if exchange.is_idle() {
                receive(stream, Side::Client, exchange, free);
            }
            exchange.closed(Side::Client, StreamEnd::Reset);
            return true;
        }
        let mut any = receive(stream, Side::Client, exchange, free);
        for (attempt, link) in links.iter() {
            if let Some(upstream) = self.upstreams.get_mut(link)
                && upstream.cursor.is_none()
            {
                any |= receive(&mut upstream.stream, Side::Upstream(attempt), exchange, free);
            }
        }
        any
    }

    /// Has the exchange do what is due.
    pub(super) fn work(&mut self, key: Key, now: Instant) {
        if let Some(Client { in_flight: Some(in_flight), peer, .. }) = self.clients.get_mut(key) {
            in_flight.exchange.work(&mut self.context.lend(now, peer));
        }
    }

    /// Writes once to each socket of a client's exchange.
    fn send(&mut self, key: Key, now: Instant) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        let Client { stream, in_flight: Some(in_flight), .. } = client else { return false };
        let InFlight { exchange, links } = &mut **in_flight;
        let mut any = false;
        for (attempt, link) in links.iter() {
            let Some(upstream) = self.upstreams.get_mut(link) else { continue };
            match send(&mut upstream.stream, Side::Upstream(attempt), exchange, now) {
                Ok(false) => continue,
                // The first byte it takes proves that the connection was made.
                Ok(true) => {
                    if let Some(cursor) = upstream.cursor.take() {
                        self.resolver.mark_good(upstream.backend, cursor);
                    }
                }
                Err(error) if upstream.cursor.is_some() => {
                    exchange.dial_failed(attempt, connect_failure(&error));
                }
                Err(_) => exchange.closed(Side::Upstream(attempt), StreamEnd::WriteFailed),
            }
            any = true;
        }
        if let Ok(sent) = send(stream, Side::Client, exchange, now) {
            return any | sent;
        }
        exchange.closed(Side::Client, StreamEnd::WriteFailed);
        true
    }

    /// Gives back what an exchange does not need while it waits, and sets its timer.
    fn settle(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(mut in_flight) = client.in_flight.take() else { return };
        let exchange = &mut in_flight.exchange;
        if exchange.is_idle() {
            if self.context.phase == Phase::Draining {
                client.idle_until = client.idle_until.min(now + QUIET);
            }
            let deadline = Some(client.idle_until);
            self.client_timers.set(deadline, key, self.poller.timers());
            self.order.push(IDLE, key);
            if exchange.is_untouched() {
                return self.recycle_exchange(in_flight);
            }
            // Empty lines came, which are counted.
            exchange.release_buffers(&mut self.context.free);
            client.in_flight = Some(in_flight);
            return;
        }
        exchange.release_buffers(&mut self.context.free);
        let is_leaving = exchange.is_lingering();
        let deadline = exchange.deadline(&self.context.settings.timeouts);
        self.client_timers.set(deadline, key, self.poller.timers());
        client.in_flight = Some(in_flight);
        if is_leaving {
            self.leaves(key);
        }
    }

    /// A client is only read until it ends: whoever waits outside may have its place.
    fn leaves(&mut self, key: Key) {
        self.order.push(LEAVING, key);
        let Some(client) = self.clients.get_mut(key) else { return };
        if std::mem::replace(&mut client.standing, Standing::Leaving) != Standing::Leaving {
            self.accept_balancer.closed(self.index);
            self.listeners.capacity_freed();
        }
    }

    /// Does what the exchange demands, in order; whether there was anything.
    pub(super) fn run_actions(&mut self, key: Key, now: Instant) -> bool {
        let mut any = false;
        while let Some(action) = self.in_flight(key).and_then(|it| it.exchange.next_action()) {
            any = true;
            match action {
                Action::Dial { attempt, backend, source } => {
                    self.dial(key, attempt, (backend, source), now);
                }
                Action::Refresh { backend } => self.resolver.request_refresh(backend),
                Action::Recycle { attempt, idle } => self.recycle(key, attempt, idle, now),
                Action::Keep { attempt, idle } => self.keep(key, attempt, idle, now),
                Action::Close { attempt, how } => {
                    let upstream = self.detach(key, attempt);
                    if let (Some(upstream), CloseMode::Reset) = (upstream, how) {
                        upstream.stream.reset();
                    }
                }
                Action::Finish(side) => self.finish(key, side),
                Action::Report => self.report(key, now),
                Action::Hangup(how) => {
                    let client = self.drop_client(key);
                    if let (Some(client), CloseMode::Reset) = (client, how) {
                        client.stream.reset();
                    }
                }
            }
        }
        any
    }

    /// Ends the stream to one side. A peer that is gone already will be noticed by reading.
    fn finish(&mut self, key: Key, side: Side) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let _ = match (side, &client.in_flight) {
            (Side::Client, _) => client.stream.finish(),
            (Side::Upstream(attempt), Some(in_flight)) => {
                let link = in_flight.links.iter().find(|(id, _)| *id == attempt);
                let upstream = link.and_then(|(_, link)| self.upstreams.get_mut(link));
                upstream.map_or(Ok(()), |upstream| upstream.stream.finish())
            }
            (Side::Upstream(_), None) => Ok(()),
        };
    }

    fn report(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(in_flight) = &mut client.in_flight else { return };
        let exchange = &mut in_flight.exchange;
        let record = exchange.record(client.peer.client(), now);
        self.context.sender.record(&record);
        self.context.metrics.record(&record, exchange.backend());
        if let Some(fault) = exchange.fault().filter(|_| self.context.settings.verbose) {
            let (kind, url) = record.backend.map_or(("no backend", ""), |url| ("backend ", url));
            self.context.sender.log_line(format_args!(
                "{}: {}; {} to {}, {kind}{url}",
                fault.label(),
                fault.explanation(),
                record.status,
                record.client
            ));
        }
        client.standing = Standing::Served;
        // Nothing but an answer makes the idle time begin anew.
        client.idle_since = now;
        client.idle_until = now + self.context.settings.timeouts.client_idle;
        exchange.reported(&mut self.context.lend(now, &client.peer));
    }
}

/// The backend to which a client that asks nothing has a connection of its own. One that ended, or
/// said what nobody asked for, is closed.
pub(super) fn kept(
    client: &mut Client,
    upstreams: &mut Upstreams,
    now: Instant,
) -> Option<BackendId> {
    let link = client.bound?;
    let alive = upstreams.get(link).filter(|upstream| upstream.is_usable(now));
    let backend = alive.map(|upstream| upstream.backend);
    if backend.is_none() {
        upstreams.remove(link);
        client.bound = None;
    }
    backend
}

/// Reads once, if the exchange has room.
fn receive(stream: &mut Stream, side: Side, exchange: &mut Exchange, free: &mut FreeList) -> bool {
    if !stream.can_read() {
        return false;
    }
    let space = exchange.space(side, free);
    if space.is_empty() {
        return false;
    }
    match stream.read(space) {
        Ok(Received::Bytes(count)) => exchange.received(side, count),
        Ok(Received::Nothing) => return false,
        Ok(Received::End) => exchange.closed(side, StreamEnd::Finished),
        Err(_) => exchange.closed(side, StreamEnd::Reset),
    }
    true
}

/// Writes once, if there is something to write.
fn send(
    stream: &mut Stream,
    side: Side,
    exchange: &mut Exchange,
    now: Instant,
) -> std::io::Result<bool> {
    if !stream.can_write() {
        return Ok(false);
    }
    let pending = exchange.pending(side);
    if pending.iter().all(|part| part.is_empty()) {
        return Ok(false);
    }
    let sent = if side == Side::Client && exchange.ends_client() {
        stream.write_last(pending)?
    } else {
        stream.write(pending)?
    };
    if let Some(count) = sent {
        exchange.sent(side, count, now);
    }
    Ok(sent.is_some())
}
