//! The stages of a turn: bytes are received for all clients that have something to do, then all
//! exchanges work, then what is ready is sent for all.
//!
//! A request touches more code than an instruction cache holds. So each stage is done for a batch
//! of clients before the next one begins, and its code is fetched once for all of them. Clients
//! whose upstreams sent something come first in every stage: their connections are in the pool, and
//! their samples are known, when the new requests choose a backend.

use std::time::Instant;

use super::super::connection::{Client, InFlight, Standing, connect_failure};
use super::super::exchange::{Exchange, Phase, Side, StreamEnd};
use super::super::settings::Settings;
use super::attempt::kept;
use super::{ANSWERED, IDLE, LEAVING, QUIET, READY, Worker};
use crate::buffer::FreeList;
use crate::reactor::{Key, Received, Stream};

/// Rounds of all stages for one client in one turn, each with at most one read and one write per
/// side, so that a large body does not keep others waiting.
pub(super) const ROUNDS_PER_TURN: usize = 16;

/// Clients that go through the stages together. Each may hold a block or two meanwhile.
const BATCH: usize = 32;

impl Worker {
    /// Serves all clients that have something to do. Those that have more left than fits into a
    /// turn stand behind the others in the next one.
    pub(super) fn serve_all(&mut self, now: Instant) {
        let mut batch = std::mem::take(&mut self.batch);
        let mut left = self.order.len(ANSWERED) + self.order.len(READY);
        while left > 0 {
            let (order, count) = (&mut self.order, left.min(BATCH));
            let next = || order.pop_first(ANSWERED).or_else(|| order.pop_first(READY));
            batch.extend(std::iter::from_fn(next).take(count));
            left -= count;
            self.serve(&mut batch, now);
        }
        self.batch = batch;
    }

    /// Serves one client, whose exchange may demand something already.
    pub(super) fn serve_one(&mut self, key: Key, now: Instant) {
        self.run_actions(key, now);
        let mut batch = std::mem::take(&mut self.batch);
        batch.push(key);
        self.serve(&mut batch, now);
        self.batch = batch;
    }

    /// Takes these clients through the stages, round after round, until each waits for an event or
    /// has had its share of the turn.
    fn serve(&mut self, batch: &mut Vec<Key>, now: Instant) {
        for _ in 0..ROUNDS_PER_TURN {
            for key in &*batch {
                self.receive(*key, now);
            }
            for key in &*batch {
                self.work(*key, now);
            }
            for key in &*batch {
                self.send(*key, now);
            }
            for key in &*batch {
                self.work(*key, now);
            }
            batch.retain(|key| {
                let goes_on = self.can_move(*key);
                if !goes_on {
                    self.settle(*key, now);
                }
                goes_on
            });
            if batch.is_empty() {
                return;
            }
        }
        for key in batch.drain(..) {
            self.settle(key, now);
            self.order.push(READY, key);
        }
    }

    /// Reads once from each socket of a client's exchange. A client that has none gets one if there
    /// is something to read.
    fn receive(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if client.in_flight.is_none() {
            let kept = kept(client, &mut self.upstreams, now);
            if !client.stream.can_read() {
                return;
            }
            let in_flight = client.in_flight.insert(super::spare(&mut self.spare, now));
            in_flight.exchange.serve(key.bits());
            if let Some(backend) = kept {
                in_flight.exchange.kept(backend);
            }
        }
        let Client { stream, in_flight: Some(in_flight), .. } = client else { return };
        let InFlight { exchange, links } = &mut **in_flight;
        let free = &mut self.context.free;
        if stream.failed() || has_left(stream, exchange, &self.context.settings) {
            // What came before the reset is a request all the same, and has its row.
            if exchange.is_idle() {
                receive(stream, Side::Client, exchange, free);
            }
            return exchange.closed(Side::Client, StreamEnd::Reset);
        }
        receive(stream, Side::Client, exchange, free);
        for (attempt, link) in links.iter() {
            if let Some(upstream) = self.upstreams.get_mut(link)
                && upstream.cursor.is_none()
            {
                receive(&mut upstream.stream, Side::Upstream(attempt), exchange, free);
            }
        }
    }

    /// Has the exchange do what is due, and does what it demands.
    pub(super) fn work(&mut self, key: Key, now: Instant) {
        if let Some(Client { in_flight: Some(in_flight), peer, .. }) = self.clients.get_mut(key) {
            in_flight.exchange.work(&mut self.context.lend(now, peer));
            if in_flight.exchange.has_actions() {
                self.run_actions(key, now);
            }
        }
    }

    /// Writes once to each socket of a client's exchange.
    fn send(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Client { stream, in_flight: Some(in_flight), .. } = client else { return };
        let InFlight { exchange, links } = &mut **in_flight;
        for (attempt, link) in links.iter() {
            let Some(upstream) = self.upstreams.get_mut(link) else { continue };
            match send(&mut upstream.stream, Side::Upstream(attempt), exchange, now) {
                Ok(0) => {}
                // The first byte it takes proves that the connection was made.
                Ok(_) => {
                    if let Some(cursor) = upstream.cursor.take() {
                        self.resolver.mark_good(upstream.backend, cursor);
                        let took = now.duration_since(upstream.idle_since);
                        self.context.metrics.connected(upstream.backend, took);
                    }
                }
                Err(error) if upstream.cursor.is_some() => {
                    exchange.dial_failed(attempt, connect_failure(&error));
                }
                Err(_) => exchange.closed(Side::Upstream(attempt), StreamEnd::WriteFailed),
            }
        }
        if send(stream, Side::Client, exchange, now).is_err() {
            exchange.closed(Side::Client, StreamEnd::WriteFailed);
        }
    }

    /// Whether another round would move anything: a socket has something to be read, and the
    /// exchange has space; or bytes are pending, and the socket may take them.
    fn can_move(&self, key: Key) -> bool {
        let Some(Client { stream, in_flight: Some(in_flight), .. }) = self.clients.get(key) else {
            return false;
        };
        let InFlight { exchange, links } = &**in_flight;
        can_move(stream, Side::Client, exchange)
            || has_left(stream, exchange, &self.context.settings)
            || links.iter().any(|(attempt, link)| {
                let upstream = self.upstreams.get(link);
                upstream.is_some_and(|it| can_move(&it.stream, Side::Upstream(attempt), exchange))
            })
    }

    /// Gives back what a client does not need while it waits, and sets its timer.
    fn settle(&mut self, key: Key, now: Instant) {
        let is_over = self.is_over_limit();
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(mut in_flight) = client.in_flight.take() else {
            return self.order.push(IDLE, key);
        };
        let exchange = &mut in_flight.exchange;
        if exchange.is_idle() {
            if is_over && client.standing == Standing::Served {
                client.in_flight = Some(in_flight);
                return self.dismiss(key, now);
            }
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
        let deadline = exchange.begin_waits(&mut self.context.lend(now, &client.peer));
        self.client_timers.set(deadline, key, self.poller.timers());
        let is_leaving = exchange.is_lingering();
        client.in_flight = Some(in_flight);
        if is_leaving {
            self.leaves(key);
        }
    }

    /// A client has its last answer and is only read until it ends: its slot is free for another.
    fn leaves(&mut self, key: Key) {
        self.order.push(LEAVING, key);
        let Some(client) = self.clients.get_mut(key) else { return };
        if std::mem::replace(&mut client.standing, Standing::Leaving) != Standing::Leaving {
            self.accept_balancer.closed(self.index);
            self.listeners.capacity_freed();
        }
    }
}

/// Whether the client has ended its stream where that means that it left.
fn has_left(stream: &Stream, exchange: &Exchange, settings: &Settings) -> bool {
    stream.read_closed() && exchange.ends_with_client(settings)
}

/// Whether a read or a write would move something.
fn can_move(stream: &Stream, side: Side, exchange: &Exchange) -> bool {
    stream.can_read() && exchange.wants(side) || stream.can_write() && exchange.has_pending(side)
}

/// Reads once, if the exchange has space.
fn receive(stream: &mut Stream, side: Side, exchange: &mut Exchange, free: &mut FreeList) {
    if !stream.can_read() {
        return;
    }
    let space = exchange.space(side, free);
    if space.is_empty() {
        return;
    }
    match stream.read(space) {
        Ok(Received::Bytes(count)) => exchange.received(side, count),
        Ok(Received::Nothing) => {}
        Ok(Received::End) => exchange.closed(side, StreamEnd::Finished),
        Err(_) => exchange.closed(side, StreamEnd::Reset),
    }
}

/// Writes once, if there is something to write; how many bytes were taken.
fn send(
    stream: &mut Stream,
    side: Side,
    exchange: &mut Exchange,
    now: Instant,
) -> std::io::Result<usize> {
    if !stream.can_write() || !exchange.has_pending(side) {
        return Ok(0);
    }
    let pending = exchange.pending(side);
    let sent = if side == Side::Client && exchange.ends_client() {
        stream.write_last(pending)?
    } else {
        stream.write(pending)?
    };
    if let Some(count) = sent {
        exchange.sent(side, count, now);
    }
    Ok(sent.unwrap_or(0))
}
